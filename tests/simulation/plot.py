"""Waits as bars for the terminal, and as curves in an SVG file."""

from collections.abc import Mapping, Sequence

from tests.simulation.measures import percentile

SHARES = (0.05, 0.25, 0.5, 0.75, 0.95, 1.0)
WIDTH = 60
COLOURS = ("#1b7f4d", "#b3452c", "#4a5fa8")


def bars(waits: Mapping[str, Sequence[float]]) -> str:
    """For each scheduler how long the given share of jobs waited at most; all on one scale."""
    longest = max(max(values) for values in waits.values())
    lines = []
    for name, values in waits.items():
        for share in SHARES:
            wait = percentile(values, share)
            bar = "█" * max(1, round(WIDTH * wait / longest))
            lines.append(f"{name if share == SHARES[0] else '':14} {share:4.0%} {bar} {wait:.1f}")
    return "\n".join(lines)


def svg(title: str, waits: Mapping[str, Sequence[float]]) -> str:
    """The share of jobs that had begun after so many service times, a curve for each scheduler."""
    longest = max(max(values) for values in waits.values())
    parts = [
        '<svg xmlns="http://www.w3.org/2000/svg" viewBox="0 0 680 380" font-family="sans-serif" font-size="13">',
        '<rect width="680" height="380" fill="white"/>',
        f'<text x="50" y="24" font-size="15">{title}</text>',
        '<path d="M50 40V330H650" fill="none" stroke="#888"/>',
        '<text x="650" y="366" text-anchor="end">wait in service times</text>',
    ]
    for mark in range(5):
        at = longest * mark / 4
        parts.append(f'<text x="{50 + 150 * mark}" y="348" text-anchor="middle">{at:.0f}</text>')
        parts.append(f'<text x="44" y="{334 - 72.5 * mark:.1f}" text-anchor="end">{25 * mark}%</text>')
    for index, (name, values) in enumerate(waits.items()):
        points = " ".join(
            f"{50 + 600 * percentile(values, percent / 100) / longest:.1f},{330 - 2.9 * percent:.1f}"
            for percent in range(101)
        )
        colour = COLOURS[index % len(COLOURS)]
        parts.append(f'<polyline points="{points}" fill="none" stroke="{colour}" stroke-width="2"/>')
        parts.append(f'<text x="520" y="{250 + 20 * index}" fill="{colour}">{name}</text>')
    return "\n".join([*parts, "</svg>", ""])
