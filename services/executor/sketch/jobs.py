"""The `/api/jobs` view of the queue and of the history (docs/comfyui-protocol.md §4)."""

from collections.abc import Iterable
from typing import Any

from services.executor.sketch.prompt_queue import Item, PromptQueue

Job = dict[str, Any]

STATUSES = ("pending", "in_progress", "completed", "failed", "cancelled")


def find_job(queue: PromptQueue, prompt_id: str) -> Job | None:
    """One job with all that is known of it, or None."""
    running, pending = queue.snapshot()
    for items, status in ((running, "in_progress"), (pending, "pending")):
        for item in items:
            if item.prompt_id == prompt_id:
                return _queued(item, status)
    entry = queue.history_of(prompt_id).get(prompt_id)
    return _ended(entry, full=True) if entry else None


def list_jobs(queue: PromptQueue, statuses: Iterable[str]) -> list[Job]:
    running, pending = queue.snapshot()
    jobs = [_queued(item, "in_progress") for item in running]
    jobs += [_queued(item, "pending") for item in pending]
    jobs += [_ended(entry, full=False) for entry in queue.history().values()]
    wanted = set(statuses)
    return [job for job in jobs if job["status"] in wanted]


def _queued(item: Item, status: str) -> Job:
    return {
        "id": item.prompt_id,
        "status": status,
        "priority": item.number,
        "create_time": item.extra_data.get("create_time"),
        "outputs_count": 0,
        "previewable_outputs_count": 0,
    }


def _ended(entry: dict[str, Any], *, full: bool) -> Job:
    item: Item = entry["prompt"]
    messages = dict(entry["status"]["messages"])
    if entry["status"]["completed"]:
        status = "completed"
    else:
        status = "cancelled" if "execution_interrupted" in messages else "failed"
    images = [
        {**image, "nodeId": node_id, "mediaType": "images"}
        for node_id, output in entry["outputs"].items()
        for image in output["images"]
    ]
    last = entry["status"]["messages"][-1][1]
    job = {
        **_queued(item, status),
        "execution_start_time": messages["execution_start"]["timestamp"],
        "execution_end_time": last["timestamp"],
        "execution_error": messages.get("execution_error"),
        "outputs_count": len(images),
        "previewable_outputs_count": len(images),
        "preview_output": next((i for i in images if i["type"] == "output"), images[0] if images else None),
    }
    if full:
        job["outputs"] = entry["outputs"]
        job["execution_status"] = entry["status"]
        job["workflow"] = {"prompt": item.graph, "extra_data": item.extra_data}
    return {name: value for name, value in job.items() if value is not None}
