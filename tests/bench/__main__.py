"""python -m tests.bench [--runs N] [--model NAME]: prints what our path costs, beside the engine driven directly.

COMFYUI_URL puts a real engine in the place of sketch. It has no run of exactly one second: name an installed model
with --model to measure the pauses between its runs instead. The load on the API always has sketch behind it.
"""

import argparse
import itertools
import os
import random
import shutil
import tempfile
from collections.abc import Iterator
from pathlib import Path

from tests.bench import client, gallery, load, sizing
from tests.bench.direct import Engine, Workflow
from tests.bench.measures import Bench, Line, costs, idle, latency, memory, throughput
from tests.bench.ours import Executor
from tests.bench.parts import PROJECT, Parts, running

INSTALLED = PROJECT / "services" / "executor" / "models"
OWN = Path(__file__).parent / "models"
LARGEST_SEED = 0xFFFFFF  # the null workflow paints the seed as its colour


def main() -> None:
    parser = argparse.ArgumentParser(prog="python -m tests.bench", description=__doc__)
    parser.add_argument("--runs", type=int, default=50, help="pictures in a row at concurrency 1 (default: 50)")
    parser.add_argument("--burst", type=int, default=200, help="pictures of a burst (default: 200)")
    parser.add_argument("--users", type=int, default=50, help="who use the API at once (default: 50)")
    parser.add_argument("--waiting", type=int, default=1000, help="tasks that wait meanwhile (default: 1000)")
    parser.add_argument("--seconds", type=float, default=30, help="of each load on the API (default: 30)")
    parser.add_argument("--streams", type=int, default=500, help="event streams at once (default: 500)")
    parser.add_argument(
        "--pictures", type=int, default=1_000_000, help="that galleries are searched in (default: a million)"
    )
    parser.add_argument(
        "--only", choices=("engine", "api", "gallery", "client", "sizing"), help="measure one of the parts"
    )
    parser.add_argument("--sessions", type=int, default=200, help="of the client at once (default: 200)")
    parser.add_argument("--model", help="take this installed model where runs of one second are measured")
    arguments = parser.parse_args()
    if arguments.only in (None, "engine"):
        _beside_the_engine(arguments)
    if arguments.only in (None, "gallery"):
        gallery.measure(pictures=arguments.pictures, repeats=4 * arguments.runs)
    if arguments.only in (None, "api"):
        load.measure(
            users=arguments.users, waiting=arguments.waiting, seconds=arguments.seconds, streams=arguments.streams
        )
    if arguments.only in (None, "client"):
        client.measure(sessions=arguments.sessions, pictures=2000, repeats=5)
    if arguments.only in (None, "sizing"):
        sizing.measure(pictures=5 * arguments.burst, streams=arguments.streams // 5)


def _beside_the_engine(arguments: argparse.Namespace) -> None:
    with tempfile.TemporaryDirectory(prefix="imagegen-bench-models-") as name:
        models = Path(name)
        for file in [*OWN.iterdir(), *INSTALLED.glob(f"{arguments.model}.*")]:
            shutil.copy(file, models)
        with running(models, os.environ.get("COMFYUI_URL", "")) as parts:
            _measure(parts, models, arguments)


def _measure(parts: Parts, models: Path, arguments: argparse.Namespace) -> None:
    null, long = Workflow(models, "null"), Workflow(models, arguments.model or "second")
    few = max(2, arguments.runs // 5)
    engine = Engine(parts.engine_url)
    executor = Executor(parts.executor_address)
    bench = Bench(parts, engine, executor, itertools.count(random.randrange(LARGEST_SEED // 2)))
    _say(f"{engine.version()} · load {os.getloadavg()[0]:.1f} on {os.cpu_count()} processors")
    _show(Line("", "ours", "direct", "between", "aim"))

    def section(title: str, workflow: Workflow, lines: Iterator[Line]) -> None:
        _say(f"\n{title}: {workflow.name}")
        if lacking := engine.lacks(workflow):
            _say(f"NOT RUN: the engine has no {', '.join(lacking)}")
            return
        for line in lines:
            _show(line)

    with bench.worker(null, long):
        section("1. Latency at concurrency 1", null, latency(bench, null, arguments.runs))
        section("1. Latency at concurrency 1", long, latency(bench, long, few))
        section("2. The engine's idle time, queue kept full", long, idle(bench, long, 2 * few))
        section("3. Pictures per second", null, throughput(bench, null, arguments.burst))
        section("4. Memory of a worker", null, memory(bench))
    section("5. What a picture of a burst costs a worker", null, costs(bench, null, arguments.burst, shown=12))
    executor.close()
    engine.close()


def _show(line: Line) -> None:
    _say(f"{line.what:54} {line.ours:>11} {line.direct:>11} {line.between:>11} {line.aim:>8}".rstrip())


def _say(text: str) -> None:
    print(text, flush=True)  # noqa: T201 - the table is what this program is for


if __name__ == "__main__":
    main()
