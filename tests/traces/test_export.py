"""One picture, made in an installation whose spans go to a collector, and what that was told when all had stopped."""

from collections.abc import Iterator
from dataclasses import dataclass
from datetime import datetime

import pytest

from tests.installation import UNLIMITED, running_installation
from tests.people import Person
from tests.traces.otlp import Collector, Told, collecting

PROMPT, UNWANTED, SOUGHT = "a zebra in zanzibar", "no xylophones", "quetzal"
LATE = "3600000"
"""Milliseconds until spans are sent: none is before the end, so all that come were sent on SIGTERM."""
ROUNDED = 2e-6
"""Seconds that the databases' and JSON's microseconds may differ from the nanoseconds of spans."""


@dataclass(frozen=True)
class Made:
    """A task that has completed, the spans of its trace, everything else that was told, and what nobody may be told."""

    task: dict
    trace: list[Told]
    collector: Collector
    secrets: list[str]

    def of(self, name: str) -> Told:
        [span] = [span for span in self.trace if span.name == name]
        return span

    def children(self, parent: Told) -> list[Told]:
        """In the order of their beginnings."""
        return sorted((span for span in self.trace if span.parent_id == parent.id), key=lambda span: span.begun_at)


@pytest.fixture(scope="module")
def made(tmp_path_factory) -> Iterator[Made]:
    with collecting() as collector:
        with running_installation(
            tmp_path_factory.mktemp("installation"),
            OTEL_EXPORTER_OTLP_ENDPOINT=collector.url,
            OTEL_BSP_SCHEDULE_DELAY=LATE,
            SKETCH_STEP_SECONDS="0.05",
            SKETCH_LOAD_SECONDS="0.05",
            **UNLIMITED,
        ) as installation:
            person = Person(installation)
            key = person.http.post("/api/v1/auth/keys", json={"name": "traces", "scopes": ["generate", "read"]})
            secret = key.raise_for_status().json()["key"]
            body = {
                "prompt": PROMPT,
                "negative_prompt": UNWANTED,
                "model": "sd15",
                "width": 64,
                "height": 64,
                "steps": 9,
            }
            accepted = person.http.post(
                "/api/v1/generation/generate", json=body, headers={"authorization": f"Bearer {secret}"}
            )
            task = person.ended(accepted.raise_for_status().json()["id"])
            found = person.http.get("/api/v1/results", params={"q": SOUGHT})
            assert task["status"] == "completed"
            assert person.picture(task["results"][0])
            person.http.close()
        _, trace_id, _, _ = accepted.headers["traceparent"].split("-")
        secrets = [*PROMPT.split()[1::2], "xylophones", SOUGHT, secret, person.name, *person.tokens.values()]
        assert found.status_code == 200
        yield Made(task, collector.of(trace_id), collector, [text for text in secrets if isinstance(text, str)])


def test_one_trace_has_spans_of_every_service_that_worked_on_the_task(made):
    services = {span.service for span in made.trace}
    assert services == {"gateway", "auth", "generation", "executor", "worker", "results"}
    elsewhere = [span for span in made.collector.spans if span.trace_id != made.trace[0].trace_id]
    assert [span for span in elsewhere if span.attributes.get("imagegen.task.id") == made.task["id"]] == []


def test_every_span_but_the_first_has_its_parent_in_the_trace_and_begins_after_it(made):
    by_id = {span.id: span for span in made.trace}
    assert len(by_id) == len(made.trace)
    [root] = [span for span in made.trace if not span.parent_id]
    assert (root.service, root.name, root.kind) == ("gateway", "POST /api/v1/generation/generate", "SERVER")
    assert root.attributes["http.response.status_code"] == 202
    for span in made.trace:
        assert span.begun_at <= span.ended_at + ROUNDED
        if span is not root:
            assert by_id[span.parent_id].begun_at <= span.begun_at + ROUNDED, span


def test_a_call_is_a_span_of_who_makes_it_and_one_of_who_answers_it(made):
    def call(name: str) -> tuple[str, str]:
        *_, asked = (
            span for span in made.trace if (span.name, span.kind) == (name, "CLIENT")
        )  # repeated if it was slow
        [answered] = made.children(asked)
        assert (answered.name, answered.kind) == (name, "SERVER")
        service, method = name.split("/")
        for span in (asked, answered):
            expected = {"rpc.system": "grpc", "rpc.service": service, "rpc.method": method, "rpc.grpc.status_code": 0}
            assert span.attributes == expected
        return asked.service, answered.service

    assert call("imagegen.generation.v1.GenerationService/CreateTask") == ("gateway", "generation")
    assert call("imagegen.executor.v1.ExecutorService/SubmitJob") == ("generation", "executor")
    assert call("imagegen.results.v1.StoreService/StoreResult") == ("worker", "results")


def test_the_attempt_goes_on_from_the_submit_and_holds_a_span_for_each_node_and_the_storing(made):
    attempt = made.of("attempt")
    assert attempt.service == "worker"
    assert attempt.attributes["imagegen.job.state"] == "completed"
    [submitted] = [span for span in made.trace if span.id == attempt.parent_id]
    assert (submitted.name, submitted.kind) == ("imagegen.executor.v1.ExecutorService/SubmitJob", "SERVER")
    *nodes, stored = made.children(attempt)
    assert stored.name == "imagegen.results.v1.StoreService/StoreResult"
    assert {node.name for node in nodes} == {
        *("CheckpointLoaderSimple", "CLIPTextEncode", "EmptyLatentImage", "KSampler", "VAEDecode", "SaveImage")
    }
    assert [node.ended_at for node in nodes[:-1]] == pytest.approx([node.begun_at for node in nodes[1:]], abs=0.01)
    assert attempt.begun_at <= nodes[0].begun_at
    assert nodes[-1].ended_at <= stored.begun_at
    assert stored.ended_at <= attempt.ended_at
    assert made.of("KSampler").attributes["imagegen.steps"] == 9


def test_the_timeline_of_the_task_is_told_as_spans(made):
    life = made.of("task")
    assert life.attributes["imagegen.task.state"] == "completed"
    ends = [moment(made.task["created_at"]), moment(made.task["finished_at"])]
    assert [life.begun_at, life.ended_at] == pytest.approx(ends, abs=ROUNDED)
    phases = made.children(life)
    assert [phase.name for phase in phases] == [part["phase"] for part in made.task["timeline"]]
    assert {phase.service for phase in phases} == {"generation"}
    for phase, part in zip(phases, made.task["timeline"], strict=True):
        assert phase.begun_at == pytest.approx(moment(part["started_at"]), abs=ROUNDED)
        assert phase.ended_at - phase.begun_at == pytest.approx(part["seconds"], abs=ROUNDED)


def test_nothing_that_a_person_wrote_or_may_show_is_told(made):
    assert len(made.secrets) >= 6
    told = b"".join(made.collector.received)
    assert made.task["id"].encode() in told
    assert [secret for secret in made.secrets if secret.encode() in told] == []


def test_what_a_process_does_of_itself_is_not_told(made):
    begun = {span.name for span in made.collector.spans if not span.parent_id}
    assert "POST /api/v1/auth/login" in begun
    assert {name for name in begun if " /api/" not in name} == set()


def moment(text: str) -> float:
    return datetime.fromisoformat(text).timestamp()
