"""An engine of the ordeal's own: sketch, and the network before it."""

from contextlib import ExitStack
from types import TracebackType
from typing import Self

from tests.executor.sketch_process import SketchProcess
from tests.tcp_proxy import TcpProxy


class Engine:
    """Context manager; the worker reaches the engine at `url`, through the link."""

    def __init__(self, *, step_seconds: float) -> None:
        self.sketch = SketchProcess(step_seconds=step_seconds, load_seconds=0.05)
        self._parts = ExitStack()

    def __enter__(self) -> Self:
        self._parts.enter_context(self.sketch)
        self.link = self._parts.enter_context(TcpProxy(self.sketch.url.removeprefix("http://")))
        return self

    def __exit__(
        self, kind: type[BaseException] | None, error: BaseException | None, trace: TracebackType | None
    ) -> None:
        self._parts.close()

    @property
    def url(self) -> str:
        return f"http://{self.link.address}"
