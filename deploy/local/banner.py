"""The account `demo`, and what the operator reads when everything is ready."""

import json
import time
from contextlib import suppress
from string import Template

from deploy.local.installation import Installation
from deploy.local.loopback import request

_CONFLICT = 409  # somebody of that name is there: the demo account of an earlier run

_UNAVAILABLE = 503
_MODELS_SECONDS = 10.0  # a first start takes one or two until generation has heard from the executor

_TEXT = Template("""
ImageGen is ready: $url
  account   demo, password $password
  engine    $engine

A picture by curl:

  api=$url/api/v1
  read_json() { python3 -c "import json, sys; print(json.load(sys.stdin)$$1)"; }
  token=$$(curl -sS $$api/auth/login -H 'content-type: application/json' \\
    -d '{"username": "demo", "password": "$password"}' | read_json '["access_token"]')
  task=$$(curl -sS $$api/generation/generate -H "authorization: Bearer $$token" -H 'content-type: application/json' \\
    -d '{"prompt": "a lighthouse at dusk", "model": "sd15"}' | read_json '["id"]')
  until curl -sS $$api/generation/tasks/$$task -H "authorization: Bearer $$token" > task.json &&
    read_json '["status"]' < task.json | grep -E 'completed|failed|canceled'; do sleep 1; done
  curl -sS -o picture.png "$$(read_json '["results"][0]["image_url"]' < task.json)"

Ctrl-C stops everything.
""")


def register_demo(at: Installation) -> str | None:
    """Registers the account unless it is there. Returns what went wrong, if anything did."""
    account = {"username": "demo", "email": "demo@example.com", "password": at.secrets["demo_password"]}
    try:
        status, _ = request(
            "POST",
            at.public,
            "/api/v1/auth/register",
            headers={"content-type": "application/json"},
            body=json.dumps(account).encode(),
        )
    except OSError as error:
        return str(error)
    return None if status // 100 == 2 or status == _CONFLICT else f"answered with {status}"


def await_models(at: Installation) -> None:
    """Waits until it can be said which models there are, but not for ever: nothing else depends on it."""
    deadline = time.monotonic() + _MODELS_SECONDS
    while time.monotonic() < deadline:
        with suppress(OSError):
            if request("GET", at.public, "/api/v1/models")[0] != _UNAVAILABLE:
                return
        time.sleep(0.1)


def banner(at: Installation) -> str:
    external = [engine.external for engine in at.engines if engine.external is not None]
    sketches = "sketch" if len(at.engines) == 1 else f"{len(at.engines)} of sketch"
    return _TEXT.substitute(
        url=at.public_url,
        password=at.secrets["demo_password"],
        engine=", ".join(external) or f"{sketches}: procedural pictures, no neural network",
    )
