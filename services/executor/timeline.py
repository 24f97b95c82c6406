"""What a job was at, from its making to its end, as phases without a gap.

    queued ─► starting ─► painting ─► model load ─► steps ─► decode ─► store
      ▲                       (whatever of these the engine tells of)
      └──────── lost ◄── an attempt that did not bring the job to its end

A timeline names beginnings only: each phase lasts until the next one begins and the last until the job's end, so its
parts cannot fail to add up. The first, in the queue since the job was made, goes without saying.
"""

from collections.abc import Sequence
from dataclasses import dataclass
from datetime import datetime
from enum import StrEnum


class PhaseKind(StrEnum):
    QUEUED = "queued"
    STARTING = "starting"
    PAINTING = "painting"
    MODEL_LOAD = "model_load"
    STEPS = "steps"
    DECODE = "decode"
    STORE = "store"
    LOST = "lost"


MOST_PHASES = 32
"""Kept of an attempt, and of all that came before it. A plain workflow has six; neither a graph nor the number of
attempts may make a row large.
"""


@dataclass(frozen=True)
class Phase:
    kind: PhaseKind
    started_at: datetime


Timeline = tuple[Phase, ...]


def claimed(timeline: Timeline, now: datetime) -> Timeline:
    return (*timeline, Phase(PhaseKind.STARTING, now))


def seen(timeline: Timeline, phases: Sequence[Phase]) -> Timeline:
    """The timeline with what a worker saw of the present attempt, in the place of what was known of it before."""
    before, attempt = _parted(timeline)
    return (*before, attempt[0], *phases) if attempt else timeline


def lost(timeline: Timeline) -> Timeline:
    """The present attempt came to nothing, whatever it had been at. Once there are too many, all become one."""
    before, attempt = _parted(timeline)
    if not attempt:
        return timeline
    if len(before) + 2 > MOST_PHASES:
        return (Phase(PhaseKind.LOST, before[0].started_at),)
    return (*before, Phase(PhaseKind.LOST, attempt[0].started_at))


def waiting_again(timeline: Timeline, now: datetime) -> Timeline:
    return (*lost(timeline), Phase(PhaseKind.QUEUED, now))


def _parted(timeline: Timeline) -> tuple[Timeline, Timeline]:
    """What was before the present attempt, and the attempt: it begins with the only `starting` that is not lost."""
    for index, phase in enumerate(timeline):
        if phase.kind is PhaseKind.STARTING:
            return timeline[:index], timeline[index:]
    return timeline, ()
