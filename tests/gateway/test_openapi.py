"""The OpenAPI document keeps the promises that client generators build on."""

import re

import pytest
from buf.validate import validate_pb2
from imagegen.auth.v1 import error_reason_pb2 as auth
from imagegen.executor.v1 import error_reason_pb2 as executor
from imagegen.generation.v1 import error_reason_pb2 as generation
from imagegen.generation.v1.generation_service_pb2 import ListTasksRequest
from imagegen.results.v1 import error_reason_pb2 as results
from imagegen.runtime.v1 import error_reason_pb2 as runtime
from pydantic import TypeAdapter

from gateway.problems import CODES, Problem

PATHS = {
    "/.well-known/jwks.json": {"get"},
    "/api/v1/admin/owners": {"get"},
    "/api/v1/admin/owners/{owner_id}": {"patch"},
    "/api/v1/admin/queues": {"get"},
    "/api/v1/admin/workers": {"get"},
    "/api/v1/admin/workers/{engine_id}/drain": {"post"},
    "/api/v1/admin/workers/{engine_id}/resume": {"post"},
    "/api/v1/auth/keys": {"get", "post"},
    "/api/v1/auth/keys/{api_key_id}": {"delete"},
    "/api/v1/auth/login": {"post"},
    "/api/v1/auth/logout": {"post"},
    "/api/v1/auth/me": {"get", "patch", "delete"},
    "/api/v1/auth/me/export": {"get"},
    "/api/v1/auth/password": {"post"},
    "/api/v1/auth/sessions": {"get", "delete"},
    "/api/v1/auth/sessions/{session_id}": {"delete"},
    "/api/v1/auth/refresh": {"post"},
    "/api/v1/auth/register": {"post"},
    "/api/v1/generation/events": {"get"},
    "/api/v1/generation/generate": {"post"},
    "/api/v1/generation/history": {"get"},
    "/api/v1/generation/suggestions": {"get"},
    "/api/v1/generation/tasks/{task_id}": {"get"},
    "/api/v1/generation/tasks/{task_id}/cancel": {"post"},
    "/api/v1/generation/tasks/{task_id}/events": {"get"},
    "/api/v1/models": {"get"},
    "/api/v1/results/storage": {"get"},
    "/api/v1/results": {"get"},
    "/api/v1/results/archive": {"post"},
    "/api/v1/results/delete": {"post"},
    "/api/v1/results/{result_id}": {"get", "delete"},
    "/api/v1/results/{result_id}/favorite": {"put", "delete"},
    "/api/v1/results/{result_id}/image": {"get"},
    "/api/v1/results/{result_id}/recipe": {"get"},
    "/api/v1/results/{result_id}/shares": {"get", "post"},
    "/api/v1/shares": {"get"},
    "/api/v1/shares/{share_id}": {"patch", "delete"},
    "/healthz": {"get"},
    "/readyz": {"get"},
}

AMONG_SERVICES = {
    *("CHECKSUM_MISMATCH", "NOT_A_PICTURE", "PICTURE_TOO_LARGE", "RESULT_DISCARDED"),
    *("JOB_NOT_FOUND", "OWNER_ERASED"),
}
"""Reasons of results' StoreService, which only workers call, and of ExecutorService, which only generation does."""


@pytest.fixture
def document(visitor) -> dict:
    return visitor.get("/openapi.json").json()


def operations(document):
    return [
        (f"{verb.upper()} {path}", operation)
        for path, item in document["paths"].items()
        for verb, operation in item.items()
    ]


def references(node):
    if isinstance(node, dict):
        yield from [node["$ref"]] if "$ref" in node else []
        for value in node.values():
            yield from references(value)
    elif isinstance(node, list):
        for value in node:
            yield from references(value)


def test_it_lists_exactly_the_public_paths(document):
    assert {path: set(item) for path, item in document["paths"].items()} == PATHS


def test_every_reference_leads_somewhere(document):
    for reference in references(document):
        node = document
        for step in reference.removeprefix("#/").split("/"):
            node = node[step]


def test_every_body_has_an_example_that_its_route_would_take(document):
    from gateway.admin import OwnerChanges
    from gateway.api_keys import ApiKeyRequest
    from gateway.auth import Changes, Credentials, NewPassword, Password, RefreshToken, Registration
    from gateway.gallery import Selection
    from gateway.generation import Recipe
    from gateway.shares import ShareChanges, ShareRequest

    accounts = (Changes, Credentials, NewPassword, Password, RefreshToken, Registration, ApiKeyRequest)
    models = {
        model.__name__: model for model in (*accounts, Recipe, OwnerChanges, Selection, ShareChanges, ShareRequest)
    }
    seen = set()
    for _, operation in operations(document):
        for reference in references(operation.get("requestBody", {})):
            name = reference.rpartition("/")[2]
            seen.add(name)
            examples = document["components"]["schemas"][name]["examples"]
            assert examples
            for example in examples:
                models[name].model_validate(example)
    assert seen == models.keys()


def test_every_error_is_problem_json_with_an_example(document):
    problem = TypeAdapter(Problem)
    for name, operation in operations(document):
        for status, response in operation["responses"].items():
            if status < "400":
                continue
            (media_type,) = response["content"]
            assert media_type == "application/problem+json", name
            if status == "default":
                continue
            for code, example in response["content"][media_type]["examples"].items():
                assert problem.validate_python(example["value"]).code == code
                assert example["value"]["status"] == int(status)


def test_every_response_has_the_headers_that_it_comes_with(document):
    for name, operation in operations(document):
        for status, response in operation["responses"].items():
            shown = response["headers"].keys()
            assert {"X-Request-Id", "Traceparent"} <= shown, (name, status)
            assert ({"RateLimit", "RateLimit-Policy"} <= shown) == ("/api/" in name), (name, status)
            assert ("WWW-Authenticate" in shown) == (status in ("401", "403")), (name, status)
            assert ("Retry-After" in shown) == (status in ("429", "503")), (name, status)


def test_every_counted_operation_may_be_refused_for_its_number(document):
    for name, operation in operations(document):
        examples = operation["responses"].get("429", {}).get("content", {}).values()
        codes = {code for content in examples for code in content["examples"]}
        assert ("rate_limited" in codes) == ("/api/" in name), name
    generate = document["paths"]["/api/v1/generation/generate"]["post"]
    assert generate["responses"]["429"]["content"]["application/problem+json"]["examples"].keys() == {
        "rate_limited",
        "user_queue_full",
    }


def test_every_read_of_json_takes_a_tag(document):
    tagged = {
        name
        for name, operation in operations(document)
        if any(parameter["name"] == "If-None-Match" for parameter in operation.get("parameters", []))
    }
    reads = {f"GET {path}" for path, verbs in PATHS.items() if "get" in verbs and path.startswith("/api/")}
    streams = {"GET /api/v1/generation/tasks/{task_id}/events", "GET /api/v1/generation/events"}
    assert tagged == reads - streams - {"GET /api/v1/auth/me/export"}
    for name, operation in operations(document):
        assert ("304" in operation["responses"]) == (name in tagged)
        if name in tagged and "/image" not in name:
            assert "ETag" in operation["responses"]["200"]["headers"]


def test_what_a_body_takes_is_shown_as_the_contract_has_it(document):
    fields = document["components"]["schemas"]["Recipe"]["properties"]
    assert (fields["prompt"]["minLength"], fields["prompt"]["maxLength"]) == (1, 2000)
    assert {key: fields["seed"]["anyOf"][0][key] for key in ("minimum", "maximum")} == {
        "minimum": 0,
        "maximum": 2**53 - 1,
    }
    assert (fields["count"]["anyOf"][0]["minimum"], fields["count"]["anyOf"][0]["maximum"]) == (1, 4)
    assert fields["width"]["anyOf"][0]["exclusiveMinimum"] == 0
    paintable, plain = fields["prompt"]["pattern"], fields["negative_prompt"]["pattern"]
    for text, is_prompt, is_negative in [("a\tb\n", 1, 1), (" ", 0, 1), ("", 0, 1), ("a\0", 0, 0), ("\x7f", 0, 0)]:
        assert bool(re.search(paintable, text)) == is_prompt
        assert bool(re.search(plain, text)) == is_negative


def test_what_may_be_called_without_a_token_says_so(document):
    free = {name for name, operation in operations(document) if operation.get("security") == [{"HTTPBearer": []}, {}]}
    assert free == {"GET /api/v1/models", "GET /api/v1/results/{result_id}/image", "POST /api/v1/auth/logout"}


def test_no_parameter_is_null(document):
    for name, operation in operations(document):
        for parameter in operation.get("parameters", []):
            assert "null" not in str(parameter["schema"]), (name, parameter["name"])


def test_a_querys_bounds_are_the_contracts(document):
    shown = {
        parameter["name"]: parameter["schema"]
        for parameter in document["paths"]["/api/v1/generation/history"]["get"]["parameters"]
    }
    assert (shown["limit"]["minimum"], shown["limit"]["maximum"]) == (1, 100)
    for name, field in (("cursor", "page_token"), ("model", "model"), ("q", "text")):
        rules = ListTasksRequest.DESCRIPTOR.fields_by_name[field].GetOptions().Extensions[validate_pb2.field]
        assert shown[name]["maxLength"] == rules.string.max_len


def test_operations_have_short_unique_names(document):
    names = [operation["operationId"] for _, operation in operations(document)]
    assert len(set(names)) == len(names)
    assert all(re.fullmatch(r"[a-z_]+", name) for name in names)


def test_every_reason_that_a_client_may_meet_is_documented():
    reasons = {
        name.removeprefix("ERROR_REASON_")
        for context in (auth, executor, generation, results, runtime)
        for name, _ in context.ErrorReason.items()
    }
    assert {reason.lower() for reason in reasons - AMONG_SERVICES - {"UNSPECIFIED"}} <= CODES.keys()
