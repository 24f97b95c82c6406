"""How a picture is found by its words: which terms its row holds, and which of them a search asks for.

Text is compared after Unicode's NFKC and case folding. It falls apart into two kinds of pieces:

- a *word* of letters, digits and their marks, as most scripts write them: one term. A search for a word of three
  characters or more finds the words that begin so: "light" finds "lighthouse";
- a *run* of a script that puts no spaces between words (Chinese, Japanese, Korean, Thai, …), or of symbols such as
  emoji: one term for each of its characters, with the two that follow it. One character or two are looked for as the
  beginning of a term, three as a whole one, and more as terms that follow one another; so a search finds the runs that
  have exactly its characters side by side. (Terms of two would do for that, but three characters whose pairs are in
  many prompts, and hardly ever together, would mean looking at all of those.)

All pieces of a search have to be found, in any order. What is neither (punctuation, spaces) only divides.

PostgreSQL keeps the terms in a `tsvector` with a GIN index. Each begins with the mark of its shelf (see
`store.shelves`), so that what others have painted, and what the same person painted long ago, lies elsewhere in the
index and costs a search nothing.
"""

import hashlib
import unicodedata
from base64 import urlsafe_b64encode
from collections.abc import Iterator
from functools import lru_cache
from itertools import groupby, pairwise
from uuid import UUID

MIN_PREFIX = 3
"""Shorter words are found whole: half of a vocabulary begins with the same few letters."""
MAX_WORD = 64
"""Characters of a word that count. Nobody types more to find a picture, and the index takes no term of 2 KiB."""

RUN_TERM = 3
"""Characters of a run in one term."""

_SOLID = (
    (0x0E00, 0x0EFF),  # Thai, Lao
    (0x1000, 0x109F),  # Burmese
    (0x1100, 0x11FF),  # Korean
    (0x1780, 0x17FF),  # Khmer
    (0x3005, 0x31FF),  # Japanese, Bopomofo, Korean
    (0x3400, 0x4DBF),  # Chinese characters, as the next and those of the planes above
    (0x4E00, 0x9FFF),
    (0xA960, 0xA97F),  # Korean
    (0xAC00, 0xD7FF),
    (0xF900, 0xFAFF),
    (0x20000, 0x3FFFF),
)
"""Blocks of the scripts without spaces (Unicode's Blocks.txt)."""

_ANY_MARK = "\0"
"""Stands in a search for the mark of the shelf that is looked at. No text has it: it only divides."""
_FAVORITE = {True: "+", False: "-"}
_MODEL = "="
"""No word begins with these."""


def mark(owner_id: UUID, shelf: int) -> str:
    """What the terms of one shelf begin with; 48 bits, so that no two shelves share it by chance."""
    digest = hashlib.blake2b(owner_id.bytes + shelf.to_bytes(8), digest_size=6).digest()
    return urlsafe_b64encode(digest).decode()


def vector(of: str, prompt: str, model: str, *, favorite: bool) -> str:
    """The terms of a picture on the shelf with this mark, as PostgreSQL reads a tsvector."""
    words: dict[str, None] = {}
    places: dict[str, list[int]] = {}
    for at, piece, is_solid in _pieces(prompt):
        if not is_solid:
            words[piece[:MAX_WORD]] = None
            continue
        for place in range(len(piece)):
            places.setdefault(piece[place : place + RUN_TERM], []).append(at + place)
    if model:
        words[_MODEL + model] = None
    words[_FAVORITE[favorite]] = None
    placed = (f"{_quoted(of + term)}:{','.join(map(str, at))}" for term, at in places.items())
    return " ".join([*(_quoted(of + word) for word in words), *placed])


def favorite_term(of: str, *, favorite: bool) -> str:
    """That of the favorites, or of all others."""
    return of + _FAVORITE[favorite]


class Search:
    """What to look for, on whichever shelf; what is empty, or None, asks nothing."""

    def __init__(self, text: str, model: str, *, favorite: bool | None) -> None:
        pieces = dict.fromkeys((piece, is_solid) for _, piece, is_solid in _pieces(text))
        parts = [_phrase(piece) if is_solid else _word(piece) for piece, is_solid in pieces]
        if model:
            parts.append(_sought(_MODEL + model))
        if favorite is not None:
            parts.append(_sought(_FAVORITE[favorite]))
        self._query = " & ".join(parts)
        self.is_hopeless = bool(text.strip()) and not pieces
        """The text has nothing that could be found."""

    def __bool__(self) -> bool:
        """Whether there is anything to look for."""
        return bool(self._query)

    def query(self, of: str) -> str:
        """As PostgreSQL reads a tsquery."""
        return self._query.replace(_ANY_MARK, of)


def _word(piece: str) -> str:
    return _sought(piece[:MAX_WORD], begins=len(piece) >= MIN_PREFIX)


def _phrase(piece: str) -> str:
    """As few terms as have every character among them, at their distances from each other."""
    if len(piece) < RUN_TERM:
        return _sought(piece, begins=True)
    last = len(piece) - RUN_TERM
    phrase = _sought(piece[:RUN_TERM])
    for before, place in pairwise([*range(0, last, RUN_TERM), last]):
        phrase += f" <{place - before}> {_sought(piece[place : place + RUN_TERM])}"
    return f"({phrase})"


def _sought(term: str, *, begins: bool = False) -> str:
    """The term, or whatever begins so."""
    return _quoted(_ANY_MARK + term) + ":*" * begins


def _pieces(text: str) -> Iterator[tuple[int, str, bool]]:
    """Words and runs of the text as it is compared: where each begins, from 1, and whether it is a run."""
    folded = unicodedata.normalize("NFKC", unicodedata.normalize("NFKC", text).casefold())
    at = 1
    for kind, characters in groupby(folded, _kind):
        piece = "".join(characters)
        if kind == "solid" or any(map(str.isalnum, piece)):  # a mark alone is the rest of a symbol
            yield at, piece, kind == "solid"
        at += len(piece)


@lru_cache(maxsize=4096)
def _kind(character: str) -> str:
    category = unicodedata.category(character)
    if category == "So" or (category[0] in "LMN" and any(first <= ord(character) <= last for first, last in _SOLID)):
        return "solid"
    return "word" if category[0] in "LMN" else ""


def _quoted(lexeme: str) -> str:
    doubled = lexeme.replace("\\", "\\\\").replace("'", "''")
    return f"'{doubled}'"
