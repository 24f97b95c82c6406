"""JSON into dataclasses by their annotations. Fields that a dataclass does not have are skipped: a newer gateway may
send more.
"""

import types
from collections.abc import Mapping
from dataclasses import fields, is_dataclass
from datetime import datetime
from functools import cache
from typing import Any, Literal, TypeVar, Union, cast, get_args, get_origin, get_type_hints

from api.problems import UnknownAnswer

T = TypeVar("T")

_JSON_TYPES: Mapping[Any, Any] = {float: int | float}


def decode(kind: type[T], value: Any) -> T:
    """Returns the value as `kind`: a dataclass, or what one may have as a field.

    Raises:
        UnknownAnswer: it lacks something, or something in it is of another type.
    """
    return cast("T", _decode(kind, value))


def _decode(kind: Any, value: Any) -> Any:
    origin, arguments = get_origin(kind), get_args(kind)
    if origin in (Union, types.UnionType):
        (one,) = (argument for argument in arguments if argument is not type(None))
        return None if value is None else _decode(one, value)
    if origin is list:
        return [_decode(arguments[0], each) for each in _checked(value, list)]
    if is_dataclass(kind):
        return _dataclass(kind, _checked(value, dict))
    if kind is datetime:
        return datetime.fromisoformat(_checked(value, str))
    # Literals are not compared: a gateway of tomorrow may know more states, and who reads them decides.
    return _checked(value, _JSON_TYPES.get(kind, str if origin is Literal else kind))


def _dataclass(kind: Any, value: dict[str, Any]) -> Any:
    try:
        return kind(**{name: _decode(hint, value[name]) for name, hint in _hints(kind) if name in value})
    except TypeError as error:
        raise UnknownAnswer(str(error)) from error


@cache
def _hints(kind: Any) -> tuple[tuple[str, Any], ...]:
    hints = get_type_hints(kind)
    return tuple((field.name, hints[field.name]) for field in fields(kind) if field.init)


def _checked(value: Any, kind: Any) -> Any:
    if not isinstance(value, kind):
        raise UnknownAnswer(f"{value!r:.40} is not {kind}")
    return value
