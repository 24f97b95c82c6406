"""Who is behind a session on the web, told by the process that serves it; on a device there is nobody to tell."""

from collections.abc import Iterator, Mapping
from contextlib import contextmanager
from contextvars import ContextVar
from dataclasses import dataclass, field
from urllib.parse import urljoin


@dataclass(frozen=True)
class Visitor:
    """Attributes:
    headers: what calls on the visitor's behalf carry.
    assets: where the client's own files are.
    """

    headers: Mapping[str, str] = field(default_factory=dict)
    assets: str = ""

    @property
    def export_page(self) -> str:
        """Where a browser fetches an export by itself; empty on a device, which has no such page."""
        return urljoin(self.assets, "../export.html") if self.assets else ""


_visitor: ContextVar[Visitor] = ContextVar("visitor", default=Visitor())  # noqa: B039 - frozen


def visitor() -> Visitor:
    return _visitor.get()


@contextmanager
def visiting(visitor: Visitor) -> Iterator[None]:
    """Sessions that begin within this are the visitor's."""
    token = _visitor.set(visitor)
    try:
        yield
    finally:
        _visitor.reset(token)
