"""One ComfyUI server: HTTP for truth, one websocket for speed (docs/comfyui-protocol.md)."""

import re
import shutil
import threading
import time
from collections.abc import Callable, Iterable, Mapping
from dataclasses import asdict, dataclass
from functools import partial
from pathlib import Path
from typing import Any, TypeVar
from urllib.parse import quote
from uuid import UUID

import httpx
import structlog

from services.executor.engine.errors import (
    EngineTooOld,
    EngineUnavailable,
    RunAbandoned,
    RunFailed,
)
from services.executor.engine.events import RunEvent
from services.executor.engine.listener import Listener, Mailbox
from services.executor.engine.model import Graph, output_folder
from services.executor.engine.refusals import refusal
from services.executor.engine.run import POLL_SECONDS, Run
from services.executor.engine.state import ImageFile, RunState

T = TypeVar("T")

_CONNECT_SECONDS = 3.0
_READ_SECONDS = 10.0  # without a byte; loading a model holds HTTP up for 0.3 s (§5.9)
_LEAST_SECONDS = 0.2
_SOCKET_SECONDS = 2.0  # a server whose HTTP is well opens the socket in milliseconds
_OLDEST = (0, 25, 0)  # the first version with POST /api/jobs/{id}/cancel (§10)

_log = structlog.get_logger(__name__)


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


class ComfyUI:
    """One ComfyUI server. Its methods may be called from several threads; a run occupies the calling one."""

    def __init__(
        self,
        url: str,
        *,
        output_directory: Path | None = None,
        patience: float = 15.0,
        stall: float = 600.0,
    ) -> None:
        """Sets the seam up; `start` opens the socket.

        Args:
            url: where the server listens, such as http://127.0.0.1:8188.
            output_directory: the server's output folder, if this process can reach it; `forget` then cleans it.
            patience: seconds without any sign of life after which a run gives up on the engine.
            stall: seconds without any progress, with HTTP well, after which a run counts the engine's worker thread
                as dead (§7.1). More than the slowest load of a model takes.
        """
        url = url.rstrip("/")
        self._output_directory = output_directory
        self._patience = patience
        self._stall = stall
        self._listener = Listener(url)
        self._http = httpx.Client(
            base_url=url,
            trust_env=False,  # an engine is on the private network: no proxy of the environment may see it
        )

    def start(self) -> None:
        """Starts the socket's reader, which waits for the engine if that is away."""
        self._listener.start()

    def close(self) -> None:
        self._listener.close()
        self._http.close()

    def probe(self) -> EngineInfo:
        """Asks the engine what it is.

        Raises:
            EngineUnavailable: it does not answer.
            EngineTooOld: it is older than 0.25.0.
        """
        return _read(self._ask("GET", "/system_stats"), _engine_info)

    @property
    def connections(self) -> int:
        """How many times the websocket has been opened."""
        return self._listener.connections

    def queue_length(self) -> int:
        """Runs that the engine holds, the running one included.

        Raises:
            EngineUnavailable: it does not answer.
        """
        return _read(self._ask("GET", "/prompt"), lambda body: int(body["exec_info"]["queue_remaining"]))

    def files(self, folders: Iterable[str] | None = None) -> Mapping[str, frozenset[str]]:
        """The names of the model files in each of `folders`, or in every folder that the engine has.

        A folder that the engine does not know is empty.

        Raises:
            EngineUnavailable: it does not answer.
        """
        if folders is None:
            folders = _read(self._ask("GET", "/models"), _names)
        return {folder: self._files_in(folder) for folder in folders}

    def node_info(self, class_type: str) -> Mapping[str, Any] | None:
        """What the engine declares of a node class, as in GET /object_info; None if it has no such class.

        Raises:
            EngineUnavailable: it does not answer.
        """
        answer = self._ask("GET", f"/object_info/{quote(class_type, safe='')}")
        return _read(answer, lambda body: dict(body[class_type]) if body else None)

    def find(self, prompt_id: UUID) -> RunState | None:
        """The engine's record of a run; None if it does not know it (it was lost, or never came there).

        Raises:
            EngineUnavailable: it does not answer.
        """
        return self._find(prompt_id, _READ_SECONDS)

    def run(
        self,
        prompt_id: UUID,
        graph: Graph,
        *,
        output_node: str,
        on_event: Callable[[RunEvent], None],
        stop: threading.Event | None = None,
    ) -> list[bytes]:
        """Runs a graph and returns the pictures that its output node saved, encoded, in batch order.

        `on_event` is called in this thread; what it raises ends the call and leaves the run to the engine.

        Raises:
            RunRefused: the engine does not accept the graph or a value in it.
            RunFailed: the run broke, or its pictures are not there.
            RunInterrupted: it was canceled.
            RunLost: the engine forgot it.
            RunAbandoned: `stop` was set.
            EngineUnavailable: the engine cannot be reached, or gave no sign of life for `patience`.
        """
        stop = stop or threading.Event()
        classes = {node: str(body["class_type"]) for node, body in graph.items()}
        client_id = self._listener.client_id(_SOCKET_SECONDS)
        with self._listener.mailbox(str(prompt_id)) as mailbox:
            self._submit(prompt_id, graph, client_id, stop)
            return self._follow(
                prompt_id,
                mailbox,
                classes=classes,
                output_node=output_node,
                on_event=on_event,
                stop=stop,
            )

    def adopt(
        self,
        prompt_id: UUID,
        *,
        output_node: str,
        on_event: Callable[[RunEvent], None],
        stop: threading.Event | None = None,
    ) -> list[bytes]:
        """Follows a run that another process submitted, by its record alone: frames go only to who submitted it.

        Returns and raises what `run` does, except RunRefused.
        """
        with self._listener.mailbox(str(prompt_id)) as mailbox:
            return self._follow(
                prompt_id,
                mailbox,
                classes={},
                output_node=output_node,
                on_event=on_event,
                stop=stop or threading.Event(),
            )

    def cancel(self, prompt_id: UUID) -> bool:
        """Interrupts a run or takes it from the queue. False if the engine neither runs nor holds it.

        A run in its last node may still end well (§6).

        Raises:
            EngineUnavailable: it does not answer.
        """
        mailbox = self._listener.mailbox_of(str(prompt_id))
        if mailbox is not None:
            mailbox.canceled = True
        canceled = _read(self._ask("POST", f"/api/jobs/{prompt_id}/cancel"), lambda body: bool(body["cancelled"]))
        if mailbox is not None:
            mailbox.call()  # a run that had not begun ends without a frame
        return canceled

    def forget(self, prompt_id: UUID) -> None:
        """Removes a run's record and, where the output folder is in reach, its files.

        Best effort: a failure is logged.
        """
        try:
            self._ask("POST", "/history", json={"delete": [str(prompt_id)]})
        except EngineUnavailable as error:
            _log.warning("run was not forgotten", prompt_id=str(prompt_id), kind=error.kind)
        if self._output_directory is not None:
            folder = self._output_directory / output_folder(prompt_id)
            try:
                shutil.rmtree(folder)
            except FileNotFoundError:
                pass
            except OSError as error:
                _log.warning("pictures were not removed", prompt_id=str(prompt_id), error=str(error))

    def _submit(self, prompt_id: UUID, graph: Graph, client_id: str, stop: threading.Event) -> None:
        """POSTs the graph. ComfyUI runs a repeated one twice, so an answer that got lost is asked for, not provoked."""
        body = {
            "prompt": graph,
            "prompt_id": str(prompt_id),
            "client_id": client_id,
            "extra_data": {"preview_method": "auto"},
        }
        sent_at = time.monotonic()
        try:
            answer = self._ask("POST", "/prompt", json=body)
        except EngineUnavailable as error:
            if error.kind == "unreachable":
                raise
            if self._insist(partial(self._find, prompt_id), stop):
                return
            answer = self._ask("POST", "/prompt", json=body)
        # A 500 is mostly the graph's fault and may have queued it all the same (§2).
        if answer.is_server_error and self._insist(partial(self._find, prompt_id), stop):
            return
        if not answer.is_success:
            raise refusal(answer)
        if _read(answer, lambda body: bool(body["node_errors"])):
            self.cancel(prompt_id)  # the outputs without fault were accepted (§2)
            raise refusal(answer)
        self._listener.expect_status(sent_at)

    def _follow(
        self,
        prompt_id: UUID,
        mailbox: Mailbox,
        *,
        classes: Mapping[str, str],
        output_node: str,
        on_event: Callable[[RunEvent], None],
        stop: threading.Event,
    ) -> list[bytes]:
        run = Run(
            mailbox=mailbox,
            classes=classes,
            find=partial(self._find, prompt_id),
            heard_at=lambda: self._listener.heard_at,
            on_event=on_event,
            stop=stop,
            patience=self._patience,
            stall=self._stall,
        )
        images = run.follow().images.get(output_node)
        if not images:
            raise RunFailed("no_output", retryable=False, detail=f"node {output_node}")
        return [self._insist(partial(self._view, image), stop) for image in images]

    def _find(self, prompt_id: UUID, seconds: float) -> RunState | None:
        answer = self._ask("GET", f"/api/jobs/{prompt_id}", seconds=seconds)
        return None if answer.status_code == httpx.codes.NOT_FOUND else _read(answer, RunState.from_job)

    def _files_in(self, folder: str) -> frozenset[str]:
        answer = self._ask("GET", f"/models/{quote(folder, safe='')}")
        return frozenset() if answer.status_code == httpx.codes.NOT_FOUND else _read(answer, _names)

    def _view(self, image: ImageFile, seconds: float) -> bytes:
        answer = self._ask("GET", "/view", params=asdict(image), seconds=seconds)
        if answer.status_code == httpx.codes.NOT_FOUND:
            raise RunFailed("output_lost", retryable=True, detail=image.filename)
        return _checked(answer).content

    def _insist(self, question: Callable[[float], T], stop: threading.Event) -> T:
        """Repeats a question, which is told the seconds left to it, until it is answered or patience ends."""
        deadline = time.monotonic() + self._patience
        while True:
            try:
                return question(max(_LEAST_SECONDS, deadline - time.monotonic()))
            except EngineUnavailable:
                if time.monotonic() >= deadline:
                    raise
            if stop.wait(POLL_SECONDS):
                raise RunAbandoned("abandoned")

    def _ask(self, method: str, path: str, *, seconds: float = _READ_SECONDS, **request: Any) -> httpx.Response:
        timeout = httpx.Timeout(min(seconds, _READ_SECONDS), connect=min(seconds, _CONNECT_SECONDS))
        try:
            return self._http.request(method, path, timeout=timeout, **request)
        except (httpx.ConnectError, httpx.ConnectTimeout) as error:
            raise EngineUnavailable("unreachable", repr(error)) from error
        except httpx.HTTPError as error:
            raise EngineUnavailable("no_answer", repr(error)) from error


def _checked(answer: httpx.Response) -> httpx.Response:
    if answer.status_code != httpx.codes.OK:
        raise EngineUnavailable("bad_answer", f"{answer.status_code} to {answer.url.path}: {answer.text[:200]}")
    return answer


def _read(answer: httpx.Response, parse: Callable[[Any], T]) -> T:
    try:
        return parse(_checked(answer).json())
    except (AttributeError, IndexError, KeyError, TypeError, ValueError) as error:
        raise EngineUnavailable("bad_answer", f"{answer.url.path}: {error!r}") from error


def _names(body: Any) -> frozenset[str]:
    if not isinstance(body, list):
        raise TypeError(f"{type(body).__name__} is no list of names")
    return frozenset(map(str, body))


def _engine_info(stats: Any) -> EngineInfo:
    version = str(stats["system"]["comfyui_version"])
    numbers = re.match(r"v?(\d+)\.(\d+)\.(\d+)", version)
    if numbers is None or tuple(map(int, numbers.groups())) < _OLDEST:
        raise EngineTooOld("too_old", version)
    device = stats["devices"][0]
    return EngineInfo(version, str(device["name"]), int(device["vram_total"]), int(device["vram_free"]))
