"""The HTTP and websocket server: ComfyUI's routes, each also under /api, around one worker thread."""

import asyncio
import ipaddress
import json
import os
import platform
import shutil
import signal
import sys
import threading
import time
import uuid
from collections.abc import Awaitable, Callable
from typing import Any
from urllib.parse import urlsplit

from aiohttp import web

from services.executor.sketch.execution import Executor
from services.executor.sketch.jobs import STATUSES, find_job, list_jobs
from services.executor.sketch.nodes import declare
from services.executor.sketch.prompt_queue import Item, PromptQueue
from services.executor.sketch.settings import Settings
from services.executor.sketch.sockets import FEATURES, MAX_BODY_BYTES, Sockets
from services.executor.sketch.stage import FAULT_KINDS, Faults
from services.executor.sketch.uploads import upload
from services.executor.sketch.validation import Problem, problem, validate
from services.executor.sketch.view import view

SECRETS = ("auth_token_comfy_org", "api_key_comfy_org")
"""Keys of extra_data that never show in /queue or /history."""

LEGACY_FOLDERS = {"unet": "diffusion_models", "clip": "text_encoders"}

Handler = Callable[[web.Request], Awaitable[web.StreamResponse]]


async def serve(settings: Settings) -> None:
    """Listen until the process ends; SIGTERM ends it at once, without a close frame (recording 27)."""
    # The default action would do, but it does not reach process 1 of a container.
    signal.signal(signal.SIGTERM, lambda *_: os._exit(128 + signal.SIGTERM))
    shutil.rmtree(settings.temp_directory, ignore_errors=True)
    settings.output_directory.mkdir(parents=True, exist_ok=True)
    settings.temp_directory.mkdir()
    sketch = Server(settings)
    runner = web.AppRunner(sketch.application(), handle_signals=False, access_log=None)
    await runner.setup()
    await web.TCPSite(runner, settings.listen, settings.port).start()
    threading.Thread(target=sketch.work, name="worker", daemon=True).start()
    host, port = runner.addresses[0][:2]
    print(f"sketch listens on http://{host}:{port}", flush=True)  # noqa: T201 - launchers wait for this line
    await sketch.sockets.publish()


class Server:
    def __init__(self, settings: Settings) -> None:
        self._settings = settings
        self._nodes = declare(settings.models)
        self._faults = Faults()
        self.sockets = Sockets()
        self._queue = PromptQueue(lambda info: self.sockets.send("status", {"status": info}))
        self._executor = Executor(settings, self._nodes, self.sockets, self._faults, self._queue.interrupt)
        self._free = threading.Event()
        self._number = 0

    def application(self) -> web.Application:
        application = web.Application(client_max_size=MAX_BODY_BYTES, middlewares=[same_origin])
        routes: list[tuple[str, str, Handler]] = [
            ("GET", "/ws", self.websocket),
            ("POST", "/prompt", self.post_prompt),
            ("GET", "/prompt", self.get_prompt),
            ("GET", "/queue", self.get_queue),
            ("POST", "/queue", self.post_queue),
            ("POST", "/interrupt", self.post_interrupt),
            ("GET", "/history", self.get_history),
            ("GET", "/history/{prompt_id}", self.get_history_of),
            ("POST", "/history", self.post_history),
            ("GET", "/view", self.get_view),
            ("POST", "/upload/image", self.post_image),
            ("GET", "/object_info", self.get_object_info),
            ("GET", "/object_info/{node}", self.get_object_info_of),
            ("GET", "/models", self.get_models),
            ("GET", "/models/{folder}", self.get_models_of),
            ("GET", "/system_stats", self.get_system_stats),
            ("GET", "/features", self.get_features),
            ("POST", "/free", self.post_free),
        ]
        for method, path, handler in routes:
            application.router.add_route(method, path, handler)
            application.router.add_route(method, f"/api{path}", handler)
        application.router.add_get("/api/jobs", self.get_jobs)
        application.router.add_get("/api/jobs/{prompt_id}", self.get_job)
        application.router.add_post("/api/jobs/cancel", self.cancel_jobs)
        application.router.add_post("/api/jobs/{prompt_id}/cancel", self.cancel_job)
        if self._settings.faults:
            application.router.add_post("/sketch/faults", self.post_faults)
        return application

    def work(self) -> None:
        """The worker thread: one prompt at a time, for ever."""
        while True:
            item = self._queue.get()
            outcome = self._executor.execute(item)
            self._queue.done(item, outcome)
            client_id = item.extra_data.get("client_id")
            if client_id is not None:
                self.sockets.send("executing", {"node": None, "prompt_id": item.prompt_id}, client_id)
            if self._free.is_set():
                self._free.clear()
                self._executor.cache.clear()

    async def websocket(self, request: web.Request) -> web.StreamResponse:
        return await self.sockets.serve(request, self._queue.info())

    async def post_prompt(self, request: web.Request) -> web.Response:
        body = await request.json()
        if "number" in body:
            number = float(body["number"])
        else:
            front = "front" in body and body["front"]  # the body may also be a list
            number = -self._number if front else self._number
            self._number += 1
        if "prompt" not in body:
            return _refused(problem("no_prompt", "No prompt provided", "No prompt provided"))
        prompt_id = body.get("prompt_id") or str(uuid.uuid4())
        if not _is_canonical_uuid(prompt_id):
            details = "prompt_id must be a UUID string in canonical lowercase hyphenated form; "
            details += "omit it to let the server generate one"
            return _refused(problem("invalid_prompt_id", "prompt_id must be a valid UUID", details))
        graph = body["prompt"]
        verdict = validate(graph, self._nodes, body.get("partial_execution_targets"))
        extra_data = body.get("extra_data", {})
        if "client_id" in body:
            extra_data["client_id"] = body["client_id"]
        if verdict.error:
            return _refused(verdict.error, verdict.node_errors)
        for secret in SECRETS:
            extra_data.pop(secret, None)
        extra_data["create_time"] = int(time.time() * 1000)
        self._queue.put(Item(number, prompt_id, graph, extra_data, verdict.outputs))
        return web.json_response({"prompt_id": prompt_id, "number": number, "node_errors": verdict.node_errors})

    async def get_prompt(self, _request: web.Request) -> web.Response:
        return web.json_response(self._queue.info())

    async def get_queue(self, _request: web.Request) -> web.Response:
        running, pending = self._queue.snapshot()
        return web.json_response({"queue_running": running, "queue_pending": pending})

    async def post_queue(self, request: web.Request) -> web.Response:
        body = await request.json()
        if body.get("clear"):
            self._queue.clear()
        for prompt_id in body.get("delete", []):
            self._queue.delete(prompt_id)
        return web.Response()

    async def post_interrupt(self, request: web.Request) -> web.Response:
        try:
            prompt_id = (await request.json()).get("prompt_id")
        except json.JSONDecodeError:
            prompt_id = None
        if prompt_id:
            self._queue.interrupt_running(prompt_id)
        else:
            self._queue.interrupt.set()
        return web.Response()

    async def cancel_job(self, request: web.Request) -> web.Response:
        return web.json_response({"cancelled": self._queue.cancel(request.match_info["prompt_id"])})

    async def cancel_jobs(self, request: web.Request) -> web.Response:
        ids = (await request.json())["job_ids"]
        invalid = [prompt_id for prompt_id in ids if not _is_canonical_uuid(prompt_id)]
        if invalid:
            return web.json_response({"error": "job_ids contains invalid id(s)", "invalid_ids": invalid}, status=400)
        cancelled = [self._queue.cancel(prompt_id) for prompt_id in ids]
        return web.json_response({"cancelled": any(cancelled)})

    async def get_jobs(self, request: web.Request) -> web.Response:
        query = request.query
        statuses = query["status"].split(",") if "status" in query else STATUSES
        limit = int(query["limit"]) if "limit" in query else None
        offset = max(0, int(query.get("offset", 0)))
        jobs = list_jobs(self._queue, statuses)
        jobs.sort(key=lambda job: job["create_time"], reverse=query.get("sort_order", "desc") == "desc")
        page = jobs[offset:] if limit is None else jobs[offset : offset + limit]
        pagination = {
            "offset": offset,
            "limit": limit,
            "total": len(jobs),
            "has_more": offset + len(page) < len(jobs),
        }
        return web.json_response({"jobs": page, "pagination": pagination})

    async def get_job(self, request: web.Request) -> web.Response:
        job = find_job(self._queue, request.match_info["prompt_id"])
        if job is None:
            return web.json_response({"error": "Job not found"}, status=404)
        return web.json_response(job)

    async def get_history(self, request: web.Request) -> web.Response:
        max_items = int(request.query["max_items"]) if "max_items" in request.query else None
        return web.json_response(self._queue.history(max_items, int(request.query.get("offset", -1))))

    async def get_history_of(self, request: web.Request) -> web.Response:
        return web.json_response(self._queue.history_of(request.match_info["prompt_id"]))

    async def post_history(self, request: web.Request) -> web.Response:
        body = await request.json()
        if body.get("clear"):
            self._queue.forget_all()
        for prompt_id in body.get("delete", []):
            self._queue.forget(prompt_id)
        return web.Response()

    async def get_view(self, request: web.Request) -> web.StreamResponse:
        return view(self._settings, request.query)

    async def post_image(self, request: web.Request) -> web.Response:
        return upload(self._settings, await request.post())

    async def get_object_info(self, _request: web.Request) -> web.Response:
        return web.json_response({name: node.info(name) for name, node in self._nodes.items()})

    async def get_object_info_of(self, request: web.Request) -> web.Response:
        name = request.match_info["node"]
        return web.json_response({name: self._nodes[name].info(name)} if name in self._nodes else {})

    async def get_models(self, _request: web.Request) -> web.Response:
        return web.json_response(list(self._settings.models))

    async def get_models_of(self, request: web.Request) -> web.Response:
        folder = request.match_info["folder"]
        folder = LEGACY_FOLDERS.get(folder, folder)
        if folder not in self._settings.models:
            return web.Response(status=404)
        return web.json_response(self._settings.models[folder])

    async def get_system_stats(self, _request: web.Request) -> web.Response:
        page = os.sysconf("SC_PAGE_SIZE")
        total, free = page * os.sysconf("SC_PHYS_PAGES"), page * os.sysconf("SC_AVPHYS_PAGES")
        system = {
            "os": sys.platform,
            "ram_total": total,
            "ram_free": free,
            "comfyui_version": self._settings.version,
            "python_version": platform.python_version(),
            "pytorch_version": "none",
            "embedded_python": False,
            "argv": ["sketch", *sys.argv[1:]],
            "sketch": True,
        }
        vram = self._settings.vram
        vram_total, vram_free = (total, free) if vram is None else (vram, vram)
        device = {
            "name": self._settings.device,
            "type": "cpu",
            "index": None,
            "vram_total": vram_total,
            "vram_free": vram_free,
            "torch_vram_total": vram_total,
            "torch_vram_free": vram_free,
        }
        return web.json_response({"system": system, "devices": [device]})

    async def get_features(self, _request: web.Request) -> web.Response:
        return web.json_response(FEATURES)

    async def post_free(self, request: web.Request) -> web.Response:
        """Ask the worker to forget its node outputs once the current or next prompt has ended."""
        body = await request.json()
        if body.get("free_memory") or body.get("unload_models"):
            self._free.set()
        return web.Response()

    async def post_faults(self, request: web.Request) -> web.Response:
        """`{"kind": "value|oom|exit|zombie", "times": n}`: fail the next n sampler runs, halfway."""
        body = await request.json()
        kind, times = body.get("kind"), body.get("times", 1)
        if kind not in FAULT_KINDS or not isinstance(times, int):
            return web.json_response({"error": f"kind is one of {', '.join(FAULT_KINDS)}; times a number"}, status=400)
        self._faults.arm(kind, times)
        return web.Response()


@web.middleware
async def same_origin(request: web.Request, handler: Handler) -> web.StreamResponse:
    """Keep foreign web pages off a loopback server (docs/comfyui-protocol.md §4, recording 20)."""
    host, origin = urlsplit(f"//{request.headers.get('Host', '')}"), urlsplit(request.headers.get("Origin", ""))
    if request.headers.get("Sec-Fetch-Site") == "cross-site":
        return web.Response(status=403)
    if host.hostname and origin.hostname and _is_loopback(host.hostname):
        same_port = host.port == origin.port or host.port is None or origin.port is None
        if host.hostname != origin.hostname or not same_port:
            return web.Response(status=403)
    return await handler(request)


def _is_loopback(host: str) -> bool:
    try:
        return ipaddress.ip_address(host).is_loopback
    except ValueError:
        return host == "localhost"


def _is_canonical_uuid(value: Any) -> bool:
    try:
        return bool(str(uuid.UUID(value)) == value)
    except (AttributeError, TypeError, ValueError):
        return False


def _refused(error: Problem, node_errors: dict[str, Any] | None = None) -> web.Response:
    return web.json_response({"error": error, "node_errors": node_errors or {}}, status=400)


def run(settings: Settings) -> None:
    asyncio.run(serve(settings))
