"""What a result is, how large it may be, and what can be wrong with it."""

from dataclasses import dataclass
from datetime import datetime
from typing import NewType
from uuid import UUID

ResultId = NewType("ResultId", UUID)
TaskId = NewType("TaskId", UUID)
OwnerId = NewType("OwnerId", UUID)

MAX_BYTES = 64 * 1024 * 1024
MAX_PIXELS = 64_000_000
MEDIA_TYPE = "image/png"


@dataclass(frozen=True)
class Recipe:
    """What a picture was painted from, as it was asked for: pixels, sampler steps, guidance, pictures in the run.
    `engine` names what painted it, with version and device, or is empty.
    """

    model: str
    prompt: str
    negative_prompt: str
    width: int
    height: int
    steps: int
    cfg: float
    seed: int
    count: int
    engine: str


@dataclass(frozen=True)
class Result:
    """One picture of a task. `sha256` and `size_bytes` are those of the stored bytes; width and height are pixels."""

    id: ResultId
    task_id: TaskId
    owner_id: OwnerId
    index: int
    image_url: str
    """Key of the bytes in the store. It never leaves this service: people get an `ImageLink`."""
    media_type: str
    width: int
    height: int
    size_bytes: int
    sha256: str
    created_at: datetime
    recipe: Recipe
    favorite: bool = False


@dataclass(frozen=True)
class Filter:
    """Which results are wanted: made from one moment on and before another; what is empty asks nothing."""

    model: str = ""
    favorite: bool | None = None
    created_from: datetime | None = None
    created_before: datetime | None = None
    text: str = ""
    """What the prompt has to have (see `words`)."""


class ResultNotFound(Exception):
    def __init__(self) -> None:
        super().__init__("no such result")


class RecipeUnknown(Exception):
    def __init__(self) -> None:
        super().__init__("nobody noted what this picture was painted from")


class ChecksumMismatch(Exception):
    def __init__(self, what: str) -> None:
        super().__init__(f"the bytes differ from what was announced: {what}")


class NotAPicture(Exception):
    def __init__(self, why: str) -> None:
        super().__init__(f"this is no whole PNG: {why}")


class PictureTooLarge(Exception):
    def __init__(self) -> None:
        super().__init__(f"the picture has more than {MAX_BYTES} bytes or {MAX_PIXELS} pixels")


class ResultDiscarded(Exception):
    def __init__(self) -> None:
        super().__init__("this result was deleted or discarded before its picture came")


class LinkInvalid(Exception):
    def __init__(self) -> None:
        super().__init__("the link is wrong or has expired")


class PictureLost(Exception):
    def __init__(self) -> None:
        super().__init__("the store has lost this picture")
