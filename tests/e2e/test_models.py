"""Models come and go with their files, without a restart of anything."""

import json
import time
from collections.abc import Callable, Iterator
from contextlib import contextmanager
from pathlib import Path

import httpx
import pytest
import yaml

from services.executor.domain import SENTENCES, FailureReason
from services.executor.settings import MODELS

WAIT = 30.0
"""Seconds for every look on the way: into the folder, at the executor."""


def a_graph() -> dict[str, dict]:
    return json.loads((MODELS / "sd15.json").read_text())


def a_failing_graph(kind: str) -> dict[str, dict]:
    """Fails between the last step and the saving of the picture; with a kind that is unknown, is refused."""
    graph = a_graph()
    graph["10"] = {"class_type": "SketchFail", "inputs": {"image": ["8", 0], "nonce": 0, "kind": kind}}
    graph["9"]["inputs"]["images"] = ["10", 0]
    return graph


@contextmanager
def dropped(folder: Path, name: str, graph: dict[str, dict]) -> Iterator[None]:
    """A model that is sd15 in all but its name and its graph."""
    manifest, workflow = folder / f"{name}.yaml", folder / f"{name}.json"
    workflow.write_text(json.dumps(graph))
    manifest.write_text(yaml.safe_dump(yaml.safe_load((MODELS / "sd15.yaml").read_text()) | {"name": name}))
    try:
        yield
    finally:
        manifest.unlink()
        workflow.unlink()


def offered(http: httpx.Client) -> dict[str, bool]:
    """The names of the models, and whether each is available."""
    return {model["name"]: model["available"] for model in http.get("/api/v1/models").json()["models"]}


def eventually(holds: Callable[[], bool]) -> None:
    until = time.monotonic() + WAIT
    while not holds():
        assert time.monotonic() < until, "it never came about"
        time.sleep(0.1)


def test_a_model_that_is_dropped_into_the_folder_can_be_painted_with_until_it_is_taken_away(installation, person):
    before = offered(person.http)
    with dropped(installation.models, "dropped", a_graph()):
        eventually(lambda: offered(person.http).get("dropped", False))
        task = person.ended(person.generate(model="dropped")["id"])
        assert (task["status"], len(task["results"])) == ("completed", 1)
    eventually(lambda: offered(person.http) == before)
    body = {"prompt": "a lighthouse", "model": "dropped"}
    assert person.http.post("/api/v1/generation/generate", json=body).json()["code"] == "model_unknown"
    assert person.task(task["id"])["results"] == task["results"]


@pytest.mark.parametrize(
    ("kind", "reason"),
    [
        ("value", FailureReason.ENGINE_FAILED),
        ("oom", FailureReason.OUT_OF_MEMORY),
        ("nothing that there is", FailureReason.ENGINE_REFUSED),
    ],
)
def test_a_failed_task_tells_a_sentence_of_ours_and_nothing_of_the_engine(installation, person, kind, reason):
    name = f"failing-{reason.replace('_', '-')}"
    with dropped(installation.models, name, a_failing_graph(kind)):
        eventually(lambda: offered(person.http).get(name, False))
        task = person.generate(model=name)
        ended = person.ended(task["id"])
    assert ended["status"] == "failed"
    assert ended["error"] == {"code": reason, "message": SENTENCES[reason]}
    told = [json.dumps(ended), person.http.get(task["links"]["events"]).text]
    for words in ("SketchFail", "class_type", "Traceback", "ValueError", "sketch", str(installation.data)):
        assert not [text for text in told if words in text]
