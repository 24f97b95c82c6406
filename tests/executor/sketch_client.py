"""A small client of ComfyUI's protocol, and the graph it usually submits."""

import contextlib
import json
import uuid
from typing import Any, Self

import httpx
from websockets.sync.client import ClientConnection, connect

from tests.executor.sketch_process import SketchProcess

PATIENCE_S = 15

Graph = dict[str, dict[str, Any]]


def node(class_type: str, **inputs: Any) -> dict[str, Any]:
    return {"class_type": class_type, "inputs": inputs}


def a_picture(text: str = "a lake", seed: int = 1, *, steps: int = 2, batch: int = 1, width: int = 64) -> Graph:
    return {
        "model": node("CheckpointLoaderSimple", ckpt_name="v1-5-pruned-emaonly-fp16.safetensors"),
        "size": node("EmptyLatentImage", width=width, height=64, batch_size=batch),
        "good": node("CLIPTextEncode", text=text, clip=["model", 1]),
        "bad": node("CLIPTextEncode", text="", clip=["model", 1]),
        "paint": node(
            "KSampler",
            model=["model", 0],
            seed=seed,
            steps=steps,
            cfg=7.0,
            sampler_name="euler",
            scheduler="normal",
            positive=["good", 0],
            negative=["bad", 0],
            latent_image=["size", 0],
            denoise=1.0,
        ),
        "decode": node("VAEDecode", samples=["paint", 0], vae=["model", 2]),
        "save": node("SaveImage", images=["decode", 0], filename_prefix=f"jobs/{uuid.uuid4()}/img"),
    }


class Client:
    """One websocket client and the HTTP calls that belong to it."""

    def __init__(self, sketch: SketchProcess) -> None:
        self.id = uuid.uuid4().hex
        self._url = f"{sketch.ws_url}?clientId={self.id}"
        self._stack = contextlib.ExitStack()
        self.http = self._stack.enter_context(httpx.Client(base_url=sketch.url, timeout=PATIENCE_S))

    def __enter__(self) -> Self:
        self.socket = self.another_socket()
        return self

    def __exit__(self, *reason: object) -> None:
        self._stack.close()

    def another_socket(self) -> ClientConnection:
        """A second one with the same client id."""
        return self._stack.enter_context(connect(self._url, max_size=None, close_timeout=1))

    def submit(self, graph: Graph, **extra: Any) -> str:
        answer = self.http.post("/prompt", json={"prompt": graph, "client_id": self.id, **extra})
        assert answer.json()["node_errors"] == {}
        return answer.json()["prompt_id"]

    def until(self, kind: str, **fields: Any) -> list[dict[str, Any]]:
        """The frames up to the first one of this type with these fields; binary ones are left out."""
        frames: list[dict[str, Any]] = []
        while True:
            message = self.socket.recv(timeout=PATIENCE_S)
            if isinstance(message, bytes):
                continue
            frames.append(json.loads(message))
            data = frames[-1]["data"]
            if frames[-1]["type"] == kind and all(data[name] == value for name, value in fields.items()):
                return frames

    def run(self, graph: Graph, **extra: Any) -> dict[str, Any]:
        """Run a prompt to its end; its job."""
        prompt_id = self.submit(graph, **extra)
        self.until("executing", node=None, prompt_id=prompt_id)
        return self.http.get(f"/api/jobs/{prompt_id}").json()

    def view(self, image: dict[str, str]) -> bytes:
        query = {name: image[name] for name in ("filename", "subfolder", "type")}
        return self.http.get("/view", params=query).raise_for_status().content
