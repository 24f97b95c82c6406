"""One log format for every line of a process, ours and the libraries': JSON, or text for a console.

An error's text may quote what a person wrote or a secret, and so may the variables of whoever raised it. No line has
either: of an error it has what `describe` tells, whoever logs it and however.
"""

import logging
import sys
import threading
import traceback
from collections.abc import Mapping
from typing import Any

import structlog

Event = structlog.typing.EventDict

log = structlog.get_logger()


def configure_logging(process: str, log_format: str) -> None:
    """Send structlog and the standard library's logging through one renderer to standard output."""
    shared: list[Any] = [
        structlog.contextvars.merge_contextvars,
        structlog.stdlib.add_log_level,
        structlog.processors.StackInfoRenderer(),
        _describe_error,
    ]
    final: Any = structlog.dev.ConsoleRenderer(colors=False, pad_event_to=0)
    if log_format == "json":
        final = structlog.processors.JSONRenderer(ensure_ascii=False)
        shared.append(structlog.processors.TimeStamper(fmt="iso", utc=True))
        shared.append(lambda _logger, _method, event: {"process": process, **event})
    handler = logging.StreamHandler(sys.stdout)
    handler.setFormatter(
        structlog.stdlib.ProcessorFormatter(
            foreign_pre_chain=[structlog.stdlib.add_logger_name, _fill_in, *shared],
            processors=[structlog.stdlib.ProcessorFormatter.remove_processors_meta, final],
            pass_foreign_args=True,
            use_get_message=False,  # `_fill_in` does that
        )
    )
    logging.basicConfig(level=logging.INFO, handlers=[handler], force=True)
    for noisy in ("alembic", "celery", "httpx", "kombu", "websockets"):
        logging.getLogger(noisy).setLevel(logging.WARNING)
    threading.excepthook = _thread_broke
    structlog.configure(
        processors=[*shared, structlog.stdlib.ProcessorFormatter.wrap_for_formatter],
        logger_factory=structlog.stdlib.LoggerFactory(),
        wrapper_class=structlog.stdlib.BoundLogger,
        cache_logger_on_first_use=True,
    )


def describe(error: BaseException) -> dict[str, Any]:
    """An unexpected error as log fields: its kind, the places it passed, and the same of what it was raised from. Its
    text may hold what a person wrote.
    """
    frames = traceback.extract_tb(error.__traceback__)
    places = [f"{frame.filename}:{frame.lineno} {frame.name}" for frame in frames]
    cause = {"cause": describe(error.__cause__)} if error.__cause__ else {}
    return {"kind": type(error).__name__, "at": places, **cause}


def _describe_error(_logger: Any, _method: str, event: Event) -> Event:
    """In the place of the error that the line was logged with."""
    error = _error(event.pop("exc_info", None))
    return {**describe(error), **event} if error else event


def _fill_in(_logger: Any, _method: str, event: Event) -> Event:
    """A library's arguments into its words. Errors among them go by their kind; and what is said of an error that the
    line comes with stays as it is in the library's code, for its arguments may quote that error or its surroundings.
    """
    words, arguments = str(event["event"]), event.pop("positional_args")
    if error := _error(event.get("exc_info")):
        words = words.partition("\n")[0]  # asyncio goes on with all that it knows
        for text in filter(None, (repr(error), str(error))):
            words = words.replace(text, type(error).__name__)
    elif isinstance(arguments, Mapping):
        words %= {name: _harmless(value) for name, value in arguments.items()}
    elif arguments:
        words %= tuple(map(_harmless, arguments))
    return {**event, "event": words}


def _harmless(argument: object) -> object:
    return type(argument).__name__ if isinstance(argument, BaseException) else argument


def _error(exc_info: Any) -> BaseException | None:
    """Of all that may be given as `exc_info`."""
    match exc_info:
        case BaseException():
            return exc_info
        case (_, BaseException() as error, _):
            return error
    return sys.exception() if exc_info else None


def _thread_broke(broken: threading.ExceptHookArgs) -> None:
    """Python's own words on it have the error's text."""
    if broken.exc_value and broken.exc_type is not SystemExit:
        log.error("a thread broke", thread=broken.thread and broken.thread.name, **describe(broken.exc_value))
