"""What the API speaks of, as the gateway's OpenAPI document describes it; only what the client uses."""

import json
from base64 import urlsafe_b64decode
from dataclasses import dataclass, field
from datetime import datetime
from typing import Literal

Status = Literal["pending", "processing", "completed", "failed", "canceled"]
Language = Literal["en", "zh"]


@dataclass(frozen=True)
class Tokens:
    access_token: str
    refresh_token: str

    @property
    def owner(self) -> str:
        """Id of the user: the access token's `sub` (RFC 7519 §4.1.2), which is the server's to verify. Empty if it has
        none, which the server will refuse.
        """
        try:
            claims = self.access_token.split(".")[1]
            return str(json.loads(urlsafe_b64decode(claims + "=" * (-len(claims) % 4)))["sub"])
        except (ValueError, LookupError, TypeError):
            return ""


@dataclass(frozen=True)
class User:
    id: str
    username: str
    email: str
    role: Literal["user", "operator"]


@dataclass(frozen=True)
class LocalizedText:
    en: str
    zh: str

    def said_in(self, language: Language) -> str:
        return self.zh if language == "zh" else self.en


@dataclass(frozen=True)
class IntRange:
    min: int
    max: int


@dataclass(frozen=True)
class FloatRange:
    min: float
    max: float


@dataclass(frozen=True)
class Limits:
    """Sizes in pixels; width and height are multiples of `size_multiple`."""

    width: IntRange
    height: IntRange
    size_multiple: int
    max_pixels: int
    steps: IntRange
    cfg: FloatRange
    count: IntRange


@dataclass(frozen=True)
class Defaults:
    """What the service fills in for parameters that are left out."""

    width: int
    height: int
    steps: int
    cfg: float
    negative_prompt: str


@dataclass(frozen=True)
class Model:
    name: str
    display_names: LocalizedText
    descriptions: LocalizedText
    license: str
    is_active: bool
    available: bool
    availability: str
    unavailable_reason: str | None
    limits: Limits
    defaults: Defaults
    negative_prompt_supported: bool


@dataclass(frozen=True)
class Recipe:
    """What is asked for; the service fills in what is None."""

    prompt: str
    model: str
    negative_prompt: str | None = None
    width: int | None = None
    height: int | None = None
    steps: int | None = None
    cfg: float | None = None
    seed: int | None = None
    count: int | None = None


@dataclass(frozen=True)
class Progress:
    step: int
    steps: int


@dataclass(frozen=True)
class Eta:
    """When half of such tasks, and nine of ten, have ended."""

    p50: datetime
    p90: datetime


@dataclass(frozen=True)
class Failure:
    code: str
    message: str


@dataclass(frozen=True)
class Result:
    """A picture. Whoever has one of its URLs can open it, for a while."""

    id: str
    task_id: str
    index: int
    image_url: str
    thumbnail_url: str
    thumb_hash: str | None
    """A blur to be shown until the picture is there, in base64."""
    width: int
    height: int
    size_bytes: int
    media_type: str
    created_at: datetime
    expires_at: datetime | None
    """When it is deleted, unless it is a favorite or shared by then; None if it stays."""


@dataclass(frozen=True)
class Picture(Result):
    """A result in the gallery. What nobody noted of an old one is None."""

    model: str | None
    prompt: str | None
    favorite: bool


@dataclass(frozen=True)
class Task:
    id: str
    status: Status
    waiting_reason: str | None
    prompt: str
    negative_prompt: str
    model: str
    width: int
    height: int
    steps: int
    cfg: float
    seed: int
    count: int
    progress: Progress | None
    position: int | None
    """Place in the queue, 1 is next."""
    eta: Eta | None
    cancel_requested: bool
    created_at: datetime
    finished_at: datetime | None
    results: list[Result] = field(default_factory=list)
    results_unavailable: bool = False
    error: Failure | None = None

    @property
    def has_ended(self) -> bool:
        return self.status in ("completed", "failed", "canceled")

    @property
    def recipe(self) -> Recipe:
        """What makes it again."""
        return Recipe(
            prompt=self.prompt,
            model=self.model,
            negative_prompt=self.negative_prompt,
            width=self.width,
            height=self.height,
            steps=self.steps,
            cfg=self.cfg,
            seed=self.seed,
            count=self.count,
        )

    @property
    def pictures(self) -> list[Picture]:
        """Its results as they come to the gallery."""
        return [
            Picture(**vars(result), model=self.model, prompt=self.prompt, favorite=False) for result in self.results
        ]


@dataclass(frozen=True)
class History:
    """A page of tasks, newest first; `next_cursor` asks for the next one."""

    tasks: list[Task]
    next_cursor: str | None


@dataclass(frozen=True)
class Suggestion:
    text: str
    source: str
