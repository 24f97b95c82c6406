"""A model that this service can paint with: a ComfyUI workflow and the places where a request's values go."""

import copy
from collections.abc import Mapping
from dataclasses import asdict, dataclass
from typing import Annotated, Any, Self
from uuid import UUID

from pydantic import AfterValidator, BaseModel, BeforeValidator, ConfigDict, Field, Strict, model_validator

# ComfyUI's API format: node id -> {"class_type": …, "inputs": {name: literal or [node id, output slot]}}.
Graph = dict[str, dict[str, Any]]

# JSON numbers are doubles in browsers, so a larger seed would not survive a client.
MAX_SEED = 2**53 - 1


def output_folder(prompt_id: UUID) -> str:
    """A run's own folder below the engine's output directory.

    Of its own because ComfyUI may hand out another run's picture where runs share a prefix
    (docs/comfyui-protocol.md §7.3), and slows down with each file in a folder (§8).
    """
    return f"imagegen/{prompt_id}"


class _Part(BaseModel):
    model_config = ConfigDict(frozen=True, strict=True, extra="forbid")


class LocalizedText(_Part):
    en: str = Field(min_length=1)
    zh: str = Field(min_length=1)


# ComfyUI goes on searching the folders of the old names, but lists their files under the new ones only.
OLD_FOLDERS = {"clip": "text_encoders", "unet": "diffusion_models"}


class ModelFile(_Part):
    """A file that the engine must have: ComfyUI's name of the folder, and the name in it."""

    folder: Annotated[str, Field(min_length=1), AfterValidator(lambda folder: OLD_FOLDERS.get(folder, folder))]
    file: str = Field(min_length=1)


class Whole(_Part):
    """The whole numbers from `min` to `max` that `multiple_of` divides."""

    min: int = Field(ge=0)
    max: int
    multiple_of: int = Field(default=1, ge=1)

    @model_validator(mode="after")
    def _is_not_empty(self) -> Self:
        if self.min > self.max:
            raise ValueError("min is above max")
        return self

    def admits(self, value: object) -> bool:
        return type(value) is int and self.min <= value <= self.max and value % self.multiple_of == 0

    def __str__(self) -> str:
        step = f" in steps of {self.multiple_of}" if self.multiple_of > 1 else ""
        return f"a whole number from {self.min} to {self.max}{step}"


class Real(_Part):
    """The finite numbers from `min` to `max`."""

    min: float = Field(ge=0, allow_inf_nan=False)
    max: float = Field(allow_inf_nan=False)

    @model_validator(mode="after")
    def _is_not_empty(self) -> Self:
        if self.min > self.max:
            raise ValueError("min is above max")
        return self

    def admits(self, value: object) -> bool:
        return isinstance(value, int | float) and not isinstance(value, bool) and self.min <= value <= self.max

    def __str__(self) -> str:
        return f"a number from {self.min:g} to {self.max:g}"


def _is_text(value: object) -> bool:
    """Whether a value is a string that UTF-8 can carry: half of a surrogate pair is no character."""
    return isinstance(value, str) and not any("\ud800" <= character <= "\udfff" for character in value)


def _as_several(targets: Any) -> Any:
    return [targets] if isinstance(targets, list) and targets and isinstance(targets[0], str) else targets


Target = Annotated[tuple[str, str], Strict(strict=False)]
Targets = Annotated[tuple[Target, ...], Strict(strict=False), BeforeValidator(_as_several), Field(min_length=1)]


class Bindings(_Part):
    """Where in the workflow each value goes: one [node id, input], or a list of them."""

    prompt: Targets
    negative_prompt: Targets | None = None
    seed: Targets
    steps: Targets
    cfg: Targets | None = None
    width: Targets
    height: Targets
    count: Targets
    filename_prefix: Targets


class Limits(_Part):
    """What a request may ask for: sizes in pixels, `max_pixels` for the product of the sides."""

    width: Whole
    height: Whole
    max_pixels: int = Field(ge=1)
    steps: Whole
    cfg: Real | None = None
    count: Whole


class Defaults(_Part):
    """What a request gets that does not say."""

    width: int
    height: int
    steps: int
    cfg: float | None = None
    count: int = 1


@dataclass(frozen=True)
class Parameters:
    """What a job asks of its model.

    Attributes:
        prompt: what to paint.
        negative_prompt: what to avoid; empty where the model takes none.
        width: pixels.
        height: pixels.
        steps: sampler steps.
        cfg: the strength of the prompt; None where the model takes none.
        seed: 0 to 2^53 - 1. The same seed and the rest give the same picture.
        count: how many pictures.
    """

    prompt: str
    width: int
    height: int
    steps: int
    seed: int
    negative_prompt: str = ""
    cfg: float | None = None
    count: int = 1


class Model(_Part):
    """A model, as its manifest and its workflow describe it.

    Attributes:
        name: how requests call it.
        display_name: how people call it.
        description: one sentence for people.
        licence: the licence of its weights.
        files: what the engine must have.
        bindings: where values go in the workflow.
        output_node: the node that saves the pictures.
        limits: what may be asked for.
        defaults: what is not asked for.
        cost_seconds: about how many seconds of a GPU one picture at the defaults takes; a first guess for the queue.
        load_seconds: about how many seconds an engine takes to load the weights; a first guess for the queue.
        workflow: the graph to fill in.
    """

    name: str = Field(pattern=r"^[a-z0-9][a-z0-9.-]{0,62}$")
    display_name: LocalizedText
    description: LocalizedText
    licence: str = Field(min_length=1)
    files: Annotated[tuple[ModelFile, ...], Strict(strict=False)]
    bindings: Bindings
    output_node: str
    limits: Limits
    defaults: Defaults
    cost_seconds: float = Field(gt=0, allow_inf_nan=False)
    load_seconds: float = Field(default=10.0, gt=0, allow_inf_nan=False)
    workflow: Graph

    @property
    def supports(self) -> frozenset[str]:
        """Which of the optional values this model takes: negative_prompt, cfg."""
        optional = {"negative_prompt": self.bindings.negative_prompt, "cfg": self.bindings.cfg}
        return frozenset(name for name, targets in optional.items() if targets is not None)

    def missing(self, files: Mapping[str, frozenset[str]]) -> list[ModelFile]:
        """Which of the model's files are not among `files` (folder -> names)."""
        return [file for file in self.files if file.file not in files.get(file.folder, frozenset())]

    def graph(self, parameters: Parameters, prompt_id: UUID) -> Graph:
        """The workflow with the parameters in it, which saves its pictures in the run's own folder.

        Raises:
            ValueError: as `check`.
        """
        self.check(parameters)
        values = asdict(parameters) | {"filename_prefix": f"{output_folder(prompt_id)}/image"}
        graph = copy.deepcopy(self.workflow)
        for slot, targets in self.bindings:
            for node, name in targets or ():
                graph[node]["inputs"][name] = values[slot]
        return graph

    def check(self, parameters: Parameters) -> None:
        """Checks what a job asks for.

        Raises:
            ValueError: a parameter has a wrong type or is outside the limits; the message begins with its name.
        """
        # Strictly, because ComfyUI converts what it can: "64" and 64.9 are 64 to it (docs/comfyui-protocol.md §0.2).
        for name in ("prompt", "negative_prompt"):
            if not _is_text(getattr(parameters, name)):
                raise ValueError(f"{name}: must be text")
        for name, limit in self.limits:
            if isinstance(limit, Whole | Real) and not limit.admits(getattr(parameters, name)):
                raise ValueError(f"{name}: must be {limit}")
        if not Whole(min=0, max=MAX_SEED).admits(parameters.seed):
            raise ValueError(f"seed: must be a whole number from 0 to {MAX_SEED}")
        if parameters.width * parameters.height > self.limits.max_pixels:
            raise ValueError(f"width: width times height must be at most {self.limits.max_pixels}")
        if parameters.negative_prompt and "negative_prompt" not in self.supports:
            raise ValueError(f"negative_prompt: {self.name} takes none")
        if parameters.cfg is not None and "cfg" not in self.supports:
            raise ValueError(f"cfg: {self.name} takes none")
