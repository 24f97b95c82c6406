"""Keys for components: Flet takes a keyword that their own signatures do not have."""

from collections.abc import Callable
from typing import ParamSpec, TypeVar, cast

P = ParamSpec("P")
R = TypeVar("R")


def keyed(key: str, component: Callable[P, R], *args: P.args, **kwargs: P.kwargs) -> R:
    """The component, known by its key from one rendering to the next: its state stays with it."""
    return cast("Callable[..., R]", component)(*args, key=key, **kwargs)
