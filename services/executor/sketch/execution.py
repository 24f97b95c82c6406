"""Runs one prompt: picks the next node, serves what is cached, tells the clients, reports how it ended."""

import hashlib
import json
import threading
import time
import traceback
import uuid
from collections.abc import Callable, Mapping
from typing import Any, NamedTuple

from services.executor.sketch import frames
from services.executor.sketch.node import Node
from services.executor.sketch.prompt_queue import Graph, Item, Outcome
from services.executor.sketch.settings import PREVIEW_METHODS, Settings
from services.executor.sketch.sockets import Sockets
from services.executor.sketch.stage import Faults, Interrupted, OutOfMemoryError, Stage

_OOM_TIPS = (
    "This error means you ran out of memory on your GPU.\n\nTIPS: If the workflow worked before you might have "
    "accidentally set the batch_size to a large number."
)


class Cached(NamedTuple):
    values: tuple[Any, ...]
    ui: dict[str, Any] | None


class Executor:
    """Executes prompts one after another and keeps the last one's node outputs for the next."""

    def __init__(
        self,
        settings: Settings,
        nodes: Mapping[str, Node],
        sockets: Sockets,
        faults: Faults,
        interrupt: threading.Event,
    ) -> None:
        self.settings = settings
        self.nodes = nodes
        self.sockets = sockets
        self.faults = faults
        self.interrupt = interrupt
        self.cache: dict[str, Cached] = {}
        """Node signature → what the node returned."""

    def execute(self, item: Item) -> Outcome:
        """Run a prompt to its end, however it ends.

        Only Exceptions of validated nodes end a run; anything else ends the worker thread, which leaves a
        server whose HTTP is green and whose queue stands still (docs/comfyui-protocol.md §7.1).
        """
        return _Run(self, item).execute()


class _Run:
    def __init__(self, executor: Executor, item: Item) -> None:
        self._executor = executor
        self._sockets = executor.sockets
        self._nodes = executor.nodes
        self._item = item
        self._graph = item.graph
        self._client_id: str | None = item.extra_data.get("client_id")
        self._signatures = _signatures(item.graph, executor.nodes)
        self._executed: set[str] = set()
        self._progress: dict[str, dict[str, Any]] = {}
        self._messages: list[tuple[str, dict[str, Any]]] = []
        self._ui: dict[str, Any] = {}
        method = item.extra_data.get("preview_method")
        if method not in PREVIEW_METHODS:
            method = executor.settings.preview_method
        self._previews = method != "none"

    def execute(self) -> Outcome:
        self._sockets.running_client = self._client_id
        cache = self._executor.cache
        self._executor.cache = {s: cache[s] for s in self._signatures.values() if s in cache}
        self._announce("execution_start")
        cached = [node_id for node_id, signature in self._signatures.items() if signature in self._executor.cache]
        self._announce("execution_cached", nodes=cached)
        success = all(self._step(node_id) for node_id in self._schedule())
        if success:
            self._announce("execution_success")
        self._sockets.running_node = None
        meta = {
            n: {"node_id": n, "display_node": n, "parent_node": None, "real_node_id": n} for n in self._ui if success
        }
        return Outcome(self._ui if success else {}, meta, self._messages, success)

    def _schedule(self) -> "_Schedule":
        wanted = _Schedule(self._graph, self._nodes)
        for output in self._item.outputs:
            wanted.add(output, lambda node_id: self._signatures[node_id] in self._executor.cache)
        return wanted

    def _step(self, node_id: str) -> bool:
        """Run one node; False if the prompt ends with it."""
        signature = self._signatures[node_id]
        if signature in self._executor.cache:
            self._finish(node_id, self._executor.cache[signature])
            return True
        self._show_progress(node_id, 0, 1)
        if self._client_id is not None:
            self._sockets.running_node = node_id
            data = {"node": node_id, "display_node": node_id, "prompt_id": self._item.prompt_id}
            self._sockets.send("executing", data, self._client_id)
        inputs: dict[str, Any] = {}
        try:
            inputs = self._inputs(node_id)
            if self._executor.interrupt.is_set():
                raise Interrupted  # noqa: TRY301 - the same end as an interrupt inside the node
            result = self._node(node_id).run(self._stage(node_id), **inputs)
        except Interrupted:
            self._announce("execution_interrupted", **self._culprit(node_id), broadcast=True)
            return False
        except Exception as error:  # noqa: BLE001 - a node may fail in any way; the client is told which
            self._announce_error(node_id, inputs, error)
            return False
        done = Cached(result[:-1], result[-1]) if self._node(node_id).is_output else Cached(result, None)
        self._executor.cache[signature] = done
        self._executed.add(node_id)
        self._finish(node_id, done)
        return True

    def _node(self, node_id: str) -> Node:
        return self._nodes[self._graph[node_id]["class_type"]]

    def _inputs(self, node_id: str) -> dict[str, Any]:
        given = self._graph[node_id]["inputs"]
        node = self._node(node_id)
        inputs = {}
        for name in (*node.required, *node.optional):
            if name in given:
                value = given[name]
                inputs[name] = self._value(*value) if isinstance(value, list) else value
        return inputs

    def _value(self, source: str, slot: int) -> Any:
        return self._executor.cache[self._signatures[source]].values[slot]

    def _stage(self, node_id: str) -> Stage:
        return Stage(
            settings=self._executor.settings,
            faults=self._executor.faults,
            graph=self._graph,
            extra_data=self._item.extra_data,
            previews=self._previews,
            interrupt=self._executor.interrupt,
            report=lambda value, maximum, image: self._report(node_id, value, maximum, image),
            say=lambda text: self._sockets.send_frame(frames.progress_text(node_id, text), None),
        )

    def _report(self, node_id: str, value: int, maximum: int, image: bytes | None) -> None:
        prompt_id = self._item.prompt_id
        self._show_progress(node_id, value, maximum)
        step = {"value": value, "max": maximum, "prompt_id": prompt_id, "node": node_id}
        if image is None:
            self._sockets.send("progress", step, self._client_id)
        elif self._sockets.supports("supports_preview_metadata", self._client_id):
            self._sockets.send_frame(frames.preview_with_metadata(image, prompt_id, node_id), self._client_id)
            self._sockets.send("progress", step, self._client_id)
        else:
            self._sockets.send("progress", step, self._client_id)
            self._sockets.send_frame(frames.preview(image), self._client_id)

    def _finish(self, node_id: str, done: Cached) -> None:
        if done.ui is not None:
            self._ui[node_id] = done.ui
            if self._client_id is not None:
                data = {"node": node_id, "display_node": node_id, "output": done.ui, "prompt_id": self._item.prompt_id}
                self._sockets.send("executed", data, self._client_id)
        maximum = self._progress.get(node_id, {"max": 1})["max"]
        self._show_progress(node_id, maximum, maximum, state="finished")

    def _show_progress(self, node_id: str, value: float, maximum: float, state: str = "running") -> None:
        self._progress[node_id] = {
            "value": value,
            "max": maximum,
            "state": state,
            "node_id": node_id,
            "prompt_id": self._item.prompt_id,
            "display_node_id": node_id,
            "parent_node_id": None,
            "real_node_id": node_id,
        }
        data = {"prompt_id": self._item.prompt_id, "nodes": self._progress}
        self._sockets.send("progress_state", data, self._client_id)

    def _announce(self, event: str, *, broadcast: bool = False, **data: Any) -> None:
        """Note a milestone for history, and tell the owner; everybody if there is none and it is a broadcast."""
        message = {"prompt_id": self._item.prompt_id, **data, "timestamp": int(time.time() * 1000)}
        self._messages.append((event, message))
        if self._client_id is not None or broadcast:
            self._sockets.send(event, message, self._client_id)

    def _culprit(self, node_id: str) -> dict[str, Any]:
        class_type = self._graph[node_id]["class_type"]
        return {"node_id": node_id, "node_type": class_type, "executed": list(self._executed)}

    def _announce_error(self, node_id: str, inputs: dict[str, Any], error: Exception) -> None:
        kind = type(error)
        known = kind.__module__ == "builtins"
        self._announce(
            "execution_error",
            **self._culprit(node_id),
            exception_message=f"{error}\n{_OOM_TIPS if isinstance(error, OutOfMemoryError) else ''}",
            exception_type=kind.__qualname__ if known else f"{kind.__module__}.{kind.__qualname__}",
            traceback=traceback.format_tb(error.__traceback__),
            current_inputs={name: [_readable(value)] for name, value in inputs.items()},
            current_outputs=list(self._graph),
        )


class _Schedule:
    """The nodes still to run; iterating runs through them in ComfyUI's order (recording 05: 4, 5, 7, 6, 3, 8, 9)."""

    def __init__(self, graph: Graph, nodes: Mapping[str, Node]) -> None:
        self._graph = graph
        self._nodes = nodes
        self._pending: dict[str, set[str]] = {}
        """Node → the nodes it waits for, in the order of discovery."""

    def add(self, output: str, is_cached: Callable[[str], bool]) -> None:
        """Want this output, and everything upstream of it that is not cached."""
        stack = [output]
        while stack:
            node_id = stack.pop()
            if node_id in self._pending:
                continue
            sources = [value[0] for value in self._graph[node_id]["inputs"].values() if _is_link(value)]
            sources = [source for source in sources if not is_cached(source)]
            self._pending[node_id] = set(sources)
            stack += sources

    def __iter__(self) -> "_Schedule":
        return self

    def __next__(self) -> str:
        if not self._pending:
            raise StopIteration
        ready = [node_id for node_id, waits in self._pending.items() if not waits & self._pending.keys()]
        chosen = min(ready, key=self._urgency)
        del self._pending[chosen]
        return chosen

    def _urgency(self, node_id: str) -> int:
        """Links to the nearest output node, as far as 2; the nearer, the sooner somebody sees something."""
        front = {node_id}
        for distance in range(3):
            if any(self._nodes[self._graph[n]["class_type"]].is_output for n in front):
                return distance
            front = {n for n, waits in self._pending.items() if waits & front}
        return 3


def _is_link(value: Any) -> bool:
    return isinstance(value, list) and len(value) == 2 and isinstance(value[0], str)


def _signatures(graph: Graph, nodes: Mapping[str, Node]) -> dict[str, str]:
    """For each node a digest of its class, its literal inputs and, through the links, of all that is upstream.

    A node that always runs gets another one each time.
    """
    known: dict[str, str] = {}

    def signature(node_id: str) -> str:
        if node_id not in known:
            node = graph[node_id]
            inputs = {
                name: ["link", signature(value[0]), value[1]] if _is_link(value) else value
                for name, value in sorted(node["inputs"].items())
            }
            chance = uuid.uuid4().hex if nodes[node["class_type"]].always_runs else ""
            known[node_id] = hashlib.sha256(json.dumps([node["class_type"], inputs, chance]).encode()).hexdigest()
        return known[node_id]

    return {node_id: signature(node_id) for node_id in graph}


def _readable(value: Any) -> Any:
    return value if value is None or isinstance(value, int | float | bool | str) else str(value)
