"""When an engine ran what, by its own record."""

import itertools
import threading
from collections.abc import Iterator
from contextlib import contextmanager
from typing import Any
from uuid import uuid4

import httpx
from websockets.exceptions import ConnectionClosed

from tests.bench.direct import connected

_SECONDS = 5.0


class Record:
    """The runs that began and ended since it was opened, whoever submitted them.

    A worker deletes a run's entry once it has the picture, so the entries are read as soon as the engine tells
    every socket that its queue has changed; who keeps the queue full is not disturbed by more than that.
    """

    def __init__(self, http: httpx.Client) -> None:
        self._http = http
        self._former = {job["id"] for job in self._ended()}
        self._spans: dict[str, tuple[int, int]] = {}
        self._changed = threading.Condition()

    def look(self) -> None:
        """Read what ended lately."""
        spans = {job["id"]: (job["execution_start_time"], job["execution_end_time"]) for job in self._ended()}
        with self._changed:
            self._spans.update({run: span for run, span in spans.items() if run not in self._former})
            self._changed.notify()

    def idle_gaps(self, runs: int) -> list[float]:
        """The milliseconds between the end of each run and the beginning of the next.

        Raises:
            RuntimeError: fewer runs than that were seen.
        """
        with self._changed:
            if not self._changed.wait_for(lambda: len(self._spans) >= runs, _SECONDS):
                raise RuntimeError(f"{len(self._spans)} of {runs} runs were seen in the engine's record")
            spans = sorted(self._spans.values())
        return [float(begin - end) for (_, end), (begin, _) in itertools.pairwise(spans)]

    def _ended(self) -> list[dict[str, Any]]:
        answer = self._http.get("/api/jobs", params={"status": "completed", "limit": 50})  # the newest come first
        jobs: list[dict[str, Any]] = answer.raise_for_status().json()["jobs"]
        return jobs


@contextmanager
def recorded(url: str) -> Iterator[Record]:
    with httpx.Client(base_url=url, trust_env=False) as http, connected(url, str(uuid4())) as socket:
        record = Record(http)

        def follow() -> None:
            try:
                for message in socket:
                    if isinstance(message, str) and message.startswith('{"type": "status"'):
                        record.look()
            except ConnectionClosed:
                pass

        follower = threading.Thread(target=follow, name="record")
        follower.start()
        try:
            yield record
        finally:
            socket.close()
            follower.join()
