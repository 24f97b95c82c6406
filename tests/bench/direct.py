"""The yardstick: a plain client that drives an engine with nothing in between (docs/comfyui-protocol.md)."""

import json
import time
from collections.abc import Sequence
from pathlib import Path
from typing import Any
from uuid import uuid4

import httpx
import yaml
from websockets.sync.client import ClientConnection, connect

Graph = dict[str, dict[str, Any]]

_SECONDS = 60.0  # for one answer or frame; loading a large model is the slowest


class Workflow:
    """A model of a folder of models, filled in without our own code for it."""

    def __init__(self, folder: Path, stem: str) -> None:
        manifest = yaml.safe_load((folder / f"{stem}.yaml").read_text())
        self.name: str = manifest["name"]
        self.defaults: dict[str, Any] = {"count": 1, **manifest["defaults"]}
        self._bindings: dict[str, Any] = manifest["bindings"]
        self._graph: Graph = json.loads((folder / f"{stem}.json").read_text())

    @property
    def classes(self) -> set[str]:
        return {node["class_type"] for node in self._graph.values()}

    def graph(self, prompt_id: str, seed: int) -> Graph:
        """At the defaults, saving in a folder of its own."""
        values = {**self.defaults, "prompt": "bench", "negative_prompt": "", "seed": seed}
        values["filename_prefix"] = f"bench/{prompt_id}/image"
        graph: Graph = json.loads(json.dumps(self._graph))
        for slot, targets in self._bindings.items():
            for node, name in [targets] if isinstance(targets[0], str) else targets:
                graph[node]["inputs"][name] = values[slot]
        return graph


class Engine:
    """One connection to an engine."""

    def __init__(self, url: str) -> None:
        self._client_id = str(uuid4())
        self._http = httpx.Client(base_url=url, trust_env=False, timeout=_SECONDS)
        self._socket = connected(url, self._client_id)
        self._prompts: list[str] = []

    def close(self) -> None:
        self._socket.close()
        self._http.close()

    def lacks(self, workflow: Workflow) -> list[str]:
        """The node classes of the workflow that the engine does not have."""
        return sorted(name for name in workflow.classes if not self._get(f"/object_info/{name}"))

    def version(self) -> str:
        system = self._get("/system_stats")["system"]
        return f"{'sketch' if system.get('sketch') else 'ComfyUI'} {system['comfyui_version']}"

    def newest(self) -> list[str]:
        """The id of the newest run that the engine remembers, if any."""
        return list(self._get("/history", max_items=1))

    def paint(self, workflow: Workflow, seed: int) -> float:
        """One picture from POST /prompt to its bytes; returns the seconds it took."""
        prompt_id = self._new_prompt()
        graph = workflow.graph(prompt_id, seed)
        begin = time.perf_counter()
        self._post(prompt_id, graph)
        for image in self._follow(prompt_id):
            self._http.get("/view", params=image).raise_for_status()
        return time.perf_counter() - begin

    def burst(self, workflow: Workflow, seeds: Sequence[int]) -> float:
        """Posts all, one after another, and waits for the last; returns the seconds it took."""
        prompts = [self._new_prompt() for _ in seeds]
        graphs = [workflow.graph(prompt_id, seed) for prompt_id, seed in zip(prompts, seeds, strict=True)]
        begin = time.perf_counter()
        for prompt_id, graph in zip(prompts, graphs, strict=True):
            self._post(prompt_id, graph)
        self._follow(prompts[-1])
        return time.perf_counter() - begin

    def forget(self) -> None:
        """Deletes the records of all that was run here, as whoever keeps an engine fast does."""
        self._http.post("/history", json={"delete": self._prompts}).raise_for_status()
        self._prompts.clear()

    def _new_prompt(self) -> str:
        self._prompts.append(str(uuid4()))
        return self._prompts[-1]

    def _post(self, prompt_id: str, graph: Graph) -> None:
        # Previews cost the engine time, and a worker asks for them too.
        more = {"client_id": self._client_id, "extra_data": {"preview_method": "auto"}}
        body = {"prompt": graph, "prompt_id": prompt_id, **more}
        answer = self._http.post("/prompt", json=body)
        if answer.status_code != httpx.codes.OK or answer.json()["node_errors"]:
            raise RuntimeError(f"the engine refuses the graph: {answer.text}")

    def _follow(self, prompt_id: str) -> list[dict[str, str]]:
        """Waits for the end of a run and returns its images, as /view wants them named."""
        images: list[dict[str, str]] = []
        while True:
            message = self._socket.recv(timeout=_SECONDS)
            frame = json.loads(message) if isinstance(message, str) else {"type": "binary", "data": {}}
            if frame["data"].get("prompt_id") != prompt_id:
                continue
            if frame["type"] == "executed":
                images += frame["data"]["output"].get("images", ())
            if frame["type"] == "execution_error":
                raise RuntimeError(f"the engine failed: {frame['data']['exception_message']}")
            if frame["type"] == "executing" and frame["data"]["node"] is None:
                return images

    def _get(self, path: str, **query: int) -> Any:
        return self._http.get(path, params=query).raise_for_status().json()


def connected(url: str, client_id: str) -> ClientConnection:
    """The engine's socket: frames of any size, and never a pause in reading, which would stall the engine (§5.5)."""
    address = f"{url.replace('http', 'ws', 1)}/ws?clientId={client_id}"
    return connect(address, max_size=None, max_queue=None, compression=None, proxy=None)
