"""The four measurements. Each returns lines of the table."""

import itertools
import json
import os
import statistics
import subprocess
import sys
import time
from collections.abc import Iterator, Mapping, Sequence
from contextlib import contextmanager
from dataclasses import dataclass
from pathlib import Path

from tests.bench.direct import Engine, Workflow
from tests.bench.ours import Executor, Painted
from tests.bench.parts import PROJECT, Parts
from tests.bench.record import recorded

_SETTLE_SECONDS = 5.0
_TICKS = os.sysconf("SC_CLK_TCK")


@dataclass(frozen=True)
class Line:
    """One line: what was measured, on our path, on the engine driven directly, and what lies between."""

    what: str
    ours: str
    direct: str = ""
    between: str = ""
    aim: str = ""


@dataclass(frozen=True)
class Bench:
    """What the measurements run on; no two runs have the same seed, so no engine can answer from its cache."""

    parts: Parts
    engine: Engine
    executor: Executor
    seeds: Iterator[int]

    @contextmanager
    def worker(self, *workflows: Workflow, command: Sequence[str] = ()) -> Iterator[None]:
        """A worker that has these models (`Parts.worker`)."""
        with self.parts.worker(*command):
            for workflow in workflows:
                self.executor.await_model(workflow.name)
            yield

    def take_seeds(self, number: int) -> Sequence[int]:
        return list(itertools.islice(self.seeds, number))

    def await_forgetting(self, newest: Sequence[str]) -> None:
        """Wait until the engine remembers no newer run than those: the worker has tidied up."""
        deadline = time.monotonic() + _SETTLE_SECONDS
        while self.engine.newest() != newest and time.monotonic() < deadline:
            time.sleep(0.005)


def latency(bench: Bench, workflow: Workflow, runs: int) -> Iterator[Line]:
    """One picture at a time, by our path and directly in turn, so that both meet the same neighbours."""
    before = bench.engine.newest()
    ours: list[Painted] = []
    direct: list[float] = []
    for number, seed in enumerate(bench.take_seeds(2 * (runs + 1))):
        if number % 2:
            direct.append(bench.engine.paint(workflow, seed))
            bench.engine.forget()
        else:
            ours.append(bench.executor.paint(workflow, seed))
            bench.await_forgetting(before)
    ours, direct = ours[1:], direct[1:]  # the first of each opens connections
    added = [mine.told - plain for mine, plain in zip(ours, direct, strict=True)]
    for name, at, aim in (("p50", 50, "< 30 ms"), ("p95", 95, "")):
        yield Line(
            f"one picture, {name} of {runs}",
            milliseconds(percentile([mine.told for mine in ours], at)),
            milliseconds(percentile(direct, at)),
            f"+{milliseconds(percentile(added, at))}",
            aim,
        )
    for phase, spans in (
        ("submitted to begun, p50", [mine.began for mine in ours]),
        ("begun to ended, p50", [mine.ended - mine.began for mine in ours]),
        ("ended to told, p50", [mine.told - mine.ended for mine in ours]),
    ):
        yield Line(f"  {phase}", milliseconds(percentile(spans, 50)))


def idle(bench: Bench, workflow: Workflow, runs: int) -> Iterator[Line]:
    """The engine's pauses between runs while there is always more to do, by its own record."""
    with recorded(bench.parts.engine_url) as record:
        bench.executor.burst(workflow, bench.take_seeds(runs))
        ours = record.idle_gaps(runs)
    with recorded(bench.parts.engine_url) as record:
        bench.engine.burst(workflow, bench.take_seeds(runs))
        direct = record.idle_gaps(runs)
    bench.engine.forget()
    for name, at, aim in (("p50", 50, "< 10 ms"), ("p95", 95, ""), ("max", 100, "")):
        mine, plain = percentile(ours, at), percentile(direct, at)
        yield Line(
            f"idle between two runs, {name} of {len(ours)}",
            f"{mine:.0f} ms",
            f"{plain:.0f} ms",
            f"+{mine - plain:.0f} ms",
            aim,
        )


def throughput(bench: Bench, workflow: Workflow, pictures: int) -> Iterator[Line]:
    """Pictures per second, and whose processor time a picture takes."""
    direct = pictures / bench.engine.burst(workflow, bench.take_seeds(pictures))
    bench.engine.forget()
    before = {name: cpu_seconds(pid) for name, pid in bench.parts.pids.items()}
    ours = pictures / bench.executor.burst(workflow, bench.take_seeds(pictures))
    used = {name: cpu_seconds(pid) - before[name] for name, pid in bench.parts.pids.items()}
    yield Line(f"burst of {pictures}", f"{ours:.1f} /s", f"{direct:.1f} /s", f"ratio {ours / direct:.2f}")
    yield Line("processor time per picture", milliseconds(sum(used.values()) / pictures))
    for name, seconds in largest_first(used):
        yield Line(f"  {name}", milliseconds(seconds / pictures))


def costs(bench: Bench, workflow: Workflow, pictures: int, shown: int) -> Iterator[Line]:
    """What a worker's threads are busy with per picture, or whose answer they wait for (`tests.bench.sampled`)."""
    samples = bench.parts.folder / "samples.json"
    command = (sys.executable, "-m", "tests.bench.sampled", "services.executor.worker", str(samples))
    with bench.worker(workflow, command=command):
        bench.executor.burst(workflow, bench.take_seeds(pictures))
    places: dict[str, tuple[float, float]] = json.loads(samples.read_text())
    servers: dict[str, tuple[float, float]] = {}
    for place, (wall, processor) in places.items():
        server = place.partition("|")[2]
        before = servers.get(server, (0.0, 0.0))
        servers[server] = (before[0] + wall, before[1] + processor)
    everything = (sum(wall for wall, _ in servers.values()), sum(processor for _, processor in servers.values()))
    for named in ({"the threads of a worker": everything}, servers, places):
        for place, (wall, processor) in sorted(named.items(), key=lambda item: -item[1][0])[:shown]:
            busy = f"cpu {milliseconds(processor / pictures)}"
            yield Line(place.replace("|", ": "), milliseconds(wall / pictures), "", busy, f"{wall / everything[0]:.0%}")


def memory(bench: Bench) -> Iterator[Line]:
    """A worker's memory beside that of a process that has only imported what a worker imports."""
    worker = memory_of_pid(bench.parts.pids["worker"])
    bare, imports = _memory_after("pass"), _memory_after("import services.executor.worker.__main__")
    rows = [
        (f"a worker after {bench.executor.completed} pictures", worker, "< 120 MiB"),
        ("  its imports", imports, ""),
    ]
    for what, (rss, pss), aim in [*rows, ("  a bare Python", bare, "")]:
        yield Line(what, f"{rss:.0f} MiB", "", f"PSS {pss:.0f} MiB", aim)


def _memory_after(statement: str) -> tuple[float, float]:
    script = f"{statement}\nprint(open('/proc/self/smaps_rollup').read())"
    environment = {**os.environ, "PYTHONPATH": f"{PROJECT}:{PROJECT}/protos/gen"}
    ran = subprocess.run([sys.executable, "-c", script], env=environment, capture_output=True, text=True, check=True)
    return memory_of(ran.stdout)


def memory_of_pid(pid: int | None) -> tuple[float, float]:
    """RSS and PSS in MiB of a process."""
    return memory_of(Path(f"/proc/{pid}/smaps_rollup").read_text())


def memory_of(rollup: str) -> tuple[float, float]:
    """RSS and PSS in MiB, from the content of an smaps_rollup (proc(5))."""
    kilobytes = {
        name: int(rest.split()[0])
        for name, _, rest in (line.partition(":") for line in rollup.splitlines())
        if name in ("Rss", "Pss")
    }
    return kilobytes["Rss"] / 1024, kilobytes["Pss"] / 1024


def cpu_seconds(pid: int) -> float:
    """Of a process and of all its children, dead ones that it waited for included (proc(5), stat)."""
    children: dict[int, list[int]] = {}
    used: dict[int, int] = {}
    for stat in Path("/proc").glob("[0-9]*/stat"):
        try:
            process, _, rest = stat.read_text().rpartition(")")
        except (FileNotFoundError, ProcessLookupError):
            continue
        fields = rest.split()
        number = int(process.split()[0])
        children.setdefault(int(fields[1]), []).append(number)
        used[number] = sum(map(int, fields[11:15]))
    family = [pid]
    for member in family:
        family += children.get(member, [])
    return sum(used.get(member, 0) for member in family) / _TICKS


def largest_first(values: Mapping[str, float]) -> Sequence[tuple[str, float]]:
    return sorted(values.items(), key=lambda item: -item[1])


def percentile(values: Sequence[float], percent: int) -> float:
    if percent == 100 or len(values) == 1:
        return max(values)
    return statistics.quantiles(values, n=100, method="inclusive")[percent - 1]


def milliseconds(seconds: float) -> str:
    return f"{1000 * seconds:.1f} ms"
