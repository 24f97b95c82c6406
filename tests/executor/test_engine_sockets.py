"""What the engine seam makes of frames that are garbage, late or without end, and of sockets that break off."""

import asyncio
import json
import struct
import threading
from uuid import uuid4

import pytest
from aiohttp import web

from services.executor.engine.errors import EngineUnavailable
from services.executor.engine.events import Preview, Progress, Started
from tests.executor.replay import PICTURE, Replay, picture, run


def progress(value, maximum):
    return f'{{"type": "progress", "data": {{"prompt_id": "ID", "node": "3", "value": {value}, "max": {maximum}}}}}'


BIG = 48 * 1024 * 1024
GARBAGE = [
    *("{", "", "[]", "null", "7", '"x"', "[" * 100_000, '{"type": "executing"}', '{"type": {}, "data": {}}'),
    *('{"type": "executing", "data": []}', '{"type": "executing", "data": {"node": 3, "prompt_id": []}}'),
    *('{"type": "progress", "data": null}', '{"type": "execution_start", "data": {"prompt_id": {"a": 1}}}'),
    '{"type": "status", "data": {"status": {"exec_info": {"queue_remaining": 1e999}}}}',
    *(progress("NaN", 4), progress("Infinity", 4), progress(1, "1e999"), progress(2, 0), progress(0, 0)),
    *(progress(-3, 4), progress(5, 4), progress("9" * 400, "9" * 400), progress(1, 10**9), progress('"x"', 4)),
    *('{"type": "crystools.monitor"}', '{"type": "crystools.monitor", "data": {"cpu": 99}}'),
    json.dumps({"type": "executing", "data": {"node": None, "prompt_id": str(uuid4())}}),
    json.dumps({"type": "executing", "data": {"node": "3"}}),
    json.dumps({"type": "execution_success", "data": {"prompt_id": "ID"}}),
    json.dumps({"type": "progress_state", "data": {"nodes": {"n": "x" * BIG}}}),
    *(b"", b"\0\0\0\4", struct.pack(">II", 4, 2**32 - 1), struct.pack(">II", 4, 2) + b"[]", b"\xff" * 12),
    struct.pack(">II", 4, 47) + b'{"image_type":[],"prompt_id":"ID","node_id":3} ',
    struct.pack(">II", 1, 2) + b"\0" * BIG,
    struct.pack(">II", 3, 2**31) + b"x",
]


class Garbling(Replay):
    """Sends garbage, goes on when the first good frame after it has been understood, and sends each good one twice."""

    def __init__(self, recording):
        super().__init__(recording)
        self.understood = threading.Event()

    async def play(self):
        for frame in [*GARBAGE, progress(1, 4)]:
            for client in self.sockets.values():
                if isinstance(frame, str):
                    await client.send_str(frame.replace("ID", self._id))
                else:
                    await client.send_bytes(frame.replace(b"ID", self._id.encode()))
        await asyncio.to_thread(self.understood.wait, 60)
        await super().play()

    async def send(self, entry, frame):
        await super().send(entry, frame)
        await super().send(entry, frame)


def test_garbage_and_repeated_frames_change_nothing_and_break_no_connection():
    events = []
    with Garbling("07") as engine:

        def on_event(event):
            events.append(event)
            if isinstance(event, Progress):
                engine.understood.set()

        assert run(engine, on_event=on_event) == [picture("sd_00003_.png")]
        assert engine.understood.is_set()
        assert len(engine.clients) == 1
    assert events[0] == Started()
    assert events.count(Started()) == 1
    assert {(e.step, e.steps) for e in events if isinstance(e, Progress)} == {(step, 4) for step in range(1, 5)}
    assert any(isinstance(e, Preview) for e in events)


class Backwards(Replay):
    """The run's frames arrive in the reverse order, its end first."""

    async def play(self):
        kept = []

        async def keep(entry, frame):
            kept.append((entry, frame))

        self.send = keep
        await super().play()
        del self.send
        self.status = "in_progress"
        for entry, frame in reversed(kept):
            await self.send(entry, frame)
        self.status = "over"


def test_frames_out_of_order_do_not_end_a_run_early():
    with Backwards("07") as engine:
        assert run(engine) == [picture("sd_00003_.png")]


class HistoryLate(Replay):
    """The terminal frame comes, and the record is written only after the first look at it."""

    looks = 0

    async def job(self, request):
        self.looks += 1
        if self.looks == 1:
            return web.json_response({"status": "in_progress"})
        return await super().job(request)


def test_a_terminal_frame_before_the_record_is_written_is_no_end():
    with HistoryLate("02") as engine:
        assert run(engine) == [PICTURE]
        assert engine.looks > 1


def breaks_off(frame):
    """A socket whose first connection gets these raw bytes in mid-run and then its end."""

    class BreakingOff(Replay):
        broken = False

        async def socket(self, request):
            self.transport = request.transport
            return await super().socket(request)

        async def send(self, entry, message):
            if not self.broken and entry.get("msg", {}).get("type") == "progress":
                self.broken = True
                self.transport.write(frame)
                self.transport.close()
                self.connected.clear()
                await self.connected.wait()
            await super().send(entry, message)

    return BreakingOff


@pytest.mark.parametrize(
    "frame",
    [
        pytest.param(b"\x82\x7f\0\0\0\0\xff\0\0\0half", id="in mid-frame"),
        pytest.param(b"\x81\x02\xff\xfe", id="after text that is no UTF-8"),
        pytest.param(b"\xf3\x00", id="after a reserved opcode"),
        pytest.param(b"\x88\x02\x03\xe8", id="in order"),
    ],
)
def test_a_socket_that_breaks_off_is_replaced_and_the_run_ends_well(frame):
    with breaks_off(frame)("07") as engine:
        assert run(engine) == [picture("sd_00003_.png")]
        assert len(engine.clients) == len(set(engine.clients)) == 2


class Waiting(Replay):
    """The run waits behind a foreign one; the socket tells only the length of the queue."""

    lengths: tuple[int, ...] = ()

    async def play(self):
        for length in self.lengths:
            await asyncio.sleep(0.4)
            frame = json.dumps({"type": "status", "data": {"status": {"exec_info": {"queue_remaining": length}}}})
            for client in self.sockets.values():
                await client.send_str(frame)
        if self.lengths[-1] == 1:
            await super().play()


class Moving(Waiting):
    lengths = tuple(range(12, 0, -1))


class Frozen(Waiting):
    lengths = tuple(range(2, 60))


def test_a_run_that_waits_while_the_queue_gets_shorter_is_not_judged():
    with Moving("02") as engine:
        assert run(engine, stall=3) == [PICTURE]


@pytest.mark.parametrize("status", ["pending", "in_progress"])
def test_a_queue_that_only_grows_is_frozen_whatever_the_socket_says(status):
    with Frozen("02") as engine:
        engine.status = status
        with pytest.raises(EngineUnavailable) as error:
            run(engine, stall=1)
    assert error.value.kind == "stalled"


class Babbling(Replay):
    """A custom node talks for ever, and HTTP has gone bad."""

    async def play(self):
        for _ in range(100):
            await asyncio.sleep(0.1)
            for client in self.sockets.values():
                await client.send_str('{"type": "crystools.monitor", "data": {}}')

    async def job(self, _):
        raise web.HTTPServiceUnavailable


def test_talk_that_proves_no_work_does_not_prolong_the_patience():
    with Babbling("02") as engine, pytest.raises(EngineUnavailable) as error:
        run(engine, patience=1)
    assert error.value.kind == "bad_answer"


class Busy(Replay):
    """The frames of the run go on for ever, while its record says that it is over."""

    async def play(self):
        self.status = "over"
        for step in range(10_000):
            await asyncio.sleep(0.1)
            for client in self.sockets.values():
                await client.send_str(progress(step, 10_000).replace("ID", self._id))


def test_frames_without_end_do_not_hide_the_end():
    with Busy("02") as engine:
        assert run(engine) == [PICTURE]
