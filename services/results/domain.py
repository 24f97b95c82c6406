"""What a result is, how large it may be, who may see it by a link, and what can be wrong with all that."""

from dataclasses import dataclass, field
from datetime import datetime, timedelta
from typing import NewType
from uuid import UUID

ResultId = NewType("ResultId", UUID)
TaskId = NewType("TaskId", UUID)
OwnerId = NewType("OwnerId", UUID)
ShareId = NewType("ShareId", UUID)

MAX_BYTES = 64 * 1024 * 1024
MAX_PIXELS = 64_000_000
MEDIA_TYPE = "image/png"

MOST_SHARES = 100
"""Links that open one picture at once."""
TICKET_LIFETIME = timedelta(hours=1)
"""How long a link's password need not be given again."""
MOST_ATTEMPTS, ATTEMPTS_WINDOW = 10, timedelta(minutes=15)
"""Wrong passwords for one link from one network: a person's slips, and 350,000 guesses in a year."""


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
class Variant:
    """A form in which a result's picture is to be had: as it is stored, in another format, or smaller. `sha256` and
    `size_bytes` are those of its own bytes.
    """

    result_id: ResultId
    media_type: str
    width: int
    height: int
    store_key: str
    """Key of the bytes in the store. It never leaves this service."""
    size_bytes: int
    sha256: str
    created_at: datetime


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
    thumb_hash: bytes
    """Empty: there is none."""
    favorite: bool = False
    expires_at: datetime | None = None
    """When it is deleted, as things stand; None if it stays."""

    @property
    def as_stored(self) -> Variant:
        return Variant(
            result_id=self.id,
            media_type=self.media_type,
            width=self.width,
            height=self.height,
            store_key=self.image_url,
            size_bytes=self.size_bytes,
            sha256=self.sha256,
            created_at=self.created_at,
        )


@dataclass(frozen=True)
class Usage:
    """What an owner's pictures take: bytes of the originals, and how many these are."""

    used_bytes: int
    pictures: int


@dataclass(frozen=True)
class Filter:
    """Which results are wanted: made from one moment on and before another; what is empty asks nothing."""

    model: str = ""
    favorite: bool | None = None
    created_from: datetime | None = None
    created_before: datetime | None = None
    text: str = ""
    """What the prompt has to have (see `words`)."""


@dataclass(frozen=True)
class ByteRange:
    """Some of a picture's bytes: from `first` to `last`, both included, or to the end; or the last `suffix_length`."""

    first: int = 0
    last: int | None = None
    suffix_length: int | None = None

    def within(self, size_bytes: int) -> tuple[int, int]:
        """The first byte of it and how many there are (RFC 9110 §14.1.2). Raises RangeNotSatisfiable."""
        if self.suffix_length is not None:
            first, end = max(0, size_bytes - self.suffix_length), size_bytes
        else:
            first, end = self.first, size_bytes if self.last is None else min(self.last + 1, size_bytes)
        if first >= end:
            raise RangeNotSatisfiable(size_bytes)
        return first, end - first


@dataclass(frozen=True)
class Share:
    """A link that opens one picture to whoever has it.

    It is open until `expires_at`, which may be moved, or until it is revoked or the picture is deleted, for good.
    """

    id: ShareId
    owner_id: OwnerId
    result_id: ResultId | None
    """None once the picture is deleted."""
    token_hash: bytes = field(repr=False)
    """SHA-256. Of 256 random bits it needs neither salt nor stretching."""
    password_hash: str | None = field(repr=False)
    hide_prompt: bool
    allow_download: bool
    request_id: str | None
    request_hash: bytes = field(repr=False)
    """SHA-256 of what was asked for, the password aside, whose own hash tells."""
    created_at: datetime
    expires_at: datetime | None
    revoked_at: datetime | None = None

    def is_open(self, now: datetime) -> bool:
        has_ended = self.revoked_at is not None or self.result_id is None
        return not has_ended and (self.expires_at is None or now < self.expires_at)


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


class RangeNotSatisfiable(Exception):
    def __init__(self, size_bytes: int) -> None:
        super().__init__(f"the picture has {size_bytes} bytes, and none of those that were asked for")
        self.metadata = {"size_bytes": str(size_bytes)}


class RequestIdReused(Exception):
    def __init__(self) -> None:
        super().__init__("this request_id belongs to another request")


class ShareNotFound(Exception):
    def __init__(self) -> None:
        super().__init__("no such share")


class ShareEnded(Exception):
    def __init__(self) -> None:
        super().__init__("the link has expired or been revoked, or its picture was deleted")


class ShareLocked(Exception):
    def __init__(self) -> None:
        super().__init__("the link needs its password")


class SharePasswordWrong(Exception):
    def __init__(self) -> None:
        super().__init__("this is not the link's password")


class TooManyAttempts(Exception):
    """`retry_after` is in seconds."""

    def __init__(self, retry_after: float) -> None:
        super().__init__("too many wrong passwords; try again later")
        self.retry_after = retry_after


class TooManyShares(Exception):
    def __init__(self) -> None:
        super().__init__(f"the picture has {MOST_SHARES} links; revoke one first")


class DownloadNotAllowed(Exception):
    def __init__(self) -> None:
        super().__init__("the link shows the picture and does not give its original away")
