"""The one websocket to an engine: a thread that reads it and sorts the frames into the runs' mailboxes."""

import threading
import time
from collections import deque
from collections.abc import Iterator
from contextlib import contextmanager, suppress
from dataclasses import dataclass
from uuid import uuid4

import structlog
from websockets.exceptions import ConnectionClosed, WebSocketException
from websockets.sync.client import ClientConnection, connect

from services.executor.engine import frames

_OPEN_SECONDS = 3.0
# The server never pings and a frozen one closes nothing (docs/comfyui-protocol.md §5.7), so the client asks.
_PING_SECONDS = 5.0
_PONG_SECONDS = 10.0  # generous: a socket that is given up takes its runs' progress along
# A `status` follows each accepted prompt within milliseconds; a socket that gets nothing has gone deaf (§5.4).
_DEAF_SECONDS = 3.0
_LOOK_SECONDS = 1.0
_RECONNECT_SECONDS = (0.1, 2.0)
_CLOSE_SECONDS = 1.0

_log = structlog.get_logger(__name__)


class Mailbox:
    """The frames of one run on their way from the reader to the run's own thread.

    Putting never blocks, because one slow reader stalls every run of the engine (docs/comfyui-protocol.md §5.5).
    It is bounded: old frames give way and only the newest preview is kept. The call to look at the run's record
    is a flag and cannot be crowded out.

    Attributes:
        canceled: whether a cancel of the run was asked for.
    """

    def __init__(self) -> None:
        self._changed = threading.Condition()
        self._frames: deque[frames.Frame] = deque(maxlen=64)
        self._preview: frames.PreviewImage | None = None
        self._look = False
        self.canceled = False

    def put(self, frame: frames.Frame) -> None:
        with self._changed:
            if isinstance(frame, frames.PreviewImage):
                self._preview = frame
            else:
                self._frames.append(frame)
            self._changed.notify()

    def call(self) -> None:
        """Asks the run to look at its record now: it ended, or frames may have been missed."""
        with self._changed:
            self._look = True
            self._changed.notify()

    def take(self, timeout: float) -> tuple[list[frames.Frame], bool]:
        """What came, the newest preview first, and whether to look at the record; waits up to `timeout` seconds."""
        with self._changed:
            self._changed.wait_for(lambda: self._frames or self._preview or self._look, timeout)
            taken = [*([self._preview] if self._preview else []), *self._frames]
            look = self._look
            self._frames.clear()
            self._preview = None
            self._look = False
            return taken, look


@dataclass
class Signs:
    """When the socket last proved something, in monotonic seconds; 0.0 for never.

    Attributes:
        worked_at: that the engine's worker thread works, on whichever run.
        shrunk_at: that its queue became shorter: a run ended, perhaps a foreign one, or was taken from it.
    """

    worked_at: float = 0.0
    shrunk_at: float = 0.0


class Listener:
    """Keeps a websocket to the engine open, under a fresh client id each time.

    A client id that is used twice can leave its second socket deaf for ever (docs/comfyui-protocol.md §5.4). The
    price: a run's frames go only to the id that submitted it, so a lost connection ends them, and each reconnect
    calls every run to its record.

    Attributes:
        signs: what the frames prove of the engine.
        connections: how many times the socket has been opened.
    """

    def __init__(self, url: str) -> None:
        self._url = f"{url.replace('http', 'ws', 1)}/ws"
        self._lock = threading.Lock()
        self._mailboxes: dict[str, Mailbox] = {}
        self._connected = threading.Event()
        self._closing = threading.Event()
        self._socket: ClientConnection | None = None
        self._client_id = str(uuid4())
        self.signs = Signs()
        self.connections = 0
        self._queue_remaining = 0
        self._heard_at = 0.0
        self._accepted_at = 0.0
        self._thread = threading.Thread(target=self._stay_connected, name="comfyui-listener", daemon=True)

    def start(self) -> None:
        self._thread.start()

    def close(self) -> None:
        self._closing.set()
        socket = self._socket
        if socket is not None:
            socket.close()
        if self._thread.is_alive():
            self._thread.join()

    @contextmanager
    def mailbox(self, prompt_id: str) -> Iterator[Mailbox]:
        """Collects the frames of a prompt. Open it before the prompt is submitted: frames may beat the answer."""
        mailbox = Mailbox()
        with self._lock:
            if prompt_id in self._mailboxes:
                raise ValueError(f"prompt {prompt_id} is followed already")
            self._mailboxes[prompt_id] = mailbox
        try:
            yield mailbox
        finally:
            with self._lock:
                del self._mailboxes[prompt_id]

    def mailbox_of(self, prompt_id: str | None) -> Mailbox | None:
        """The mailbox of a run that is being followed."""
        with self._lock:
            return self._mailboxes.get(prompt_id or "")

    def client_id(self, timeout: float) -> str:
        """The id to submit under: of the open socket, or after `timeout` seconds of the one that is being opened."""
        self._connected.wait(timeout)
        return self._client_id

    def expect_status(self, since: float) -> None:
        """Says that a prompt sent at `since` (monotonic seconds) was accepted, of which every socket is told."""
        self._accepted_at = since

    def _stay_connected(self) -> None:
        shortest, longest = _RECONNECT_SECONDS
        pause = shortest
        while not self._closing.is_set():
            self._client_id = str(uuid4())
            try:
                with connect(
                    f"{self._url}?clientId={self._client_id}",
                    open_timeout=_OPEN_SECONDS,
                    ping_interval=_PING_SECONDS,
                    ping_timeout=_PONG_SECONDS,
                    close_timeout=_CLOSE_SECONDS,
                    max_size=None,
                    compression=None,
                    proxy=None,
                ) as socket:
                    pause = shortest
                    self._listen(socket)
            except (OSError, WebSocketException) as error:
                _log.debug("engine socket is away", error=type(error).__name__)
            except Exception as error:  # noqa: BLE001 - every run listens through this thread, so nothing may end it
                _log.error("engine socket broke", error=type(error).__name__)
            self._closing.wait(pause)
            pause = min(2 * pause, longest)

    def _listen(self, socket: ClientConnection) -> None:
        self._socket = socket
        self._accepted_at = 0.0
        self.connections += 1
        socket.send(frames.FEATURE_FLAGS)
        self._call_all()
        self._connected.set()
        try:
            while not self._closing.is_set():
                with suppress(TimeoutError):
                    self._dispatch(socket.recv(timeout=_LOOK_SECONDS))
                if self._heard_at < self._accepted_at < time.monotonic() - _DEAF_SECONDS:
                    _log.warning("engine socket went deaf")
                    return
        except ConnectionClosed:
            _log.info("engine socket closed")
        finally:
            self._connected.clear()
            self._call_all()

    def _dispatch(self, message: str | bytes) -> None:
        self._heard_at = time.monotonic()
        try:
            frame = frames.parse(message)
        except frames.FrameError as error:
            _log.warning("engine sent a malformed frame", error=str(error))
            return
        if frames.shows_work(frame):
            self.signs.worked_at = self._heard_at
        match frame:
            case frames.Status(queue_remaining=remaining):
                if remaining < self._queue_remaining:
                    self.signs.shrunk_at = self._heard_at
                self._queue_remaining = remaining
            case frames.Executing(prompt_id=str(prompt_id), node=None):
                if mailbox := self.mailbox_of(prompt_id):
                    mailbox.call()
            case frames.ExecutionStart() | frames.Executing() | frames.Progress() | frames.PreviewImage():
                if mailbox := self.mailbox_of(frame.prompt_id):
                    mailbox.put(frame)

    def _call_all(self) -> None:
        with self._lock:
            for mailbox in self._mailboxes.values():
                mailbox.call()
