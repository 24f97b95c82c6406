"""What the engine seam promises when ComfyUI, or the way to it, misbehaves."""

import json
import socket
import threading
import time
from contextlib import closing
from uuid import uuid4

import pytest
from aiohttp import web

from services.executor.engine import frames
from services.executor.engine.comfyui import ComfyUI
from services.executor.engine.errors import (
    EngineTooOld,
    EngineUnavailable,
    RunAbandoned,
    RunFailed,
    RunRefused,
)
from services.executor.engine.events import Decoding, Executing, Loading, Preview, Progress, Sampling, Started
from services.executor.engine.listener import Mailbox
from tests.executor import replay
from tests.executor.replay import Replay, picture


def run(server, *, on_event=lambda _: None, stop=None, **patience):
    with closing(ComfyUI(server.url, **patience)) as engine:
        engine.start()
        return engine.run(uuid4(), server.graph, output_node=server.output_node, on_event=on_event, stop=stop)


def hang_up(request):
    request.transport.abort()
    return web.Response()


class AnswerLost(Replay):
    """The prompt is queued, the answer never arrives."""

    async def prompt(self, request):
        await super().prompt(request)
        return hang_up(request)


class RequestLost(Replay):
    """The first prompt gets lost on its way."""

    lost = False

    async def prompt(self, request):
        if self.lost:
            return await super().prompt(request)
        self.lost = True
        return hang_up(request)


class QueuedAndBroken(Replay):
    async def prompt(self, request):
        await super().prompt(request)
        raise web.HTTPInternalServerError


@pytest.mark.parametrize("server", [AnswerLost, RequestLost, QueuedAndBroken])
def test_a_prompt_whose_answer_got_lost_runs_exactly_once(server):
    with server("02") as engine:
        assert run(engine) == [picture("null_00001_.png")]
        assert engine.posts == 1


class AnswerLate(Replay):
    """All frames come, and are read, before the prompt is answered: who opens a new socket has seen the old one end."""

    async def prompt(self, request):
        answer = await super().prompt(request)
        await self._playing
        await self._disconnect(killed=False)
        await self.connected.wait()
        return answer


def test_frames_that_come_before_the_answer_to_their_prompt_are_not_lost():
    events = []
    with AnswerLate("05") as engine:
        assert run(engine, on_event=events.append) == [picture("sd_00001_.png")]
    steps = [Progress(step, 4, "3") for step in (1, 2, 3, 4)]
    told = [event for event in events if not isinstance(event, Executing)]
    assert told == [Started(), Loading("4"), Sampling("3"), *steps, Decoding("8")]


class Refusing(Replay):
    def __init__(self, answer):
        super().__init__("02")
        self.answer = answer

    async def prompt(self, request):
        body = self.answer["body"]
        text = body if isinstance(body, str) else json.dumps(body)
        return web.Response(text=text, status=self.answer["status"])


def fault_of(body):
    """The recorded name of the first fault: of a node if one is blamed, else of the whole prompt."""
    nodes = list(body.get("node_errors", {}).values()) if isinstance(body, dict) else []
    return nodes[0]["errors"][0]["type"] if nodes else body["error"]["type"] if isinstance(body, dict) else None


@pytest.mark.parametrize(
    "answer",
    [
        pytest.param(entry, id=entry["note"])
        for entry in replay.entries("10")
        if entry.get("http") == "POST /prompt"
        and (entry["status"] != web.HTTPOk.status_code or entry["body"]["node_errors"])
    ],
)
def test_whatever_comfyui_refuses_is_refused_by_its_name_and_without_its_words(answer):
    with Refusing(answer) as engine, pytest.raises(RunRefused) as refused:
        run(engine)
    assert refused.value.kind in {fault_of(answer["body"]), "refused"}
    assert str(refused.value) == refused.value.kind
    assert refused.value.detail


def test_a_graph_of_which_only_a_part_was_accepted_is_canceled():
    accepted = {
        "status": 200,
        "body": {"prompt_id": "", "number": 0, "node_errors": {"5": {"errors": [{"type": "?"}]}}},
    }
    with Refusing(accepted) as engine:
        with pytest.raises(RunRefused):
            run(engine)
        assert engine.canceled.is_set()


def test_an_engine_that_is_not_there_is_unavailable_without_further_patience():
    with socket.socket() as taken:
        taken.bind(("127.0.0.1", 0))
        with closing(ComfyUI(f"http://127.0.0.1:{taken.getsockname()[1]}")) as engine:
            engine.start()
            began = time.monotonic()
            with pytest.raises(EngineUnavailable) as error:
                engine.run(uuid4(), {}, output_node="9", on_event=lambda _: None)
            assert error.value.kind == "unreachable"
            assert time.monotonic() - began < 10  # the patience is 15
            with pytest.raises(EngineUnavailable):
                engine.probe()


class Stats(Replay):
    """Answers /system_stats, and every other GET, with a text."""

    def __init__(self, text):
        super().__init__("02")
        self.text = text

    def routes(self):
        return [web.get("/{path:.*}", self.stats)]

    async def stats(self, _):
        return web.Response(text=self.text)


@pytest.mark.parametrize(
    ("version", "new_enough"),
    [("0.24.9", False), ("0.3.76", False), ("v0.25.0", True), ("0.33.0", True), ("1.0.0", True), ("nightly", False)],
)
def test_an_engine_without_atomic_cancel_is_too_old(version, new_enough):
    device = {"name": "cuda:0 NVIDIA H100", "vram_total": 80, "vram_free": 70}
    with (
        Stats(json.dumps({"system": {"comfyui_version": version}, "devices": [device]})) as server,
        closing(ComfyUI(server.url)) as engine,
    ):
        if new_enough:
            info = engine.probe()
            assert (info.version, info.device) == (version, "cuda:0 NVIDIA H100")
            assert (info.vram_total, info.vram_free) == (80, 70)
        else:
            with pytest.raises(EngineTooOld) as error:
                engine.probe()
            assert str(error.value) == error.value.kind == "too_old"
            assert error.value.detail == f"ComfyUI 0.25.0 or newer is needed, and this is {version}."


@pytest.mark.parametrize("text", ["<html>a login page</html>", "{}", "[]", "null", '{"system": {}}'])
def test_a_server_that_is_no_comfyui_is_unavailable(text):
    with Stats(text) as server, closing(ComfyUI(server.url)) as engine:
        for question in (engine.probe, engine.files, engine.queue_length, lambda: engine.find(uuid4())):
            if (text, question) != ("[]", engine.files):
                with pytest.raises(EngineUnavailable) as error:
                    question()
                assert error.value.kind == "bad_answer"
                assert str(error.value) == "bad_answer"


class PictureGone(Replay):
    async def view(self, _):
        raise web.HTTPNotFound


def test_a_picture_whose_file_is_gone_is_worth_another_try():
    with PictureGone("02") as engine, pytest.raises(RunFailed) as failed:
        run(engine)
    assert (failed.value.kind, failed.value.retryable) == ("output_lost", True)


def test_a_run_without_a_picture_of_the_output_node_is_no_success():
    with Replay("02") as engine:
        engine.record["outputs"] = {}
        with pytest.raises(RunFailed) as failed:
            run(engine)
    assert (failed.value.kind, failed.value.retryable) == ("no_output", False)


class Garbling(Replay):
    """Puts malformed frames between the good ones."""

    async def send(self, entry, frame):
        for client in self.sockets.values():
            await client.send_str("{")
            await client.send_bytes(b"\0\0\0\4")
        await super().send(entry, frame)


def test_malformed_frames_do_not_end_a_run():
    events = []
    with Garbling("07") as engine:
        assert run(engine, on_event=events.append) == [picture("sd_00003_.png")]
        assert len(engine.clients) == 1
    assert any(isinstance(event, Preview) for event in events)


class Deaf(Replay):
    """Its first socket opens and hears nothing more, not even of the prompt; the run lasts until a second one."""

    async def play(self):
        self.connected.clear()
        await self.connected.wait()
        self.status = "over"


def test_a_deaf_socket_is_replaced_under_a_fresh_client_id():
    with Deaf("02") as engine:
        assert run(engine, stall=30) == [picture("null_00001_.png")]
        assert len(engine.clients) == len(set(engine.clients)) == 2


def test_each_opening_of_the_socket_is_counted():
    with Replay("16") as server, closing(ComfyUI(server.url)) as engine:
        assert engine.connections == 0
        engine.start()
        engine.run(uuid4(), server.graph, output_node=server.output_node, on_event=lambda _: None)
        assert engine.connections == len(server.clients) == 2


class Endless(Replay):
    """The run begins, and nothing more is heard of it though HTTP is well."""

    async def play(self):
        self.status = "in_progress"
        self.started.set()


def test_a_stopped_run_is_abandoned_but_not_canceled():
    stop = threading.Event()
    with Endless("02") as engine:
        with pytest.raises(RunAbandoned):
            run(engine, stop=stop, on_event=lambda _: stop.set())
        assert not engine.canceled.is_set()


def test_a_listener_of_events_that_fails_ends_the_call_with_its_own_error():
    def lease_lost(_):
        raise LookupError("lease lost")

    with Replay("02") as engine, pytest.raises(LookupError, match="lease lost"):
        run(engine, on_event=lease_lost)


class Notifying(Replay):
    """Says when the whole recording has been sent."""

    def __init__(self, recording):
        super().__init__(recording)
        self.sent = threading.Event()

    async def play(self):
        await super().play()
        self.sent.set()


def test_a_listener_of_events_that_blocks_until_the_run_is_over_still_gets_its_end():
    events = []
    with Notifying("07") as engine:

        def slow(event):
            engine.sent.wait(10)
            events.append(event)

        assert run(engine, on_event=slow) == [picture("sd_00003_.png")]
    newest = [entry["bin"]["bytes"] for entry in replay.entries("07") if "bin" in entry][-1]
    assert len([event for event in events if isinstance(event, Preview)][-1].data) == newest


def test_a_mailbox_that_nobody_empties_stays_small_and_keeps_the_newest_preview_and_the_call():
    mailbox = Mailbox()
    for step in range(1, 10_001):
        mailbox.put(frames.PreviewImage("p", "3", "image/jpeg", b"%d" % step))
        mailbox.put(frames.Progress("p", "3", step, 10_000))
        if step == 1:
            mailbox.call()
    (preview, *others), called = mailbox.take(timeout=0)
    assert preview.data == b"10000"
    assert others[-1].value == 10_000
    assert len(others) < 100
    assert called
    assert mailbox.take(timeout=0) == ([], False)


def test_what_is_forgotten_loses_its_files_even_while_the_engine_is_away(tmp_path):
    gone, kept = uuid4(), uuid4()
    for prompt_id in (gone, kept):
        folder = tmp_path / "imagegen" / str(prompt_id)
        folder.mkdir(parents=True)
        (folder / "image_00001_.png").touch()
    with socket.socket() as taken:
        taken.bind(("127.0.0.1", 0))
        url = f"http://127.0.0.1:{taken.getsockname()[1]}"
        with closing(ComfyUI(url, output_directory=tmp_path)) as engine:
            engine.forget(gone)
            engine.forget(gone)
    assert [folder.name for folder in (tmp_path / "imagegen").iterdir()] == [str(kept)]
