"""The engines of one installation, a worker to each: the caller's ComfyUIs, or else so many of sketch."""

from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from urllib.parse import urlsplit

MOST_ENGINES = 16  # as many GPUs as the largest machines have
_PORTS = {"http": 80, "https": 443}


class EnginesRefused(Exception):
    """The caller's variables name no engines that could be; the text is one sentence that says why."""


@dataclass(frozen=True)
class Engine:
    """One engine.

    Attributes:
        number: its position, from 1. What belongs to the engine is named by it, the same from run to run.
        external: the URL of the caller's ComfyUI; None for a sketch, which the launcher runs.
    """

    number: int
    external: str | None = None

    @property
    def sketch(self) -> str:
        return self._numbered("sketch")

    @property
    def worker(self) -> str:
        return self._numbered("worker")

    @property
    def id_secret(self) -> str:
        """The name under which its engine id is kept."""
        return self._numbered("engine_id")

    def _numbered(self, name: str) -> str:
        return name if self.number == 1 else f"{name}-{self.number}"


def engines_of(given: Mapping[str, str]) -> Sequence[Engine]:
    """Returns those that the caller's environment asks for: COMFYUI_URL (separated by commas), or else SKETCHES.

    Raises:
        EnginesRefused: a URL is malformed or there twice, or there are too many or none.
    """
    if given.get("COMFYUI_URL"):
        urls = [url.strip() for url in given["COMFYUI_URL"].split(",")]
        if len(urls) > MOST_ENGINES:
            raise EnginesRefused(f"COMFYUI_URL names {len(urls)} engines; one installation has at most {MOST_ENGINES}.")
        places = [_place(url) for url in urls]
        for number, url in enumerate(urls):
            if places[number] in places[:number]:
                raise EnginesRefused(f"COMFYUI_URL names {url} twice.")
        return [Engine(number, url) for number, url in enumerate(urls, 1)]
    asked = given.get("SKETCHES") or "1"
    if asked not in map(str, range(1, MOST_ENGINES + 1)):
        raise EnginesRefused(f"SKETCHES must be a number from 1 to {MOST_ENGINES}, not {asked!r}.")
    return [Engine(number) for number in range(1, int(asked) + 1)]


def _place(url: str) -> tuple[str, int, str]:
    """Where a URL leads, however it is spelt."""
    refusal = EnginesRefused(f"COMFYUI_URL: {url!r} is not like http://127.0.0.1:8188.")
    try:
        parts = urlsplit(url)
        port = parts.port
    except ValueError:
        raise refusal from None
    if url.split() != [url] or parts.scheme not in _PORTS or not parts.hostname or parts.query or parts.fragment:
        raise refusal
    return parts.hostname, port or _PORTS[parts.scheme], parts.path.rstrip("/")
