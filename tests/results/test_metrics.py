"""What Prometheus is told of pictures and of where they lie."""

from uuid import uuid4

import pytest
from prometheus_client import REGISTRY

from services.results.blobs import Blobs
from services.runtime.errors import DependencyUnavailable
from tests.results.pictures import a_png
from tests.results.test_storage import installation


def told(name: str) -> float:
    value = REGISTRY.get_sample_value(f"imagegen_results_{name}")
    assert value is not None
    return value


def test_what_everybodys_pictures_take_is_told_together(world):
    with installation(world) as here:
        here.results.storage.take_stock()
        assert (told("stored_pictures"), told("stored_bytes")) == (0, 0)
        stored = [world.store(a_png(seed=seed), owner=uuid4()) for seed in range(3)]
        here.results.storage.take_stock()
    assert (told("stored_pictures"), told("stored_bytes")) == (3, sum(result.size_bytes for result in stored))


def test_a_store_that_does_not_do_what_it_is_asked_is_counted_and_an_absent_key_is_an_answer(tmp_path):
    blobs = Blobs.from_url(tmp_path.as_uri())
    before = told("store_failures_total")
    with pytest.raises(FileNotFoundError):
        blobs.read("nothing.png")
    assert told("store_failures_total") == before
    (tmp_path / "taken.png").mkdir()
    with pytest.raises(DependencyUnavailable):
        blobs.write("taken.png", b"bytes", "image/png")
    assert told("store_failures_total") == before + 1
