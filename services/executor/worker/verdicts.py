"""What is to be held against whom when an attempt fails."""

from services.executor.domain import FailureReason
from services.executor.engine.errors import EngineUnavailable, RunAbandoned, RunFailed, RunLost, RunRefused
from services.executor.worker.pictures import PictureRefused


def blame(error: Exception, max_attempts: int) -> tuple[FailureReason, int]:
    """The reason that an error gives a job, and how many failures end it."""
    match error:
        case RunRefused():
            return FailureReason.ENGINE_REFUSED, 1
        case RunFailed(kind="out_of_memory"):
            return FailureReason.OUT_OF_MEMORY, max_attempts
        case RunFailed():
            return FailureReason.ENGINE_FAILED, max_attempts if error.retryable else 1
        case PictureRefused():
            return FailureReason.RESULT_REFUSED, max_attempts
        case RunAbandoned():
            return FailureReason.TIMED_OUT, 1
    return FailureReason.ENGINE_LOST, max_attempts


def is_engines_fault(error: Exception) -> bool:
    """Whether another job would probably have failed there too."""
    match error:
        case RunFailed():
            return error.retryable
        case RunLost() | EngineUnavailable() | PictureRefused():
            return True
    return False
