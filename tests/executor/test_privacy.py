"""What people write is in no line of a worker's log and in no span, whatever becomes of their jobs."""

import httpx
import pytest
from aiohttp import web
from opentelemetry.trace import StatusCode

from services.executor import store
from services.executor.scheduling.ledger import Ledger
from tests.executor.builders import a_job, a_spec
from tests.executor.replay import Replay
from tests.executor.sketch_process import SketchProcess
from tests.executor.worker_parts import now, worker_parts
from tests.traces.recording import recording

PROMPT = "the secret garden"


@pytest.fixture
def paint(database, database_url, redis_url, results):
    """Paints one job on the engine at a URL, without success."""

    def paint(url):
        job = a_job(spec=a_spec(prompt=PROMPT, width=64, height=64), created_at=now())
        with database.transaction() as tx:
            Ledger(None).add(tx, job)
        with (
            recording() as spans,
            worker_parts(
                database_url=database_url, redis_url=redis_url, results_address=results.address, comfyui_url=url
            ) as worker,
        ):
            worker.painter.paint(worker.claim())
        [attempt] = [span for span in spans.get_finished_spans() if span.name == "attempt"]
        assert attempt.status.status_code is StatusCode.ERROR
        assert [span.name for span in spans.get_finished_spans() if PROMPT in span.to_json()] == []
        with database.transaction() as tx:
            assert store.get_job(tx, job.id).attempts == 1

    return paint


@pytest.mark.parametrize("fault", ["value", "oom"])
def test_a_run_that_fails_tells_the_log_no_prompt(paint, capfd, fault):
    with SketchProcess() as sketch:
        httpx.post(f"{sketch.url}/sketch/faults", json={"kind": fault}).raise_for_status()
        paint(sketch.url)
    assert_is_private(capfd)


class Quoting(Replay):
    """Answers a prompt, or the question for its run, with words that quote it."""

    def __init__(self, status, prompt_answer, error=None):
        super().__init__("02")
        self.answer_status, self.prompt_answer, self.error = status, prompt_answer, error

    async def prompt(self, _):
        return web.Response(status=self.answer_status, text=self.prompt_answer)

    async def job(self, request):
        if self.error is None:
            return web.json_response({"error": "Job not found"}, status=404)
        return web.json_response({"id": request.match_info["id"], "status": "failed", "execution_error": self.error})

    async def cancel(self, _):
        return web.json_response({"cancelled": False})


NODE_ERROR = f'{{"type": "value_not_in_list", "message": "{PROMPT}", "details": "{PROMPT}", "extra_info": {{}}}}'


@pytest.mark.parametrize(
    "quoting",
    [
        (400, f'{{"error": {NODE_ERROR}, "node_errors": {{"6": {{"errors": [{NODE_ERROR}]}}}}}}'),
        (400, f'{{"error": "{PROMPT}", "node_errors": []}}'),
        (413, PROMPT),
        (500, f"500 Internal Server Error: {PROMPT}"),
        (
            200,
            '{"node_errors": {}}',
            {"node_type": "CLIPTextEncode", "exception_type": "ValueError", "exception_message": PROMPT},
        ),
    ],
)
def test_an_engine_that_quotes_a_prompt_is_not_quoted(paint, capfd, quoting):
    with Quoting(*quoting) as engine:
        paint(engine.url)
    assert_is_private(capfd)


def assert_is_private(capfd):
    log = capfd.readouterr().out
    assert "attempt failed" in log
    assert PROMPT not in log
