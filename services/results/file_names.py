"""How a picture is called once it lies in somebody's folder: by the first words of its prompt.

Whatever stands in a prompt, the name is one that Windows, macOS and Linux take, that leads nowhere, hides nothing, and
looks like what it is.
"""

import re
import unicodedata

MAX_BYTES = 100
"""Of UTF-8: 33 Chinese characters, 16 English words. File systems take 255, and a browser puts ` (1)` behind."""

NAMELESS = "picture"

SEPARATORS = re.compile(r'[\s<>:"/\\|?*]+')
"""What Windows refuses, paths among it, and white space."""

INVISIBLE = frozenset({"Cc", "Cf", "Cs", "Co", "Cn"})
"""Unicode's categories of characters that are not seen. Cf has those that turn the direction of writing: with them
`gnp.exe` reads `exe.png`."""

RESERVED = re.compile(r"(con|prn|aux|nul|com[0-9¹²³]|lpt[0-9¹²³])(?=\.|$)", re.IGNORECASE)
"""Devices of Windows, whatever their extension."""


def file_name(prompt: str, index: int, extension: str) -> str:
    """Of a task's picture `index`, from 0; the first has no number."""
    number = f" {index + 1}" if index else ""
    return f"{_stem(prompt)}{number}.{extension}"


def _stem(prompt: str) -> str:
    text = SEPARATORS.sub(" ", unicodedata.normalize("NFC", prompt))
    text = "".join(character for character in text if unicodedata.category(character) not in INVISIBLE)
    # A dot or a minus in front hides a file or makes it an option; Windows drops dots and spaces at the end.
    text = _first_words(text.strip(" .-~")).strip(" .,;-~")
    return RESERVED.sub(r"\1_", text) if RESERVED.match(text) else text or NAMELESS


def _first_words(text: str) -> str:
    """At most MAX_BYTES; cut between words if there are any, and never between a letter and its accents."""
    end = len(text.encode()[:MAX_BYTES].decode(errors="ignore"))
    if end == len(text):
        return text
    while end and unicodedata.combining(text[end]):
        end -= 1
    words = text[:end].rpartition(" ")[0] if text[end] != " " else text[:end]
    return words if len(words) > end // 2 else text[:end]
