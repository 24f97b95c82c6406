"""What a person may see of a run before its pictures come."""

from dataclasses import dataclass


@dataclass(frozen=True)
class Started:
    """The engine took the run from its queue. Comes once, before any other event."""


@dataclass(frozen=True)
class Executing:
    """A node begins, and the one before it has ended. Not told of one that the cache spares.

    Attributes:
        node: the node's id in the graph.
        kind: its class, as the workflow names it.
    """

    node: str
    kind: str


@dataclass(frozen=True)
class Loading:
    """A loader node executes: model files are on their way into memory. Not told of one that the cache spares.

    Attributes:
        node: the node's id in the graph.
    """

    node: str


@dataclass(frozen=True)
class Sampling:
    """A sampler begins, or what only chooses one: of those that do work, progress follows.

    Attributes:
        node: the node's id in the graph.
    """

    node: str


@dataclass(frozen=True)
class Decoding:
    """What the sampler made is turned into a picture.

    Attributes:
        node: the decoder's id in the graph.
    """

    node: str


@dataclass(frozen=True)
class Progress:
    """A sampler finished a step.

    Attributes:
        step: steps done, 1..steps.
        steps: steps that this sampler will do.
        node: the sampler's id in the graph.
    """

    step: int
    steps: int
    node: str


@dataclass(frozen=True)
class Preview:
    """The unfinished picture. Of several the newest counts, and any may be left out.

    Attributes:
        mime: image/jpeg or image/png.
        data: the encoded picture, about 40 kB (docs/comfyui-protocol.md §3.3).
    """

    mime: str
    data: bytes


RunEvent = Started | Executing | Loading | Sampling | Progress | Preview | Decoding
