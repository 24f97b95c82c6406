"""A figure over several seeds, beside its target and the same figure under the yardsticks."""

import math
from collections.abc import Iterable, Sequence
from dataclasses import dataclass, field
from statistics import mean


@dataclass(frozen=True)
class Target:
    least: float = -math.inf
    most: float = math.inf

    def is_met(self, value: float) -> bool:
        return self.least <= value <= self.most

    def miss(self, value: float) -> float:
        """How far outside a value is; the further inside the more below zero."""
        return max(self.least - value, value - self.most)

    def __str__(self) -> str:
        if math.isinf(self.least):
            return f"≤ {self.most:g}"
        return f"≥ {self.least:g}" if math.isinf(self.most) else f"{self.least:g}–{self.most:g}"


@dataclass(frozen=True)
class Measure:
    """One value for each seed; of the yardsticks too. Without a target it is only told."""

    scenario: str
    figure: str
    values: Sequence[float]
    target: Target | None = None
    yardsticks: dict[str, Sequence[float]] = field(default_factory=dict)

    @property
    def mean(self) -> float:
        return mean(self.values)

    @property
    def worst(self) -> float:
        return max(self.values, key=self.target.miss if self.target else None)

    @property
    def is_met(self) -> bool:
        """On the whole. What the worst seed does is printed beside it."""
        return self.target is None or self.target.is_met(self.mean)


def jain(shares: Iterable[float]) -> float:
    """Jain's index: 1 if all have the same, 1/n if one has all."""
    values = list(shares)
    squares = sum(value * value for value in values)
    return sum(values) ** 2 / (len(values) * squares) if squares else 1.0


def percentile(values: Iterable[float], share: float) -> float:
    """The smallest value that so many are not above."""
    ordered = sorted(values)
    return ordered[max(0, math.ceil(share * len(ordered)) - 1)]
