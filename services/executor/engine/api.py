"""ComfyUI's HTTP endpoints as questions, each asked once (docs/comfyui-protocol.md §2, §4).

Every question raises EngineUnavailable where the engine does not answer, or something answers that is no ComfyUI.
"""

import re
from collections.abc import Mapping
from dataclasses import asdict, dataclass
from functools import partial
from http import HTTPStatus
from typing import Any
from urllib.parse import quote

from services.executor.engine.errors import EngineTooOld, RunFailed, RunRefused
from services.executor.engine.http import Answer, Http
from services.executor.engine.model import Graph
from services.executor.engine.refusals import refusal
from services.executor.engine.state import ImageFile, RunState

ANSWER_SECONDS = 10.0  # for what is small; loading a model holds HTTP up for 0.3 s (§5.9)
_OLDEST = (0, 25, 0)  # the first version with POST /api/jobs/{id}/cancel (§10)
_PNG_BEGIN, _PNG_END = b"\x89PNG\r\n\x1a\n", b"\0\0\0\0IEND\xaeB`\x82"


@dataclass(frozen=True)
class EngineInfo:
    """What an engine is.

    Attributes:
        version: ComfyUI's version, such as "0.33.0".
        device: the name of its first device.
        vram_total: that device's memory in bytes.
        vram_free: how much of it is free, in bytes.
    """

    version: str
    device: str
    vram_total: int
    vram_free: int


@dataclass(frozen=True)
class Refused:
    """A prompt that was refused, of which something may be queued all the same (§2).

    Attributes:
        error: why.
        in_part: the outputs without fault were accepted.
        in_doubt: the whole of it may have been.
    """

    error: RunRefused
    in_part: bool
    in_doubt: bool


class Api:
    """The questions to one engine; may be asked from several threads."""

    def __init__(self, url: str) -> None:
        self._http = Http(url)

    def close(self) -> None:
        self._http.close()

    def info(self) -> EngineInfo:
        """Raises EngineTooOld, too."""
        return self._ask("GET", "/system_stats").parsed(_engine_info)

    def queue_length(self) -> int:
        return self._ask("GET", "/prompt").parsed(lambda body: int(body["exec_info"]["queue_remaining"]))

    def folders(self) -> frozenset[str]:
        return self._ask("GET", "/models").parsed(_names)

    def files_in(self, folder: str) -> frozenset[str]:
        """Empty for an unknown folder."""
        answer = self._ask("GET", f"/models/{quote(folder, safe='')}")
        return frozenset() if answer.status == HTTPStatus.NOT_FOUND else answer.parsed(_names)

    def node_info(self, class_type: str) -> Mapping[str, Any] | None:
        """None for an unknown class."""
        answer = self._ask("GET", f"/object_info/{quote(class_type, safe='')}")
        return answer.parsed(lambda body: dict(body[class_type]) if body else None)

    def submit(self, prompt_id: str, graph: Graph, client_id: str, seconds: float) -> Refused | None:
        """None if the prompt was accepted whole."""
        body = {
            "prompt": graph,
            "prompt_id": prompt_id,
            "client_id": client_id,
            "extra_data": {"preview_method": "auto"},
        }
        answer = self._http.ask("POST", "/prompt", body=body, seconds=min(seconds, ANSWER_SECONDS))
        error = refusal(answer)
        if error is None:
            return None
        return Refused(error, answer.status == HTTPStatus.OK, answer.status == HTTPStatus.INTERNAL_SERVER_ERROR)

    def find(self, prompt_id: str, seconds: float = ANSWER_SECONDS) -> RunState | None:
        """The record of a run; None if the engine does not know it."""
        answer = self._ask("GET", f"/api/jobs/{prompt_id}", seconds=min(seconds, ANSWER_SECONDS))
        if answer.status == HTTPStatus.NOT_FOUND:
            return answer.parsed(_nothing)
        return answer.parsed(partial(_run_state, prompt_id))

    def cancel(self, prompt_id: str) -> bool:
        """Whether the engine ran or held it."""
        return self._ask("POST", f"/api/jobs/{prompt_id}/cancel").parsed(lambda body: bool(body["cancelled"]))

    def forget(self, prompt_id: str) -> None:
        self._ask("POST", "/history", body={"delete": [prompt_id]})

    def picture(self, image: ImageFile, seconds: float) -> bytes:
        """A picture's bytes, a whole PNG. Raises RunFailed where they are not."""
        answer = self._ask("GET", "/view", params=asdict(image), seconds=seconds)
        if answer.status == HTTPStatus.NOT_FOUND:
            raise RunFailed("output_lost", retryable=True, detail=image.filename)
        if not (answer.body.startswith(_PNG_BEGIN) and answer.body.endswith(_PNG_END)):
            raise RunFailed("output_broken", retryable=True, detail=f"{image.filename}, {len(answer.body)} bytes")
        return answer.body

    def _ask(self, method: str, path: str, *, seconds: float = ANSWER_SECONDS, **request: Any) -> Answer:
        """The answer, if it is 200 or 404."""
        answer = self._http.ask(method, path, seconds=seconds, **request)
        return answer if answer.status == HTTPStatus.NOT_FOUND else answer.checked()


def _nothing(body: Any) -> None:
    """ComfyUI's own "Job not found". Any other 404 is a proxy's and says nothing of the run."""
    if not isinstance(body, dict) or "error" not in body:
        raise ValueError("neither a job nor an error")


def _run_state(prompt_id: str, job: Any) -> RunState:
    if job.get("id", prompt_id) != prompt_id:
        raise ValueError("another run's record")
    return RunState.from_job(job)


def _names(body: Any) -> frozenset[str]:
    if not isinstance(body, list):
        raise TypeError(f"{type(body).__name__} is no list of names")
    return frozenset(map(str, body))


def _engine_info(stats: Any) -> EngineInfo:
    version = str(stats["system"]["comfyui_version"])
    numbers = re.match(r"v?(\d+)\.(\d+)\.(\d+)", version)
    if numbers is None or tuple(map(int, numbers.groups())) < _OLDEST:
        needed = ".".join(map(str, _OLDEST))
        raise EngineTooOld("too_old", f"ComfyUI {needed} or newer is needed, and this is {version[:40]}.")
    device = stats["devices"][0]
    return EngineInfo(version, str(device["name"]), int(device["vram_total"]), int(device["vram_free"]))
