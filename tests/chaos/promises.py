"""The promises, each as a question to the evidence. What is broken is a sentence that begins with the task's id."""

import re
from collections import Counter, defaultdict
from collections.abc import Iterator, Sequence

from tests.chaos.evidence import Evidence, Row
from tests.chaos.people import FINAL, Asked

_ENDED = re.compile(r"attempt ended .*?\bepoch=(\d+).*?\bstate=(\w+).*?\btask_id=(\S+)")


def broken_promises(asked: Sequence[Asked], evidence: Evidence) -> list[str]:
    """Of tasks that were accepted, and of what there is besides."""
    accepted = Counter(one.task_id for one in asked if one.task_id)
    keys = {row["image_url"] for row in evidence.results} | evidence.variants
    files = {file for file in evidence.files if file.removesuffix("#1") not in evidence.orphans}
    return [
        *(sentence for one in asked if one.task_id for sentence in _of_one(one, evidence)),
        *(f"{task_id}: {times} requests made one task" for task_id, times in accepted.items() if times > 1),
        *(f"{task_id}: nobody was told that this task exists" for task_id in evidence.shown.keys() - accepted.keys()),
        *(f"{task_id}: a job without a task" for task_id in evidence.jobs.keys() - evidence.tasks.keys()),
        *(f"{row['task_id']}: the result {row['index']} of no completed task" for row in evidence.homeless),
        *(f"the store has {file}, which belongs to nothing" for file in sorted(files - keys)),
        *(f"the store has lost {key}" for key in sorted(keys - files)),
    ]


def broken_leases(log: str) -> list[str]:
    """By what workers say that they have committed: one end per lease, and none after a job's last one.

    Their lines may come late, so their order says nothing.
    """
    told = defaultdict(list)
    for epoch, state, task_id in _ENDED.findall(log):
        told[task_id].append((int(epoch), state))
    return [
        f"{task_id}: ended more than once, or under a lease that was over: {sorted(ends)}"
        for task_id, ends in told.items()
        if len({epoch for epoch, _ in ends}) < len(ends) or any(state in FINAL for _, state in sorted(ends)[:-1])
    ]


def _of_one(asked: Asked, evidence: Evidence) -> list[str]:
    task_id = asked.task_id
    task, job = evidence.shown.get(task_id), evidence.jobs.get(task_id)
    if task is None:
        return [f"{task_id}: lost: it was accepted and is not in its owner's history"]
    if task["status"] not in FINAL:
        return [f"{task_id}: stuck: {task['status']} ({task['waiting_reason']}); its job is {job and job['state']}"]
    return [*_of_its_pictures(asked, task, evidence), *_of_its_end(asked, task, job)]


def _of_its_pictures(asked: Asked, task: Row, evidence: Evidence) -> Iterator[str]:
    due = list(range(asked.wish.count)) if task["status"] == "completed" else []
    stored = sorted(row["index"] for row in evidence.results if str(row["task_id"]) == asked.task_id)
    if stored != due:
        yield f"{asked.task_id}: {task['status']} with the results {stored} instead of {due}"
    shown = [result["index"] for result in task["results"]]
    if shown != due:
        yield f"{asked.task_id}: {task['status']}, and its owner is shown {shown} instead of {due}"


def _of_its_end(asked: Asked, task: Row, job: Row | None) -> Iterator[str]:
    status, error = task["status"], task["error"]
    if status == "failed" and not (error and error["code"] and error["message"]):
        yield f"{asked.task_id}: failed without a reason"
    if status == "canceled" and asked.wish.cancel_after is None:
        yield f"{asked.task_id}: canceled, and nobody had asked for that"
    if job is None and status == "completed":
        yield f"{asked.task_id}: {status}, and the executor never had it"
    if job and job["state"] != status:
        yield f"{asked.task_id}: {status}, and its job is {job['state']}"
    if asked.seen_end not in ("", status):
        yield f"{asked.task_id}: {status}, and who watched saw it end {asked.seen_end}"
