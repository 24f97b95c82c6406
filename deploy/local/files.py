"""Small files that are whole or not there, and for their owner's eyes only."""

from pathlib import Path


def replace(path: Path, text: str) -> None:
    """Puts `text` in the place of the file, at once and with mode 0600."""
    unfinished = path.with_name(f"{path.name}.unfinished")
    unfinished.unlink(missing_ok=True)
    unfinished.touch(mode=0o600)
    unfinished.write_text(text)
    unfinished.rename(path)
