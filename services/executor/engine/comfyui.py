"""One ComfyUI server: HTTP for truth, one websocket for speed (docs/comfyui-protocol.md)."""

import shutil
import threading
import time
from collections.abc import Callable, Iterable, Iterator, Mapping
from contextlib import contextmanager
from functools import partial
from pathlib import Path
from typing import Any, TypeVar
from uuid import UUID

import structlog

from services.executor.engine.api import ANSWER_SECONDS, Api, EngineInfo
from services.executor.engine.errors import EngineUnavailable, RunAbandoned, RunFailed
from services.executor.engine.events import RunEvent
from services.executor.engine.listener import Listener, Mailbox
from services.executor.engine.model import Graph, output_folder
from services.executor.engine.run import POLL_SECONDS, Run
from services.executor.engine.state import ImageFile, RunState

T = TypeVar("T")

_LEAST_SECONDS = _AGAIN_SECONDS = 0.2
_SOCKET_SECONDS = 2.0  # a server whose HTTP is well opens the socket in milliseconds

_log = structlog.get_logger(__name__)


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
                as dead (§7.1). More than the slowest load of a model takes, and than a whole run that is adopted or
                another client's, of which nothing is heard.
        """
        url = url.rstrip("/")
        self._output_directory = output_directory
        self._patience = patience
        self._stall = stall
        self._listener = Listener(url)
        self._api = Api(url)

    def start(self) -> None:
        """Starts the socket's reader, which waits for the engine if that is away."""
        self._listener.start()

    def close(self) -> None:
        self._listener.close()
        self._api.close()

    @property
    def connections(self) -> int:
        """How many times the websocket has been opened. It grows when the engine restarts, or the way to it breaks."""
        return self._listener.connections

    def probe(self) -> EngineInfo:
        """Asks the engine what it is.

        Raises:
            EngineUnavailable: it does not answer.
            EngineTooOld: it is older than 0.25.0.
        """
        return self._api.info()

    def queue_length(self) -> int:
        """How many prompts the engine holds, the running one and other clients' included.

        Raises:
            EngineUnavailable: it does not answer.
        """
        return self._api.queue_length()

    def files(self, folders: Iterable[str] | None = None) -> Mapping[str, frozenset[str]]:
        """The names of the model files in each of `folders`, or in every folder that the engine has.

        A folder that the engine does not know is empty.

        Raises:
            EngineUnavailable: it does not answer.
        """
        return {folder: self._api.files_in(folder) for folder in (self._api.folders() if folders is None else folders)}

    def node_info(self, class_type: str) -> Mapping[str, Any] | None:
        """What the engine declares of a node class, as in GET /object_info; None if it has no such class.

        Raises:
            EngineUnavailable: it does not answer.
        """
        return self._api.node_info(class_type)

    def find(self, prompt_id: UUID) -> RunState | None:
        """The engine's record of a run; None if it does not know it (it was lost, or never came there).

        Raises:
            EngineUnavailable: it does not answer.
        """
        return self._api.find(str(prompt_id))

    def find_insistently(self, prompt_id: UUID, stop: threading.Event) -> RunState | None:
        """What `find` returns, asked for again and again while patience with a silent engine lasts.

        Raises:
            EngineUnavailable: it did not answer for `patience`.
            RunAbandoned: `stop` was set.
        """
        return self._find_by(prompt_id, stop, time.monotonic() + self._patience)

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
        canceled = self._api.cancel(str(prompt_id))
        if mailbox is not None:
            mailbox.call()  # a run that had not begun ends without a frame
        return canceled

    def forget(self, prompt_id: UUID) -> bool:
        """Removes the record of a run that is over and, where the output folder is in reach, its files.

        Best effort: a failure is logged. False if the engine does not answer.
        """
        try:
            self._api.forget(str(prompt_id))
            has_answered = True
        except EngineUnavailable as error:
            _log.warning("run was not forgotten", prompt_id=str(prompt_id), kind=error.kind)
            has_answered = False
        if self._output_directory is not None:
            folder = self._output_directory / output_folder(prompt_id)
            try:
                shutil.rmtree(folder)
            except FileNotFoundError:
                pass
            except OSError as error:
                _log.warning("pictures were not removed", prompt_id=str(prompt_id), error=str(error))
        return has_answered

    def _submit(self, prompt_id: UUID, graph: Graph, client_id: str, stop: threading.Event) -> None:
        """POSTs the graph. ComfyUI runs a repeated one twice, so an answer that got lost is asked for, not provoked."""
        deadline = time.monotonic() + self._patience
        while True:
            sent_at = time.monotonic()
            try:
                refused = self._api.submit(str(prompt_id), graph, client_id, min(ANSWER_SECONDS, self._patience))
                break
            except EngineUnavailable as error:
                if error.kind == "unreachable":
                    raise
                if self._has_arrived(prompt_id, stop, deadline):
                    return
                if time.monotonic() >= deadline:
                    raise
        if refused is None:
            self._listener.expect_status(sent_at)
        elif refused.in_part:
            self._cancel_quietly(prompt_id)
            raise refused.error
        elif not (refused.in_doubt and self._find_sent(prompt_id, stop, deadline)):
            raise refused.error

    def _has_arrived(self, prompt_id: UUID, stop: threading.Event, deadline: float) -> bool:
        """Whether the engine holds a prompt whose answer got lost.

        Asked twice, because a request may still be on its way when nobody waits for its answer any more.
        """
        if self._find_sent(prompt_id, stop, deadline) is not None:
            return True
        if stop.wait(POLL_SECONDS):
            raise RunAbandoned("abandoned")
        return self._find_sent(prompt_id, stop, deadline) is not None

    def _find_sent(self, prompt_id: UUID, stop: threading.Event, deadline: float) -> RunState | None:
        with _sent_already():
            return self._find_by(prompt_id, stop, deadline)

    def _find_by(self, prompt_id: UUID, stop: threading.Event, deadline: float) -> RunState | None:
        return self._insist(partial(self._api.find, str(prompt_id)), stop, deadline)

    def _cancel_quietly(self, prompt_id: UUID) -> None:
        try:
            self.cancel(prompt_id)
        except EngineUnavailable as error:
            _log.warning("run was not canceled", prompt_id=str(prompt_id), kind=error.kind)

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
            find=partial(self._api.find, str(prompt_id)),
            signs=self._listener.signs,
            on_event=on_event,
            stop=stop,
            patience=self._patience,
            stall=self._stall,
        )
        with _sent_already():
            images = run.follow().images.get(output_node)
            if not images:
                raise RunFailed("no_output", retryable=False, detail=f"node {output_node}")
            return [self._picture(image, stop) for image in images]

    def _picture(self, image: ImageFile, stop: threading.Event) -> bytes:
        return self._insist(partial(self._api.picture, image), stop, time.monotonic() + self._patience)

    def _insist(self, question: Callable[[float], T], stop: threading.Event, deadline: float) -> T:
        """Repeats a question, which is told the seconds left to it, until it is answered or the deadline is over."""
        while True:
            try:
                return question(max(_LEAST_SECONDS, deadline - time.monotonic()))
            except EngineUnavailable:
                if time.monotonic() >= deadline:
                    raise
            if stop.wait(_AGAIN_SECONDS):
                raise RunAbandoned("abandoned")


@contextmanager
def _sent_already() -> Iterator[None]:
    """For what follows a prompt: an engine that cannot be reached any more has not been spared, it may run it."""
    try:
        yield
    except EngineUnavailable as error:
        if error.kind == "unreachable":
            raise EngineUnavailable("no_answer", error.detail) from error
        raise
