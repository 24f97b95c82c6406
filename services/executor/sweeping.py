"""Steps that are taken now and then, beside all else: what they leave undone, the next one does."""

import threading
from collections.abc import Callable

import structlog

from services.runtime.errors import DependencyUnavailable
from services.runtime.logs import describe

log = structlog.get_logger()

SWEEP_SECONDS = 10.0
"""For what is untidy but keeps nobody waiting."""


def repeat(name: str, step: Callable[[], None], seconds: float, stopping: threading.Event) -> None:
    """Take a step again and again until `stopping` is set, in a thread of its own, whatever the step raises."""

    def take_steps() -> None:
        while not stopping.wait(seconds):
            try:
                step()
            except DependencyUnavailable as error:
                log.warning("step not done", step=name, error=str(error))
            except Exception as error:  # noqa: BLE001 - the next one may do better
                log.error("step failed", step=name, **describe(error))  # noqa: TRY400 - its text may be private

    threading.Thread(target=take_steps, name=name, daemon=True).start()
