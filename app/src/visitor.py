"""Who is behind a session on the web, told by the process that serves it; on a device there is nobody to tell."""

from collections.abc import Iterator, Mapping
from contextlib import contextmanager
from contextvars import ContextVar
from dataclasses import dataclass, field


@dataclass(frozen=True)
class Visitor:
    """Attributes:
    headers: what calls on the visitor's behalf carry.
    assets: where the client's own files are.
    saving_page: where the browser saves files by itself; empty: nowhere.
    """

    headers: Mapping[str, str] = field(default_factory=dict)
    assets: str = ""
    saving_page: str = ""


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
