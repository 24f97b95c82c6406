"""Messages as the services behind the gateway send them."""

from typing import Any
from uuid import uuid4

import httpx
from google.protobuf.timestamp_pb2 import Timestamp
from imagegen.auth.v1 import auth_service_pb2 as auth
from imagegen.generation.v1 import model_pb2, task_pb2
from imagegen.results.v1 import picture_pb2, result_pb2, share_pb2
from imagegen.runtime.v1 import access_pb2

from gateway.problems import CODES

NOON = Timestamp(seconds=1_780_315_200, nanos=250_000_000)
NOON_TEXT = "2026-06-01T12:00:00.250000Z"


def a_user(**fields: Any) -> auth.User:
    given = {
        "id": str(uuid4()),
        "username": "lin",
        "email": "lin@example.com",
        "create_time": NOON,
        "role": auth.ROLE_USER,
    }
    return auth.User(**given | fields)


def a_session(**fields: Any) -> auth.Session:
    given = {"id": str(uuid4()), "device": "curl/8", "create_time": NOON, "last_use_time": NOON, "expire_time": NOON}
    return auth.Session(**given | fields)


def an_api_key(**fields: Any) -> auth.ApiKey:
    given = {
        "id": str(uuid4()),
        "name": "nightly",
        "scopes": [access_pb2.SCOPE_GENERATE, access_pb2.SCOPE_READ],
        "prefix": "igk_abcd",
        "create_time": NOON,
    }
    return auth.ApiKey(**given | fields)


def a_task(**fields: Any) -> task_pb2.Task:
    given = {
        "id": str(uuid4()),
        "state": task_pb2.TASK_STATE_PENDING,
        "model": "sdxl",
        "prompt": "a lighthouse",
        "width": 1024,
        "height": 768,
        "steps": 20,
        "cfg": 7.5,
        "seed": 2**53 - 1,
        "count": 1,
        "create_time": NOON,
    }
    return task_pb2.Task(**given | fields)


def a_completed_task(**fields: Any) -> task_pb2.Task:
    return a_task(state=task_pb2.TASK_STATE_COMPLETED, start_time=NOON, finish_time=NOON, **fields)


def a_result(**fields: Any) -> result_pb2.Result:
    given = {
        "id": str(uuid4()),
        "task_id": str(uuid4()),
        "width": 1024,
        "height": 768,
        "size_bytes": 6,
        "sha256": "ab" * 32,
        "media_type": "image/png",
        "create_time": NOON,
        "thumb_hash": bytes.fromhex("1f080a2f1a70767770777777786877788777070998808f07"),
        "image_link": result_pb2.ImageLink(expires=1_780_318_800, signature="c2ln_-8"),
        "model": "sdxl",
        "prompt": "a lighthouse",
    }
    return result_pb2.Result(**given | fields)


def a_picture(**fields: Any) -> picture_pb2.Picture:
    given = {
        "media_type": "image/png",
        "size_bytes": 6,
        "sha256": "ab" * 32,
        "width": 1024,
        "height": 768,
        "length": fields.get("size_bytes", 6),
        "file_name": "a lighthouse.png",
    }
    return picture_pb2.Picture(**given | fields)


def a_share(**fields: Any) -> share_pb2.Share:
    given = {"id": str(uuid4()), "result_id": str(uuid4()), "create_time": NOON}
    return share_pb2.Share(**given | fields)


def a_shared_picture(**fields: Any) -> share_pb2.SharedPicture:
    given = {
        "width": 1024,
        "height": 768,
        "create_time": NOON,
        "prompt": "a lighthouse",
        "model": "sdxl",
    }
    return share_pb2.SharedPicture(**given | fields)


def a_model(**fields: Any) -> model_pb2.Model:
    given = {
        "name": "sdxl",
        "display_name": model_pb2.LocalizedText(en="Stable Diffusion XL", zh="稳定扩散 XL"),
        "description": model_pb2.LocalizedText(en="Detailed pictures.", zh="细腻画面。"),
        "license": "OpenRAIL++-M",
        "limits": model_pb2.ModelLimits(
            width=model_pb2.IntRange(min=64, max=2048),
            height=model_pb2.IntRange(min=64, max=2048),
            size_multiple=8,
            max_pixels=4_194_304,
            steps=model_pb2.IntRange(min=1, max=100),
            cfg=model_pb2.DoubleRange(min=1, max=30),
            count=model_pb2.IntRange(min=1, max=4),
        ),
        "defaults": model_pb2.ModelDefaults(width=1024, height=1024, steps=25, cfg=8, negative_prompt="blurry"),
        "negative_prompt_supported": True,
        "availability": model_pb2.MODEL_AVAILABILITY_AVAILABLE,
        "is_active": True,
    }
    return model_pb2.Model(**given | fields)


def refused(response: httpx.Response, status: int, code: str) -> dict[str, Any]:
    """The problem in the response, after checking what every problem promises."""
    problem = response.json()
    assert (response.status_code, problem["code"]) == (status, code), response.text
    assert response.headers["content-type"] == "application/problem+json"
    assert problem.keys() == {"type", "title", "status", "detail", "code", "errors", "request_id"}
    assert problem["status"] == status
    about = (
        f"{response.url.scheme}://{response.url.netloc.decode()}/problems/{code}" if code in CODES else "about:blank"
    )
    assert problem["type"] == about
    assert problem["request_id"] == response.headers["x-request-id"]
    challenge = response.headers.get("www-authenticate", "")
    assert challenge.startswith("Bearer realm=") == (status == 401 or code == "scope_missing")
    assert ("retry-after" in response.headers) or status != 503
    return problem
