"""Completes what a person is typing: their own recent prompts, then a curated vocabulary of English and Chinese.

The vocabulary lies in `vocabulary/*.txt`, one phrase a line under headings; under `starters` are whole prompts for
whoever has typed nothing yet.
"""

import re
from collections.abc import Iterator
from dataclasses import dataclass
from enum import StrEnum
from itertools import chain, zip_longest
from pathlib import Path

FOLDER = Path(__file__).parent / "vocabulary"

LONGEST_HAN_TAIL = 8
"""Chinese has no spaces between words: so many of the last characters may begin a phrase."""

HAN_RUN = re.compile(r"[\u3400-\u9fff]+$")
LATIN_WORDS = re.compile(r"(?:[^\W_\u3400-\u9fff][\w'-]* ){0,3}[^\W_\u3400-\u9fff][\w'-]* ?$")


class Source(StrEnum):
    HISTORY = "history"
    VOCABULARY = "vocabulary"


@dataclass(frozen=True)
class Suggestion:
    """The whole text as it would read."""

    text: str
    source: Source


class Vocabulary:
    """The phrases and starters of some languages."""

    def __init__(self, languages: list[dict[str, list[str]]]) -> None:
        self._starters = [language.pop("starters") for language in languages]
        self._phrases = [phrase for language in languages for phrases in language.values() for phrase in phrases]

    def starters(self) -> Iterator[str]:
        """Whole prompts, the languages in turn."""
        return (prompt for prompts in zip_longest(*self._starters) for prompt in prompts if prompt)

    def completions(self, text: str) -> Iterator[str]:
        """The text with its last words completed, those first that complete most of it."""
        for tail in _tails(text):
            folded = tail.lower()
            for phrase in self._phrases:
                if len(phrase) > len(tail) and phrase.lower().startswith(folded):
                    yield text + phrase[len(tail) :]


def load_vocabulary() -> Vocabulary:
    """The one that is bundled."""
    return Vocabulary([_sections(path.read_text(encoding="utf-8")) for path in sorted(FOLDER.glob("*.txt"))])


def suggest(text: str, recent_prompts: list[str], vocabulary: Vocabulary, limit: int) -> list[Suggestion]:
    """At most `limit` completions of the text, each once; `recent_prompts` are as many at most, and begin with it."""
    more = vocabulary.completions(text) if text.strip() else vocabulary.starters()
    found = dict.fromkeys(recent_prompts, Source.HISTORY)
    for completion in more:
        if len(found) >= limit:
            break
        found.setdefault(completion, Source.VOCABULARY)
    return [Suggestion(completion, source) for completion, source in found.items()]


def _tails(text: str) -> Iterator[str]:
    """Ends of the text that a phrase may begin with, the longest first."""
    if run := HAN_RUN.search(text):
        han = run.group()[-LONGEST_HAN_TAIL:]
        yield han
        yield from (han[start:] for start in range(1, len(han) - 1))
    elif words := LATIN_WORDS.search(text):
        tail = words.group()
        starts = chain([0], (space.end() for space in re.finditer(" (?=.)", tail)))
        yield from (tail[start:] for start in starts)


def _sections(lines: str) -> dict[str, list[str]]:
    sections: dict[str, list[str]] = {}
    for line in lines.splitlines():
        if line.startswith("# "):
            heading = sections.setdefault(line.removeprefix("# "), [])
        elif line:
            heading.append(line)
    return sections
