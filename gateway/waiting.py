"""`Prefer: wait=N` (RFC 7240 §4.3): an answer that waits until there is something to say."""

import asyncio
import re
from collections.abc import Awaitable, Callable
from typing import Annotated, TypeVar

import grpc
import structlog
from fastapi import Depends, Header, Request
from imagegen.generation.v1 import generation_service_pb2 as generation

from gateway.clients import Calls

log = structlog.get_logger()

LONGEST_SECONDS = 60

WAIT = re.compile(r'wait\s*=\s*"?0*([1-9][0-9]{0,8})"?\s*(?:;.*)?', re.IGNORECASE)
"""One preference; who asks for ten years or more is not understood."""

SPARE_SECONDS = 5.0
"""A watch may last so much longer than its reader: its deadline is for a reader that died."""

Found = TypeVar("Found")


async def left(request: Request) -> None:
    """Returns when the client has gone. The request's body must have been read."""
    while (await request.receive())["type"] != "http.disconnect":
        pass


class Patience:
    """How long a request wants to wait, and what ends the waiting early: its client leaves, the gateway stops."""

    def __init__(
        self,
        request: Request,
        prefer: Annotated[
            list[str] | None,
            Header(description=f"`wait=20`: answer when there is something to say; up to {LONGEST_SECONDS} seconds."),
        ] = None,
    ) -> None:
        asked = (WAIT.fullmatch(one.strip()) for one in ",".join(prefer or ()).split(","))
        self.seconds = next((min(int(found[1]), LONGEST_SECONDS) for found in asked if found), 0)
        self.headers = {"Preference-Applied": f"wait={self.seconds}"} if self.seconds else {}
        self._request = request

    async def watch(
        self,
        calls: Calls,
        task_id: str,
        look: Callable[[], Awaitable[Found]],
        is_enough: Callable[[Found], bool],
        found: Found,
    ) -> Found:
        """`found` as a look after one of the task's events has it, if that is enough; else the last there was.

        The events only say when to look: what is answered is what a later request would read.
        """
        loop = asyncio.get_running_loop()
        until = loop.time() + self.seconds
        call = calls.generation.WatchTask(
            generation.WatchTaskRequest(task_id=task_id),
            metadata=calls.metadata,
            timeout=self.seconds + SPARE_SECONDS,
        )
        enders = {
            asyncio.create_task(self._request.app.state.stopping.wait()),
            asyncio.create_task(left(self._request)),
        }
        try:
            while not is_enough(found) and loop.time() < until:
                read = asyncio.ensure_future(call.read())
                await asyncio.wait({read, *enders}, timeout=until - loop.time(), return_when=asyncio.FIRST_COMPLETED)
                if not read.done():
                    read.cancel()
                    break
                event = read.result()
                if not isinstance(event, generation.WatchTaskResponse):  # the end of the stream
                    return await look()
                if event.WhichOneof("event") in ("snapshot", "status", "progress"):
                    found = await look()
        except grpc.aio.AioRpcError as error:
            log.info("a watch broke off; what is known is answered", code=error.code().name)
        finally:
            call.cancel()
            for ender in enders:
                ender.cancel()
        return found


PatienceDependency = Annotated[Patience, Depends(Patience)]
