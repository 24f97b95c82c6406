"""What a process writes of errors: their kind and their places, and nothing that they or their surroundings quote."""

import json
import subprocess
import sys

import pytest

SECRET = "HUNTER2SECRET"

PROGRAM = """
import asyncio, logging, sys, threading
import structlog
from services.runtime.logs import configure_logging

configure_logging("results", sys.argv[1])
ours, foreign = structlog.get_logger(), logging.getLogger("library")

def connect(password):
    dsn = f"postgresql://results:{password}@localhost"
    try:
        raise OSError(f"no route to {dsn}")
    except OSError as error:
        raise ValueError(f"cannot connect to {dsn}", dsn) from error

async def forget():
    task = asyncio.create_task(asyncio.to_thread(connect, sys.argv[2]))
    await asyncio.wait([task])

ours.info("line", number=1, task="t")
foreign.warning("%s of %d: %s", "one", 2, ValueError(sys.argv[2]))
foreign.warning("%(name)s", {"name": "named"})
foreign.warning("100 %")
try:
    connect(sys.argv[2])
except ValueError as error:
    ours.exception("ours")
    ours.error("given", exc_info=error)
    foreign.exception("foreign")
    foreign.error("argument %s", error, exc_info=error)
    foreign.error(f"quoted: {error}", exc_info=True)
    foreign.error(f"shown: {error!r}", exc_info=True)
    foreign.error("surroundings %s", error.args[1], exc_info=True)
asyncio.run(forget())
thread = threading.Thread(target=connect, args=[sys.argv[2]], name="look")
thread.start()
thread.join()
"""


def written(log_format: str) -> str:
    command = [sys.executable, "-c", PROGRAM, log_format, SECRET]
    return subprocess.run(command, stdout=subprocess.PIPE, stderr=subprocess.STDOUT, check=True, text=True).stdout


@pytest.mark.parametrize("log_format", ["json", "console"])
def test_no_line_quotes_an_error_or_the_variables_around_it(log_format):
    output = written(log_format)
    assert SECRET not in output
    assert output.count("ValueError") >= 9


def test_every_line_is_json_and_tells_kind_place_and_cause():
    lines = [json.loads(line) for line in written("json").splitlines()]
    assert {line["process"] for line in lines} == {"results"}
    assert all(line["timestamp"] and line["level"] for line in lines)
    assert [line["event"] for line in lines] == [
        *("line", "one of 2: ValueError", "named", "100 %"),
        *("ours", "given", "foreign", "argument %s", "quoted: ValueError", "shown: ValueError", "surroundings %s"),
        *("Task exception was never retrieved", "a thread broke"),
    ]
    for line in lines[4:]:
        assert line["kind"] == "ValueError"
        assert line["at"][-1].endswith(" connect")
        assert line["cause"]["kind"] == "OSError"
