"""Responses that relay what RPCs answer while it comes."""

from collections.abc import AsyncIterable, Callable, Mapping

import grpc
import structlog
from fastapi.responses import StreamingResponse
from starlette.types import Receive, Scope, Send

log = structlog.get_logger()


class RelayedResponse(StreamingResponse):
    """`release` (None: there is nothing) is called when the response ends, however: the client left, the server stops,
    the last byte is sent.
    """

    def __init__(
        self,
        release: Callable[[], object] | None,
        content: AsyncIterable[bytes],
        *,
        status: int = 200,
        media_type: str,
        headers: Mapping[str, str],
    ) -> None:
        super().__init__(content, status, media_type=media_type, headers=headers)
        self._release = release

    async def __call__(self, scope: Scope, receive: Receive, send: Send) -> None:
        try:
            await super().__call__(scope, receive, send)
        except grpc.aio.AioRpcError as error:
            # Too late for a problem: the server cuts the connection of an unfinished response, and the client knows.
            log.warning("a response broke off", code=error.code().name)
        finally:
            if self._release is not None:
                self._release()
