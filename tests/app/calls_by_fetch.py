"""Runs in Pyodide (see test_browser.py): calls to the server at URL, over fetch. Its value tells in JSON what came of
each.
"""

# ruff: noqa: F704, PLE1142 - Pyodide awaits at the top level
# mypy: ignore-errors

import asyncio
import json

import httpx

from browser import FetchTransport

REFUSED = "http://127.0.0.1:9"


async def begins(_):
    """The client's own modules and all that they import."""
    import main

    return main.main.__name__


async def sends_all(http):
    headers = {"Authorization": "Bearer token", "Idempotency-Key": "key"}
    return (await http.post("/echo", json={"prompt": "灯塔"}, params={"limit": 2}, headers=headers)).json()


async def unpacks(http):
    return (await http.get("/packed")).text


async def has_no_body(http):
    answer = await http.get("/nothing")
    return answer.status_code, answer.text


async def is_refused(http):
    await http.get(f"{REFUSED}/")


async def waits_in_vain(http):
    await http.get("/silent/in-vain", timeout=0.3)


async def was_given_up_in_vain(http):
    return (await http.get("/left/in-vain")).text


async def streams(http):
    """The server sends the second piece only when the client has told it that it has the first."""
    pieces = []
    async with http.stream("GET", "/pieces") as answer:
        async for piece in answer.aiter_text():
            pieces.append(piece)
            if len(pieces) == 1:
                await http.post("/first")
    return pieces


async def falls_silent(http):
    async with http.stream("GET", "/half/read", timeout=0.3) as answer:
        await answer.aread()


async def breaks(http):
    async with http.stream("GET", "/broken") as answer:
        await answer.aread()


async def leaves(http):
    async with http.stream("GET", "/half/left") as answer:
        await anext(answer.aiter_bytes())
    return (await http.get("/left/left")).text


async def is_canceled(http):
    call = asyncio.create_task(http.get("/silent/canceled"))
    await http.get("/begun/canceled")
    call.cancel()
    await asyncio.wait([call])
    return call.cancelled(), (await http.get("/left/canceled")).text


CALLS = [
    begins,
    sends_all,
    unpacks,
    has_no_body,
    is_refused,
    waits_in_vain,
    was_given_up_in_vain,
    streams,
    falls_silent,
    breaks,
    leaves,
    is_canceled,
]


async def outcome(call):
    async with httpx.AsyncClient(base_url=URL, transport=FetchTransport(), timeout=20) as http:  # noqa: F821
        try:
            return await call(http)
        except httpx.HTTPError as error:
            return type(error).__name__


json.dumps({call.__name__: await outcome(call) for call in CALLS})
