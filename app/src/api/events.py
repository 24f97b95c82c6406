"""What happens to a person's tasks, for ever: a lost connection is taken up again after the last event that came."""

import asyncio
import base64
import binascii
import json
from collections.abc import AsyncIterator
from dataclasses import dataclass
from typing import Any

import httpx_sse

from api.connection import Connection
from api.decoding import decode
from api.problems import Problem, UnknownAnswer, Unreachable
from api.resources import Progress, Task

WAITS = (0.5, 1.0, 2.0, 5.0, 10.0)
"""Seconds before each try to connect again; the last stays."""


@dataclass(frozen=True)
class Changed:
    """The whole task as it is now."""

    task: Task


@dataclass(frozen=True)
class Progressed:
    task_id: str
    progress: Progress


@dataclass(frozen=True)
class Previewed:
    """The picture so far."""

    task_id: str
    image: bytes


@dataclass(frozen=True)
class Missed:
    """Something may not have been told; every unfinished task is told anew, then `CaughtUp`."""


@dataclass(frozen=True)
class CaughtUp:
    """Every unfinished task has been told."""


@dataclass(frozen=True)
class Lost:
    """The connection broke or could not be made; the next event tells that it is back."""


Event = Changed | Progressed | Previewed | Missed | CaughtUp | Lost


async def follow(connection: Connection, path: str) -> AsyncIterator[Event]:
    """Yields events for ever; of one task, in order.

    Raises:
        Problem: the gateway refuses for good: the session has ended.
        UnknownAnswer: as for `Connection.call`.
    """
    last = ""
    failures = 0
    while True:
        try:
            async with connection.stream(path, {"Last-Event-ID": last} if last else {}) as source:
                if source is None:
                    raise UnknownAnswer("a stream without an end was said to have ended")
                if not last:
                    yield Missed()
                async for sent in source.aiter_sse():
                    failures = 0
                    if not sent.data:  # what the reader makes of a keep-alive; to a browser it is none (HTML §9.2.6)
                        continue
                    last = "" if sent.event == "reset" else sent.id or last
                    event = _event(sent)
                    if event is not None:
                        yield event
        except (Problem, Unreachable) as error:
            if isinstance(error, Problem) and not error.is_passing:
                raise
            yield Lost()
        await asyncio.sleep(WAITS[min(failures, len(WAITS) - 1)])
        failures += 1


def _event(sent: httpx_sse.ServerSentEvent) -> Event | None:
    """None for one that this client does not know."""
    try:
        data = json.loads(sent.data)
        match sent.event:
            case "snapshot" | "status":
                return Changed(decode(Task, data))
            case "progress":
                return Progressed(data["task_id"], decode(Progress, data))
            case "preview":
                return Previewed(data["task_id"], _image(data))
            case "caught_up":
                return CaughtUp()
            case "reset":
                return Missed()
    except (ValueError, KeyError) as error:
        raise UnknownAnswer(str(error)) from error
    return None


def _image(data: Any) -> bytes:
    try:
        return base64.b64decode(data["image"], validate=True)
    except binascii.Error as error:
        raise UnknownAnswer(str(error)) from error
