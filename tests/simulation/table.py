"""Measures as a table for the terminal."""

from collections.abc import Iterable

from tests.simulation.measures import Measure

HEADINGS = ("scenario", "figure", "mean", "worst", "target", "", "yardsticks (mean)")


def table(measures: Iterable[Measure]) -> str:
    rows = [HEADINGS]
    said = ""
    for measure in measures:
        verdict = "" if measure.target is None else "met" if measure.is_met else "MISSED"
        yardsticks = ", ".join(
            f"{name} {number(sum(values) / len(values))}" for name, values in measure.yardsticks.items()
        )
        rows.append(
            (
                measure.scenario if measure.scenario != said else "",
                measure.figure,
                number(measure.mean),
                number(measure.worst),
                str(measure.target or ""),
                verdict,
                yardsticks,
            )
        )
        said = measure.scenario
    widths = [max(len(row[column]) for row in rows) for column in range(len(HEADINGS))]
    lines = ["  ".join(cell.ljust(width) for cell, width in zip(row, widths, strict=True)).rstrip() for row in rows]
    return "\n".join([lines[0], "-" * len(lines[0]), *lines[1:]])


def number(value: float) -> str:
    if value == int(value) or abs(value) >= 1000:
        return f"{value:.0f}"
    return f"{value:.3g}"
