"""Small conversions between domain values and protobuf's."""

from datetime import UTC, datetime, timedelta
from typing import Any, TypeVar

from google.protobuf.duration_pb2 import Duration
from google.protobuf.timestamp_pb2 import Timestamp

Number = TypeVar("Number", bound=int)


def to_timestamp(moment: datetime | None) -> Timestamp | None:
    """An aware datetime → Timestamp; None stays None, which protobuf takes as absent."""
    if moment is None:
        return None
    timestamp = Timestamp()
    timestamp.FromDatetime(moment)
    return timestamp


def from_timestamp(timestamp: Timestamp) -> datetime:
    """Timestamp → aware datetime in UTC."""
    return timestamp.ToDatetime(tzinfo=UTC)


def to_duration(span: timedelta) -> Duration:
    duration = Duration()
    duration.FromTimedelta(span)
    return duration


def to_enum(enum: Any, text: str | None) -> Any:
    """`"pending"` → `TASK_STATE_PENDING`: the one spelling of a state with the enum's prefix; None → unspecified."""
    return enum.Value(_prefix(enum) + (text or "unspecified").upper())


def from_enum(enum: Any, number: int) -> str | None:
    """`TASK_STATE_PENDING` → `"pending"`; unspecified → None."""
    text = str(enum.Name(number)).removeprefix(_prefix(enum)).lower()
    return None if text == "unspecified" else text


def _prefix(enum: Any) -> str:
    """Enums follow buf's rule: the zero value is the prefix and UNSPECIFIED."""
    return str(enum.Name(0)).removesuffix("UNSPECIFIED")
