"""What the engine seam makes of answers and silences that no recording holds."""

import re
import socket
import threading
from collections.abc import Iterator
from contextlib import closing, contextmanager, suppress
from uuid import uuid4

import pytest
from aiohttp import web

from services.executor.engine.comfyui import ComfyUI
from services.executor.engine.errors import EngineError, EngineUnavailable, RunFailed
from tests.executor.replay import PICTURE, Replay, run


async def cut_in_mid_body(request):
    answer = web.StreamResponse(headers={"Content-Length": "1000"})
    await answer.prepare(request)
    await answer.write(b'{"prompt_id": "')
    request.transport.abort()
    return answer


def always(body, status=200, content_type="application/json"):
    async def answer(_):
        return web.Response(text=body, status=status, content_type=content_type)

    return answer


BAD = {
    "cut in mid-body": cut_in_mid_body,
    "a proxy's 503": always("<html>no upstream</html>", 503, "text/html"),
    "a proxy's 500": always("<html>oops</html>", 500, "text/html"),
    "a proxy's 404": always("<html>no route</html>", 404, "text/html"),
    "a proxy's 403": always("<html>who are you</html>", 403, "text/html"),
    "a login page": always("<html>log in</html>", 200, "text/html"),
    "an empty object": always("{}"),
    "a list": always("[]"),
    "half a number": always('{"status": 1e999, "node_errors'),
    "many brackets": always("[" * 100_000),
    "an unknown status": always('{"status": "meditating"}'),
    "a foreign record": always('{"status": "completed", "id": "another", "outputs": {}}'),
}


class Intermittent(Replay):
    """Every question of a run is answered badly at first: before the prompt is queued, after it, and later."""

    def __init__(self, bad):
        super().__init__("02")
        self.bad = {"prompt": [bad, bad], "job": [bad, bad, bad]}

    async def prompt(self, request):
        if len(self.bad["prompt"]) == 1:
            await super().prompt(request)  # queued, and the answer is replaced
        return await (self.bad["prompt"].pop()(request) if self.bad["prompt"] else super().prompt(request))

    async def job(self, request):
        return await (self.bad["job"].pop()(request) if self.bad["job"] else super().job(request))


@pytest.mark.parametrize(
    "name", ["cut in mid-body", "a proxy's 503", "a proxy's 404", "a login page", "an empty object"]
)
def test_bad_answers_in_between_neither_end_a_run_nor_repeat_it(name):
    with Intermittent(BAD[name]) as engine:
        assert run(engine) == [PICTURE]
        assert engine.posts == 1


class NoRecord(Replay):
    """Accepts the prompt and answers every question about it badly."""

    def __init__(self, bad):
        super().__init__("02")
        self.job = bad


@pytest.mark.parametrize("bad", BAD.values(), ids=BAD)
def test_bad_answers_for_ever_end_with_the_patience(bad):
    with NoRecord(bad) as engine, pytest.raises(EngineUnavailable) as error:
        run(engine, patience=0.5)
    assert error.value.kind in {"bad_answer", "no_answer"}


@contextmanager
def raw_server(serve) -> Iterator[str]:
    """A TCP server that gives each connection to `serve(connection, over)` in a thread of its own."""
    over, threads = threading.Event(), []

    def talk(connection):
        with connection, suppress(OSError):
            serve(connection, over)

    def accept():
        with suppress(OSError):
            while True:
                threads.append(threading.Thread(target=talk, args=(listener.accept()[0],)))
                threads[-1].start()

    with socket.create_server(("127.0.0.1", 0)) as listener:
        accepting = threading.Thread(target=accept)
        accepting.start()
        yield f"http://127.0.0.1:{listener.getsockname()[1]}"
        over.set()
        listener.shutdown(socket.SHUT_RDWR)
        accepting.join()
    for thread in threads:
        thread.join()


def never_answers(_, over):
    over.wait()


def drips(beginning):
    """Sends the beginning of an answer at once, then a byte now and then: no read ever waits long."""

    def serve(connection, over):
        connection.sendall(beginning)
        while not over.wait(0.05):
            connection.sendall(b" ")

    return serve


@pytest.mark.parametrize(
    "serve",
    [
        pytest.param(never_answers, id="silent"),
        pytest.param(drips(b"HTTP/1.1 200 OK\r\nX-Slow:"), id="dripping header"),
        pytest.param(drips(b"HTTP/1.1 200 OK\r\nContent-Length: 100000\r\n\r\n{"), id="dripping body"),
        pytest.param(drips(b"SSH-2.0-not-http\r\n"), id="another protocol"),
    ],
)
def test_a_server_that_is_silent_or_drips_is_given_up_with_the_patience(serve):
    with raw_server(serve) as url, closing(ComfyUI(url, patience=0.5)) as engine:
        engine.start()
        with pytest.raises(EngineUnavailable) as error:
            engine.run(uuid4(), {}, output_node="9", on_event=lambda _: None)
        assert error.value.kind == "no_answer"


def with_outputs(server, **outputs):
    server.record["outputs"] = {server.output_node if node == "ours" else node: o for node, o in outputs.items()}
    return server


FILE = {"filename": "null_00001_.png"}


@pytest.mark.parametrize(
    "outputs",
    [
        pytest.param({"ours": {"images": [FILE]}}, id="without folder and type"),
        pytest.param(
            {
                "a": {"text": ["x"]},
                "b": {"animated": [True]},
                "c": None,
                "d": {"images": None},
                "ours": {"images": [FILE]},
            },
            id="beside outputs of other kinds",
        ),
        pytest.param({"ours": {"images": [FILE], "animated": [False]}}, id="with a mark"),
        pytest.param({"ours": {"images": [{"animated": True}, None, FILE]}}, id="among entries without a file"),
    ],
)
def test_a_picture_is_found_in_whatever_else_the_record_holds(outputs):
    with with_outputs(Replay("02"), **outputs) as engine:
        assert run(engine) == [PICTURE]


@pytest.mark.parametrize("output", [{"animated": [True]}, {"text": ["x"]}, {"images": []}, {"images": "x"}, None, [1]])
def test_an_output_without_a_picture_is_no_success(output):
    with with_outputs(Replay("02"), ours=output) as engine, pytest.raises(RunFailed) as failed:
        run(engine)
    assert failed.value.kind == "no_output"


@pytest.mark.parametrize(
    "error", [None, "text", [], {}, {"exception_type": None}, {"exception_type": ["x"], "exception_message": {}}]
)
def test_a_failure_without_a_proper_reason_is_still_a_failure(error):
    with Replay("02") as engine, pytest.raises(RunFailed) as failed:
        engine.record |= {"status": "failed", "execution_error": error}
        run(engine)
    assert failed.value.kind == "execution_error"


@pytest.mark.parametrize("name", ["torch.OutOfMemoryError", "torch.cuda.OutOfMemoryError"])
def test_every_torch_calls_running_out_of_memory_by_a_name_that_is_known(name):
    with Replay("02") as engine, pytest.raises(RunFailed) as failed:
        engine.record |= {"status": "failed", "execution_error": {"exception_type": name}}
        run(engine)
    assert (failed.value.kind, failed.value.retryable) == ("out_of_memory", True)


@pytest.mark.parametrize(
    "body", [PICTURE[:-1], PICTURE[:20], b"", PICTURE[1:], b"<html></html>", b"\xff\xd8\xff\xe0JFIF\xff\xd9"]
)
def test_what_is_no_whole_png_is_not_delivered_but_worth_another_try(body):
    class Broken(Replay):
        async def view(self, _):
            return web.Response(body=body)

    with Broken("02") as engine, pytest.raises(RunFailed) as failed:
        run(engine)
    assert (failed.value.kind, failed.value.retryable) == ("output_broken", True)


class PictureLate(Replay):
    """The picture comes through at the third try."""

    tries = 0

    async def view(self, request):
        self.tries += 1
        if self.tries < 3:
            return await (cut_in_mid_body(request) if self.tries == 1 else BAD["a proxy's 503"](request))
        return await super().view(request)


def test_a_picture_that_is_cut_on_its_way_is_fetched_again():
    with PictureLate("02") as engine:
        assert run(engine) == [PICTURE]
        assert engine.posts == 1


class PartlyAccepted(Replay):
    """Accepts a part of the graph, and cannot be told to stop it."""

    async def prompt(self, request):
        await super().prompt(request)
        return web.json_response({"node_errors": {"5": "x"}})

    async def cancel(self, _):
        raise web.HTTPServiceUnavailable


def test_a_part_that_cannot_be_canceled_is_refused_all_the_same():
    with PartlyAccepted("02") as engine, pytest.raises(EngineError) as error:
        run(engine)
    assert error.value.kind == "refused"
    assert re.fullmatch("[a-z_]+", str(error.value))
