"""python -m tests.simulation [--seeds N] [--out FOLDER]: the policy of the executor, replayed on simulated GPUs.

Exit 1 if a target is missed.
"""

import argparse
import sys
from pathlib import Path
from time import perf_counter

from tests.simulation import plot
from tests.simulation.cells import cells
from tests.simulation.claim_load import claim_load
from tests.simulation.claim_time import claim_times
from tests.simulation.eta import eta
from tests.simulation.replay import AFFINITY, FAIR, FIFO
from tests.simulation.scale import scales
from tests.simulation.scenarios import (
    backlogged,
    contention,
    light_users,
    light_waits,
    reloads,
    separate_pools,
    unloaded_model,
)
from tests.simulation.table import table


def main() -> None:
    arguments = argparse.ArgumentParser(description=__doc__)
    arguments.add_argument("--seeds", type=int, default=5, help="how many times each scenario is replayed")
    arguments.add_argument("--out", type=Path, help="a folder for the table and the plot as files")
    options = arguments.parse_args()
    seeds = range(options.seeds)
    began = perf_counter()

    waits = [light_waits(seed) for seed in seeds]
    measures = [
        *light_users(waits),
        *separate_pools(seeds),
        *backlogged(seeds),
        *reloads(seeds),
        *contention(seeds),
        *unloaded_model(seeds),
        *eta(seeds),
        *scales(),
        *cells(),
    ]
    times, plans = claim_times()
    times += claim_load()
    together = {name: [wait for of_seed in waits for wait in of_seed[name]] for name in (FAIR, FIFO, AFFINITY)}
    title = "Light users beside a hot one: waits in service times"
    figures = table([*measures, *times])
    explained = "\n\n".join("\n".join([f"The heads, {name}:", *lines]) for name, lines in plans.items())
    bars = plot.bars(together)
    print(f"{figures}\n\n{title}\n\n{bars}\n\n{explained}\n\n{options.seeds} seeds, {perf_counter() - began:.0f} s")  # noqa: T201
    if options.out:
        options.out.mkdir(parents=True, exist_ok=True)
        (options.out / "simulation.txt").write_text(f"{figures}\n\n{title}\n\n{bars}\n\n{explained}\n")
        (options.out / "waits.svg").write_text(plot.svg(title, together))
    sys.exit(not all(measure.is_met for measure in [*measures, *times]))


if __name__ == "__main__":  # claims at once come from processes of their own, which import this
    main()
