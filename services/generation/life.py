"""A task's life as spans, told when it has ended: what its timeline says, and under the same names.

Whoever commits the end tells it, once. So it tells what no worker lived to tell, and what never came to one.
"""

from services.generation.domain import Task
from services.runtime import tracing


def tell_if_ended(before: Task, after: Task) -> None:
    """To be called once the change is committed."""
    if before.is_finished or after.finished_at is None or not tracing.is_recording():
        return
    attributes = {
        "imagegen.task.id": str(after.id),
        "imagegen.task.state": after.state,
        "imagegen.model": after.model,
        **({"error.type": after.failure.reason} if after.failure else {}),
    }
    life = tracing.record("task", after.created_at, after.finished_at, parent=after.traceparent, attributes=attributes)
    for phase, length in after.parts:
        tracing.record(phase.kind, phase.started_at, phase.started_at + length, parent=life)
