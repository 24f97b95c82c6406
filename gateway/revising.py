"""Responses that are changed once the whole of them is there."""

from collections.abc import Callable

from starlette.types import Message, Send


def revising(
    send: Send, is_meant: Callable[[Message], bool], revise: Callable[[Message, Message], tuple[Message, Message]]
) -> Send:
    """Sends what `revise` makes of the start and the body of those responses whose start is meant; what comes in pieces
    passes as it is.
    """
    held: Message | None = None

    async def send_revised(message: Message) -> None:
        nonlocal held
        if message["type"] == "http.response.start" and is_meant(message):
            held = message
            return
        if held is not None:
            start, held = held, None
            if not message.get("more_body"):
                start, message = revise(start, message)
            await send(start)
        await send(message)

    return send_revised
