"""What is to be held against whom when an attempt fails."""

from services.executor.domain import FailureReason
from services.executor.engine.errors import EngineUnavailable, RunAbandoned, RunFailed, RunLost, RunRefused
from services.executor.pictures import PictureRefused

SENTENCES = {
    FailureReason.REFUSED: "The model is not installed any more.",
    FailureReason.ENGINE_REFUSED: "The engine did not accept this request.",
    FailureReason.ENGINE_FAILED: "The engine failed while painting.",
    FailureReason.OUT_OF_MEMORY: "The GPU ran out of memory. A smaller or a single picture may fit.",
    FailureReason.ENGINE_LOST: "The GPU that was painting this picture was lost.",
    FailureReason.RESULT_REFUSED: "What the engine painted was not a sound picture.",
    FailureReason.TIMED_OUT: "Painting took longer than allowed.",
}
"""What a person is told."""


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
