"""Spans of the nodes that an engine executes for an attempt, as its run tells of them."""

from opentelemetry.trace import Span

from services.executor.engine.events import Executing, Progress, RunEvent
from services.runtime import tracing


class NodeSpans:
    """Takes a run's events, in the thread that follows it. A node lasts until the next one begins or the run ends."""

    def __init__(self) -> None:
        self._span: Span | None = None

    def __call__(self, event: RunEvent) -> None:
        match event:
            case Executing(node=node, kind=kind):
                self.end()
                self._span = tracing.start(kind, attributes={"comfyui.node.id": node, "comfyui.node.class": kind})
            case Progress(steps=steps) if self._span is not None:
                self._span.set_attribute("imagegen.steps", steps)

    def end(self) -> None:
        """The run is over. May be said again."""
        if self._span is not None:
            self._span.end()
            self._span = None
