"""How much is decoded and encoded at once."""

import threading
from collections.abc import Iterator

import pytest

from services.results.domain import MAX_PIXELS
from services.results.png import clean_png
from services.results.studio import SMALL_PIXELS, Studio
from tests.results.pictures import a_png


class Bench:
    """Work that goes on until it is told to stop; knows how much of it was under way at once."""

    def __init__(self) -> None:
        self._lock = threading.Lock()
        self._now = 0
        self.most = 0
        self.begun = threading.Semaphore(0)
        self.go_on = threading.Event()

    def __call__(self) -> None:
        with self._lock:
            self._now += 1
            self.most = max(self.most, self._now)
        self.begun.release()
        assert self.go_on.wait(20)
        with self._lock:
            self._now -= 1


@pytest.fixture
def bench() -> Iterator[Bench]:
    bench = Bench()
    yield bench
    bench.go_on.set()


@pytest.mark.parametrize(("pixels", "at_once"), [(SMALL_PIXELS, 2), (SMALL_PIXELS + 1, 1), (MAX_PIXELS, 1)])
def test_so_many_pictures_are_worked_on_at_once_and_the_others_wait(bench, pixels, at_once):
    studio = Studio()
    waiting = [studio.submit(pixels, bench) for _ in range(6)]
    for _ in range(at_once):
        assert bench.begun.acquire(timeout=20)
    bench.go_on.set()
    for one in waiting:
        one.result(20)
    assert bench.most == at_once


def test_nobody_waits_for_large_pictures(bench):
    studio = Studio()
    for _ in range(3):
        studio.submit(MAX_PIXELS, bench)
    assert studio.submit(SMALL_PIXELS, lambda: "made").result(20) == "made"


def test_who_stores_a_picture_does_not_wait_for_variants(bench):
    studio = Studio()
    for _ in range(6):
        studio.submit(SMALL_PIXELS, bench)
    assert studio.hash(clean_png(memoryview(a_png()))).result(20)
