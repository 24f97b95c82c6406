"""What a worker says of its engine and of itself, and what the launcher makes of it."""

import asyncio
import socket
import threading
from http.server import BaseHTTPRequestHandler, ThreadingHTTPServer

import pytest

from deploy.local.liveness import changes, until_denied_twice, works
from deploy.local.ports import LOOPBACK

SILENCE = None
"""In the place of a status: the connection is closed without an answer."""


class Worker(BaseHTTPRequestHandler):
    """Says of itself or its engine what the test has scripted; the last again and again."""

    def do_GET(self):
        script = self.server.script
        status = script.pop(0) if len(script) > 1 else script[0]
        if self.path != self.server.path:
            status = 404
        if status is SILENCE:
            return
        self.send_response(status)
        self.end_headers()

    def log_message(self, *_):
        pass


@pytest.fixture
def worker():
    with ThreadingHTTPServer((LOOPBACK, 0), Worker) as server:
        thread = threading.Thread(target=server.serve_forever, args=(0.01,))
        thread.start()
        yield server
        server.shutdown()
        thread.join()


@pytest.fixture(params=["/engine", "/worker"])
def script(worker, request):
    """Makes the worker say these statuses; returns its opinion."""
    worker.path = request.param

    def say(*statuses):
        worker.script = list(statuses)
        return works(f"{LOOPBACK}:{worker.server_port}", worker.path)

    return say


@pytest.mark.parametrize(("status", "works"), [(200, True), (503, False), (404, None), (500, None), (SILENCE, None)])
def test_only_a_clear_answer_counts(script, status, works):
    assert script(status)() is works


def test_a_worker_that_is_away_says_nothing():
    with socket.create_server((LOOPBACK, 0)) as server:
        address = f"{LOOPBACK}:{server.getsockname()[1]}"
    assert works(address, "/worker")() is None


@pytest.mark.parametrize("denied", [[503, 503], [200, 503, 503], [503, 200, 503, 503], [503, SILENCE, 503]])
def test_an_engine_is_given_up_when_its_worker_says_no_twice(script, worker, denied):
    asyncio.run(until_denied_twice(script(*denied, 599), 0))
    assert worker.script == [599]


def test_changes_are_given_once(script):
    opinion = script(200, 503, 503, SILENCE, 503, 200, 200, SILENCE, 200, 503)

    async def first_three():
        found = changes(opinion, 0)
        return [await anext(found), await anext(found), await anext(found)]

    assert asyncio.run(first_three()) == [False, True, False]
