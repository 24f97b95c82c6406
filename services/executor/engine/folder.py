"""The operator's folder of models, kept fresh while the processes that use it run."""

import threading
import time
from collections.abc import Callable, Mapping
from pathlib import Path

import structlog

from services.executor.engine.model import Model
from services.executor.engine.workflows import ManifestError, load_models

LOOK_SECONDS = 3.0
"""How late a model that was dropped in the folder is noticed; a look costs two system calls a file."""

# File name -> when it was changed, in nanoseconds, and its size.
Fingerprint = dict[str, tuple[int, int]]

log = structlog.get_logger()


class ModelFolder:
    """The models of a folder as they are now. May be used from several threads.

    While somebody is editing, the folder may hold a mistake or half of a model: then the last models that were right
    as a whole stay, and the log says once what is wrong.
    """

    def __init__(self, path: Path, clock: Callable[[], float] = time.monotonic) -> None:
        """Reads the folder.

        Raises:
            ManifestError: a manifest or a workflow is wrong, or there is none.
        """
        self._path = path
        self._clock = clock
        self._looking = threading.Lock()
        self._looked_at = clock()
        self._read = _fingerprint(path)
        self._refused: Fingerprint = {}
        self._models = load_models(path)

    @property
    def models(self) -> Mapping[str, Model]:
        """By name, in order of display. What it returned once never changes; ask again for what is new."""
        if self._looking.acquire(blocking=False):  # who comes meanwhile need not wait for the disk
            try:
                self._look()
            finally:
                self._looking.release()
        return self._models

    def _look(self) -> None:
        now = self._clock()
        if now - self._looked_at < LOOK_SECONDS:
            return
        self._looked_at = now
        # Taken before the files are read, so that what changes meanwhile is seen at the next look.
        found = _fingerprint(self._path)
        if found == self._read:
            return
        try:
            models = load_models(self._path)
        except ManifestError as error:
            if found != self._refused:
                log.warning("models stay as they were", mistakes=[str(mistake) for mistake in error.mistakes])
            self._refused = found
            return
        self._read, self._models = found, models
        log.info("models read anew", models=list(models))


def open_models(path: Path) -> ModelFolder:
    """The folder, for a process that starts: on a mistake it ends with code 1 and one line for each on stderr."""
    try:
        return ModelFolder(path)
    except ManifestError as error:
        raise SystemExit(str(error)) from None


def _fingerprint(folder: Path) -> Fingerprint:
    found: Fingerprint = {}
    for path in (*folder.glob("*.yaml"), *folder.glob("*.json")):
        try:
            state = path.stat()
        except OSError:  # it went meanwhile, or is a link to nothing; reading says which
            found[path.name] = (0, 0)
        else:
            found[path.name] = (state.st_mtime_ns, state.st_size)
    return found
