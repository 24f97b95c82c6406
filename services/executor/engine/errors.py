"""How a run, or the engine itself, can disappoint.

Each error carries a `kind`, a short word that may be shown, counted and stored, and a `detail` for the log only: a
status, a node, the class of an exception. What ComfyUI says in words leaks paths of its machine and text of the prompt
(docs/comfyui-protocol.md §7.7), so it is in neither; its own log has it.
"""


class EngineError(Exception):
    """The run did not bring a picture.

    Attributes:
        kind: a short word of [a-z_].
        detail: where it was, in what the engine or the workflow calls it. For the log, never for a person.
    """

    def __init__(self, kind: str, detail: str = "") -> None:
        super().__init__(kind)
        self.kind = kind
        self.detail = detail


class EngineUnavailable(EngineError):
    """The engine is away, frozen or silent; it may still hold the run.

    Kinds: unreachable (no connection came about, and nothing was sent before), no_answer (of an engine that was sent
    something), bad_answer (what answers is no ComfyUI), stalled (it answers and its worker thread does nothing).
    """


class EngineTooOld(EngineError):
    """The engine's version lacks what this seam needs. Kind: too_old; the detail is a sentence for the operator."""


class RunRefused(EngineError):
    """The engine does not accept the graph or a value in it; nothing of it runs.

    The kind is ComfyUI's own name of the first fault where §2 of the protocol lists it, else refused.
    """


class RunFailed(EngineError):
    """The run began and broke, or ended without its pictures.

    Kinds: out_of_memory, execution_error, no_output (the output node made no picture), output_lost (a picture was
    made and its file is gone), output_broken (its file is no whole PNG).

    Attributes:
        retryable: whether another try, here or elsewhere, may succeed.
    """

    def __init__(self, kind: str, *, retryable: bool, detail: str = "") -> None:
        super().__init__(kind, detail)
        self.retryable = retryable


class RunInterrupted(EngineError):
    """The run was canceled. Kind: canceled."""


class RunLost(EngineError):
    """The engine no longer knows a run that it knew: it restarted, or its queue was cleared. Kind: lost."""


class RunAbandoned(EngineError):
    """The caller's `stop` was set; the run goes on in the engine. Kind: abandoned."""
