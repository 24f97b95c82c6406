"""Sizes of files as people speak."""

UNITS = ("B", "kB", "MB", "GB", "TB")


def size(count: int) -> str:
    """With two or three figures, decimally as in a shop: 1.2 MB."""
    shown, power = float(count), 0
    while shown >= 999.5 and power + 1 < len(UNITS):
        shown, power = shown / 1000, power + 1
    figures = 1 if power and shown < 9.95 else 0
    return f"{shown:.{figures}f} {UNITS[power]}"
