"""The queue of prompts, what became of them, and the interrupt flag: all in memory, all under one lock."""

import heapq
import threading
from collections.abc import Callable
from typing import Any, NamedTuple

Graph = dict[str, dict[str, Any]]
"""API-format graph: node id → class_type, inputs and perhaps _meta."""

MAX_HISTORY = 10_000
"""ComfyUI's MAXIMUM_HISTORY_SIZE."""


class Item(NamedTuple):
    """A queued prompt, in the order of the fields on the wire.

    The tuple's own order decides who is next: number, then prompt id. Two items that agree in both compare
    their graphs, which raises TypeError with the item already queued, exactly as in ComfyUI (§7.5).
    """

    number: float
    prompt_id: str
    graph: Graph
    extra_data: dict[str, Any]
    outputs: list[str]


class Outcome(NamedTuple):
    """How a run ended, as history keeps it."""

    outputs: dict[str, Any]
    meta: dict[str, Any]
    messages: list[tuple[str, dict[str, Any]]]
    success: bool


class PromptQueue:
    """Thread-safe; `changed` is called with the new queue info after each movement."""

    def __init__(self, changed: Callable[[dict[str, Any]], None]) -> None:
        self._changed = changed
        self._lock = threading.RLock()
        self._not_empty = threading.Condition(self._lock)
        self._pending: list[Item] = []
        self._running: Item | None = None
        self._history: dict[str, dict[str, Any]] = {}
        self.interrupt = threading.Event()
        """Set to stop the running prompt; the worker clears it when it begins one."""

    def info(self) -> dict[str, Any]:
        with self._lock:
            return {"exec_info": {"queue_remaining": len(self._pending) + (self._running is not None)}}

    def put(self, item: Item) -> None:
        with self._lock:
            heapq.heappush(self._pending, item)
            self._changed(self.info())
            self._not_empty.notify()

    def get(self) -> Item:
        """Wait for the next item and make it the running one."""
        with self._not_empty:
            while not self._pending:
                self._not_empty.wait()
            self._running = heapq.heappop(self._pending)
            self.interrupt.clear()
            self._changed(self.info())
            return self._running

    def done(self, item: Item, outcome: Outcome) -> None:
        with self._lock:
            self._running = None
            if len(self._history) >= MAX_HISTORY:
                self._history.pop(next(iter(self._history)))
            self._history[item.prompt_id] = {
                "prompt": item,
                "outputs": outcome.outputs,
                "status": {
                    "status_str": "success" if outcome.success else "error",
                    "completed": outcome.success,
                    "messages": outcome.messages,
                },
                "meta": outcome.meta,
            }
            self._changed(self.info())

    def snapshot(self) -> tuple[list[Item], list[Item]]:
        """Running and pending items; pending is the heap's array, not the order of execution."""
        with self._lock:
            return [self._running] if self._running else [], list(self._pending)

    def clear(self) -> None:
        with self._lock:
            self._pending.clear()
            self._changed(self.info())

    def delete(self, prompt_id: str) -> bool:
        """Drop the first pending item with this id; it leaves no trace."""
        with self._lock:
            for place, item in enumerate(self._pending):
                if item.prompt_id == prompt_id:
                    del self._pending[place]
                    heapq.heapify(self._pending)
                    self._changed(self.info())
                    return True
            return False

    def interrupt_running(self, prompt_id: str) -> bool:
        with self._lock:
            if self._running is None or self._running.prompt_id != prompt_id:
                return False
            self.interrupt.set()
            return True

    def cancel(self, prompt_id: str) -> bool:
        with self._lock:
            return self.interrupt_running(prompt_id) or self.delete(prompt_id)

    def history(self, max_items: int | None = None, offset: int = -1) -> dict[str, dict[str, Any]]:
        """Oldest first; without an offset the newest `max_items`."""
        with self._lock:
            entries = list(self._history.items())
        if max_items is None:
            return dict(entries[max(offset, 0) :])
        start = offset if offset >= 0 else max(len(entries) - max_items, 0)
        return dict(entries[start : start + max_items])

    def history_of(self, prompt_id: str) -> dict[str, dict[str, Any]]:
        """Empty when the id is unknown and while it runs."""
        with self._lock:
            entry = self._history.get(prompt_id)
        return {prompt_id: entry} if entry else {}

    def forget(self, prompt_id: str) -> None:
        with self._lock:
            self._history.pop(prompt_id, None)

    def forget_all(self) -> None:
        with self._lock:
            self._history.clear()
