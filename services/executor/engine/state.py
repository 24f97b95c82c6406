"""What ComfyUI's record of a run says: `GET /api/jobs/{id}` (docs/comfyui-protocol.md §4)."""

from collections.abc import Mapping
from dataclasses import dataclass, field
from enum import StrEnum
from typing import Any


class Status(StrEnum):
    PENDING = "pending"
    IN_PROGRESS = "in_progress"
    COMPLETED = "completed"
    FAILED = "failed"
    CANCELLED = "cancelled"


@dataclass(frozen=True)
class ImageFile:
    """Where `/view` finds a picture: a file name, a folder below, and output, temp or input."""

    filename: str
    subfolder: str
    type: str


@dataclass(frozen=True)
class RunState:
    """A run as the engine's queue or history has it.

    Attributes:
        status: where it stands; completed, failed and cancelled are terminal.
        images: for each output node the files of its pictures in batch order; none where it made something else.
        error_type: the class of the exception that ended it ("torch.OutOfMemoryError"); empty unless failed.
        failed_node: the class of the node that raised it.
    """

    status: Status
    images: Mapping[str, tuple[ImageFile, ...]] = field(default_factory=dict)
    error_type: str = ""
    failed_node: str = ""

    @classmethod
    def from_job(cls, job: Mapping[str, Any]) -> "RunState":
        """Reads the job record.

        Raises:
            AttributeError, KeyError, TypeError, ValueError: the record has another shape, or an unknown status.
        """
        error = job.get("execution_error")
        error = error if isinstance(error, dict) else {}
        return cls(
            status=Status(job["status"]),
            images={node: _images(output) for node, output in (job.get("outputs") or {}).items()},
            error_type=str(error.get("exception_type", "")),
            failed_node=str(error.get("node_type", "")),
        )


def _images(output: Any) -> tuple[ImageFile, ...]:
    """The pictures of one node, whose output may as well be text, or `{"animated": [true]}`."""
    images = output.get("images") if isinstance(output, dict) else None
    return tuple(
        ImageFile(str(image["filename"]), str(image.get("subfolder", "")), str(image.get("type", "output")))
        for image in (images if isinstance(images, list) else [])
        if isinstance(image, dict) and image.get("filename")
    )
