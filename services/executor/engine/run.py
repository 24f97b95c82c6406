"""Following one run to its end: frames for speed, the run's record for truth."""

import threading
import time
from collections.abc import Callable, Mapping

from services.executor.engine import events, frames
from services.executor.engine.errors import (
    EngineUnavailable,
    RunAbandoned,
    RunFailed,
    RunInterrupted,
    RunLost,
)
from services.executor.engine.listener import Mailbox, Signs
from services.executor.engine.state import RunState, Status

POLL_SECONDS = 1.0
_STOP_LOOK_SECONDS = 0.2
# Frames make looks superfluous, but they prove nothing: a run that only seems to go on is found out by then.
_LONGEST_TRUST_SECONDS = 10.0
# KSampler's own limit.
_MOST_STEPS = 10_000

# torch's name for it, after its module, which varies. ComfyUI unloads every model on it, so one more try is sensible
# (docs/comfyui-protocol.md §9).
_OUT_OF_MEMORY = "OutOfMemoryError"
# The same graph raises these again on any engine. Anything else (CUDA, disk, driver) may be this engine's trouble.
_REPEATING = frozenset(
    {"AssertionError", "AttributeError", "Exception", "IndexError", "KeyError", "TypeError", "ValueError"}
)


class Run:
    """A run that the engine has accepted, from this process or from another."""

    def __init__(
        self,
        *,
        mailbox: Mailbox,
        classes: Mapping[str, str],
        find: Callable[[float], RunState | None],
        signs: Signs,
        on_event: Callable[[events.RunEvent], None],
        stop: threading.Event,
        patience: float,
        stall: float,
    ) -> None:
        """Sets the follower up.

        Args:
            mailbox: where the run's frames arrive.
            classes: the class of each node in its graph; empty for another process's run, which sends no frames here.
            find: asks for the record within a number of seconds; None means that the engine does not know it.
            signs: what the engine's socket proves.
            on_event: is told of each event, in the thread that follows; what it raises ends the following.
            stop: ends the following when it is set.
            patience: seconds without an answer and without a sign of work after which the engine counts as gone.
            stall: seconds without a sign of work or a change of the record after which the engine's worker thread
                counts as dead, though its HTTP is well (docs/comfyui-protocol.md §7.1). A run that waits behind another
                is not judged while that one works, nor while the queue gets shorter.
        """
        self._mailbox = mailbox
        self._find = find
        self._signs = signs
        self._narrator = _Narrator(classes, on_event)
        self._stop = stop
        self._patience = patience
        self._stall = stall
        self._status: Status | None = None
        self._answered_at = self._asked_at = self._moved_at = time.monotonic()
        self._poll_at = self._answered_at + (POLL_SECONDS if classes else 0.0)

    def follow(self) -> RunState:
        """Waits for the end and returns the completed record.

        Raises:
            RunFailed, RunInterrupted, RunLost, RunAbandoned, EngineUnavailable.
        """
        while not self._stop.is_set():
            if self._listen():
                state = self._ask()
                if state is not None and self._is_complete(state):
                    return state
        raise RunAbandoned("abandoned")

    def _listen(self) -> bool:
        """Tells the frames that come; True when it is time to look at the record."""
        pause = min(_STOP_LOOK_SECONDS, self._poll_at - time.monotonic())
        arrived, look = self._mailbox.take(max(0.0, pause))
        for frame in arrived:
            self._narrator.tell(frame)
        if arrived:
            self._poll_at = min(time.monotonic() + POLL_SECONDS, self._asked_at + _LONGEST_TRUST_SECONDS)
        return look or time.monotonic() >= self._poll_at

    def _ask(self) -> RunState | None:
        """The run's record, or None while patience with a silent engine lasts."""
        self._asked_at = time.monotonic()
        self._poll_at = self._asked_at + POLL_SECONDS
        last = max(self._answered_at, self._signs.worked_at)
        deadline = min(last + self._patience, self._answered_at + max(self._patience, self._stall))
        try:
            state = self._find(max(_STOP_LOOK_SECONDS, deadline - time.monotonic()))
        except EngineUnavailable:
            if time.monotonic() >= deadline:
                raise
            return None
        self._answered_at = time.monotonic()
        if state is None:
            # A run that is canceled before it began vanishes without a trace (docs/comfyui-protocol.md §3.2).
            raise RunInterrupted("canceled") if self._mailbox.canceled else RunLost("lost")
        return state

    def _is_complete(self, state: RunState) -> bool:
        if state.status is not Status.PENDING:
            self._narrator.start()
        match state.status:
            case Status.COMPLETED:
                return True
            case Status.FAILED:
                raise _failure(state)
            case Status.CANCELLED:
                raise RunInterrupted("canceled")
        if state.status is not self._status:
            self._status, self._moved_at = state.status, self._answered_at
        moved_at = max(self._moved_at, self._signs.worked_at)
        if state.status is Status.PENDING:
            moved_at = max(moved_at, self._signs.shrunk_at)
        if self._answered_at - moved_at > self._stall:
            raise EngineUnavailable("stalled", f"{state.status} and nothing moves for {self._stall:.0f} s")
        return False


class _Narrator:
    """Tells a run's frames as events."""

    def __init__(self, classes: Mapping[str, str], on_event: Callable[[events.RunEvent], None]) -> None:
        self._classes = classes
        self._on_event = on_event
        self._started = False

    def start(self) -> None:
        if not self._started:
            self._started = True
            self._on_event(events.Started())

    def tell(self, frame: frames.Frame) -> None:
        self.start()
        if isinstance(frame, frames.Executing) and frame.node is not None:
            self._on_event(events.Executing(frame.node, self._class_of(frame.node)))
        match frame:
            case frames.Executing(node=str(node)) if "Loader" in self._class_of(node):
                self._on_event(events.Loading(node))
            case frames.Executing(node=str(node)) if "Sampler" in self._class_of(node):
                self._on_event(events.Sampling(node))
            case frames.Executing(node=str(node)) if "Decode" in self._class_of(node):
                self._on_event(events.Decoding(node))
            # Decoders and upscalers count tiles and SaveImageWebsocket sends pictures; only samplers count steps.
            case frames.Progress(node=node, value=step, max=steps) if "Sampler" in self._class_of(node):
                if 1 <= step <= steps <= _MOST_STEPS:
                    self._on_event(events.Progress(step, steps, node))
            case frames.PreviewImage(node=str(node)) if "Sampler" in self._class_of(node):
                self._on_event(events.Preview(frame.mime, frame.data))

    def _class_of(self, node: str) -> str:
        return self._classes.get(node, "")


def _failure(state: RunState) -> RunFailed:
    detail = f"{state.error_type} in {state.failed_node}"
    if state.error_type.endswith(_OUT_OF_MEMORY):
        return RunFailed("out_of_memory", retryable=True, detail=detail)
    return RunFailed("execution_error", retryable=state.error_type not in _REPEATING, detail=detail)
