"""The models on offer: what each allows, what it fills in, whether it can be asked for now."""

from dataclasses import dataclass
from enum import StrEnum
from typing import Generic, TypeVar

from services.generation.domain import Request, Spec

Number = TypeVar("Number", int, float)


class Availability(StrEnum):
    AVAILABLE = "available"
    COLD = "cold"
    UNAVAILABLE = "unavailable"


class ModelUnknown(Exception):
    def __init__(self, name: str) -> None:
        super().__init__(f"there is no model called {name!r}")
        self.violations = [("model", "is not the name of a model")]


class ModelUnavailable(Exception):
    def __init__(self, name: str, reason: str) -> None:
        super().__init__(f"the model {name!r} is not available: {reason}")


class ParameterOutOfRange(Exception):
    def __init__(self, violations: list[tuple[str, str]]) -> None:
        super().__init__("; ".join(f"{field} {text}" for field, text in violations))
        self.violations = violations


@dataclass(frozen=True)
class LocalizedText:
    en: str
    zh: str


@dataclass(frozen=True)
class Range(Generic[Number]):
    """From `min` to `max`, both included."""

    min: Number
    max: Number


@dataclass(frozen=True)
class Limits:
    """Sizes in pixels; `max_pixels` bounds width × height. No `cfg`: the model works without guidance."""

    width: Range[int]
    height: Range[int]
    size_multiple: int
    max_pixels: int
    steps: Range[int]
    cfg: Range[float] | None
    count: Range[int]

    def violations(self, spec: Spec) -> list[tuple[str, str]]:
        """[(field, what is wrong with it)]."""
        wrong = [
            *_outside("width", spec.width, self.width),
            *_outside("height", spec.height, self.height),
            *_outside("steps", spec.steps, self.steps),
            *(_outside("cfg", spec.cfg, self.cfg) if self.cfg else []),
            *_outside("count", spec.count, self.count),
        ]
        sides = {"width": spec.width, "height": spec.height}
        fields = {field for field, _ in wrong}
        for field, side in sides.items():
            if field not in fields and side % self.size_multiple:
                wrong.append((field, f"must be a multiple of {self.size_multiple}"))
        if fields.isdisjoint(sides) and spec.width * spec.height > self.max_pixels:
            wrong += [(field, f"width × height must be at most {self.max_pixels} pixels") for field in sides]
        return wrong


@dataclass(frozen=True)
class Defaults:
    """Fill in what a request leaves out."""

    width: int
    height: int
    steps: int
    cfg: float
    negative_prompt: str


@dataclass(frozen=True)
class Model:
    """One model as the executor last told of it, and the operator's switch."""

    name: str
    display_name: LocalizedText
    description: LocalizedText
    license: str
    limits: Limits
    defaults: Defaults
    negative_prompt_supported: bool
    availability: Availability
    unavailable_reason: str
    is_active: bool = True

    def spec_for(self, request: Request, random_seed: int) -> Spec:
        """What to paint for the request. Raises ModelUnavailable or ParameterOutOfRange.

        A cold model is as good as an available one: its task waits. A model without guidance ignores `cfg`, as
        one that does not heed a negative prompt ignores that.
        """
        if not self.is_active:
            raise ModelUnavailable(self.name, "it is switched off")
        if self.availability is Availability.UNAVAILABLE:
            raise ModelUnavailable(self.name, self.unavailable_reason)
        defaults = self.defaults
        spec = Spec(
            prompt=request.prompt,
            negative_prompt=_given(request.negative_prompt, defaults.negative_prompt),
            width=_given(request.width, defaults.width),
            height=_given(request.height, defaults.height),
            steps=_given(request.steps, defaults.steps),
            cfg=_given(request.cfg, defaults.cfg) if self.limits.cfg else defaults.cfg,
            seed=_given(request.seed, random_seed),
            count=_given(request.count, 1),
        )
        if violations := self.limits.violations(spec):
            raise ParameterOutOfRange(violations)
        return spec


Value = TypeVar("Value")


def _given(value: Value | None, default: Value) -> Value:
    return default if value is None else value


def _outside(field: str, value: Number, allowed: Range[Number]) -> list[tuple[str, str]]:
    if allowed.min <= value <= allowed.max:
        return []
    return [(field, f"must be {allowed.min:g} to {allowed.max:g}")]
