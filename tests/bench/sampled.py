"""python -m tests.bench.sampled MODULE OUTPUT: runs a module as `python -m` does, and says what its threads do.

OUTPUT gets, as JSON, the seconds for each place, by the clock on the wall and of a processor. A place is the two
innermost functions of ours outside the runtime, and whose answer they waited for: that of PostgreSQL, the engine,
results or Valkey; or else "own code". Waiting for work, for a frame or for another thread counts for nothing, and
neither does the main thread, which only starts and stops the others.
"""

import json
import runpy
import sys
import threading
import time
from collections import defaultdict
from pathlib import Path
from types import FrameType

_EVERY_SECONDS = 0.001
_OURS = str(Path(__file__).resolve().parents[2] / "services")
_RUNTIME = f"{_OURS}/runtime"
_SERVERS = {"sqlalchemy": "PostgreSQL", "httpx": "engine", "grpc": "results", "redis": "Valkey"}
_IDLE = ("threading.py", "queue.py", "selectors.py", "websockets/sync/messages.py")


class Sampler(threading.Thread):
    """Looks at every other thread each millisecond."""

    def __init__(self) -> None:
        super().__init__(name="sampler", daemon=True)
        self.seconds: defaultdict[str, list[float]] = defaultdict(lambda: [0.0, 0.0])
        """Place → by the clock on the wall, and of a processor."""
        self._used: dict[int, float] = {}
        self._stopping = threading.Event()

    def stop(self) -> None:
        self._stopping.set()
        self.join()

    def run(self) -> None:
        looked_at = time.perf_counter()
        while not self._stopping.wait(_EVERY_SECONDS):
            now = time.perf_counter()
            frames = sys._current_frames()
            for thread in threading.enumerate():
                frame = frames.get(thread.ident or 0)
                if frame is None or thread in (self, threading.main_thread()):
                    continue
                place = _place(frame)
                if place is not None and thread.native_id is not None:
                    spent = self.seconds[place]
                    spent[0] += now - looked_at
                    spent[1] += self._newly_used(thread.native_id)
            looked_at = now

    def _newly_used(self, thread: int) -> float:
        """Seconds of a processor since this thread was last seen busy (/proc/…/schedstat, in nanoseconds)."""
        try:
            used = int(Path(f"/proc/self/task/{thread}/schedstat").read_text().split()[0]) / 1e9
        except (FileNotFoundError, ProcessLookupError):  # it has ended since
            return 0.0
        newly = used - self._used.get(thread, used)
        self._used[thread] = used
        return newly


def _place(innermost: FrameType) -> str | None:
    """Where a thread is, in our words; None if it is idle, or in nothing of ours."""
    ours: list[str] = []
    server = None
    frame: FrameType | None = innermost
    while frame is not None and len(ours) < 2:
        file = frame.f_code.co_filename
        if file.startswith(_OURS):
            if not file.startswith(_RUNTIME):
                ours.append(f"{Path(file).stem}.{frame.f_code.co_name.strip('_')}")
        elif not ours:
            package = file.partition("site-packages/")[2].partition("/")[0]
            server = _SERVERS.get(package, server)
        frame = frame.f_back
    if not ours or (server is None and innermost.f_code.co_filename.endswith(_IDLE)):
        return None
    return f"{' < '.join(ours)}|{server or 'own code'}"


def main() -> None:
    module, output = sys.argv[1], Path(sys.argv[2])
    sys.setswitchinterval(_EVERY_SECONDS / 4)  # a busy thread must not keep the sampler out for five milliseconds
    sampler = Sampler()
    sampler.start()
    sys.argv = [module]
    try:
        runpy.run_module(module, run_name="__main__", alter_sys=True)
    finally:
        sampler.stop()
        output.write_text(json.dumps(sampler.seconds))


if __name__ == "__main__":
    main()
