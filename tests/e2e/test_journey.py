"""The main job as a client does it, through Envoy."""

import json
import zipfile
from io import BytesIO
from uuid import uuid4

import httpx
import httpx_sse
import pytest
from PIL import Image


def test_from_an_account_to_a_picture_and_back(person):
    http = person.http
    assert http.get("/api/v1/auth/me").json()["username"] == person.name

    models = {model["name"]: model for model in http.get("/api/v1/models").json()["models"]}
    assert {"sd15", "sdxl", "sdxl-turbo"} <= set(models)
    assert models["sd15"]["available"]

    body = {"prompt": "海边的灯塔，黄昏", "model": "sd15", "width": 512, "height": 384, "steps": 30, "count": 2}
    answer = http.post("/api/v1/generation/generate", json=body, headers={"Idempotency-Key": str(uuid4())})
    assert answer.status_code == 202
    task = answer.json()
    assert answer.headers["location"].endswith(task["links"]["self"])
    assert task["status"] == "pending"

    with httpx_sse.connect_sse(http, "GET", task["links"]["events"]) as source:
        events = list(source.iter_sse())
    assert events[0].event == "snapshot"
    assert {"progress", "preview", "status"} <= {event.event for event in events}
    ended = json.loads(events[-1].data)
    assert ended["status"] == "completed"
    assert [result["index"] for result in ended["results"]] == [0, 1]

    history = http.get("/api/v1/generation/history").json()
    assert [item["id"] for item in history["tasks"]] == [task["id"]]
    assert history["tasks"][0]["results"] == ended["results"]

    for result in ended["results"]:
        picture = person.picture(result)
        image = Image.open(BytesIO(picture))
        assert (image.format, image.size) == ("PNG", (512, 384))
        assert len(picture) == result["size_bytes"]
        assert "prompt" not in image.info, "ComfyUI's graph stays inside"

    doomed = ended["results"][0]["id"]
    assert http.delete(f"/api/v1/results/{doomed}").status_code == 204
    assert http.get(f"/api/v1/results/{doomed}").status_code == 404
    assert httpx.get(ended["results"][0]["image_url"]).status_code == 404
    assert [result["index"] for result in person.task(task["id"])["results"]] == [1]

    assert http.post("/api/v1/auth/logout").status_code == 204
    refresh = http.post("/api/v1/auth/refresh", json={"refresh_token": person.tokens["refresh_token"]})
    assert refresh.status_code == 401


def test_one_request_id_is_in_every_process_log(installation, person):
    request_id = f"traced-{uuid4()}"
    answer = person.http.post(
        "/api/v1/generation/generate",
        json={"prompt": "a lighthouse", "model": "sd15", "width": 64, "height": 64, "steps": 2},
        headers={"X-Request-Id": request_id},
    )
    assert answer.headers["x-request-id"] == request_id
    person.ended(answer.json()["id"])
    log = (installation.data / "launcher.log").read_text()
    traced = {line.partition("|")[0].strip() for line in log.splitlines() if request_id in line}
    assert traced >= {"gateway", "generation", "executor", "worker", "results"}


def test_a_stream_that_was_cut_resumes_where_it_was(person):
    task = person.generate(width=512, height=512, steps=30)
    steps, cursor, ended = [], "", None
    while ended is None:
        headers = {"Last-Event-ID": cursor} if cursor else {}
        with httpx_sse.connect_sse(person.http, "GET", task["links"]["events"], headers=headers) as source:
            for number, event in enumerate(source.iter_sse()):
                cursor = event.id or cursor
                data = json.loads(event.data)
                assert event.event != "reset"
                if event.event == "progress":
                    steps.append(data["step"])
                elif data.get("status") == "completed":
                    ended = data
                if number == 4:
                    break
    assert steps == sorted(set(steps))
    assert steps[-1] == 30


@pytest.mark.parametrize(("width", "height", "count"), [(64, 64, 4), (2048, 64, 1), (64, 2048, 1), (2048, 2048, 1)])
def test_pictures_of_every_size(person, width, height, count):
    task = person.ended(person.generate(width=width, height=height, steps=2, count=count)["id"])
    assert task["status"] == "completed"
    sizes = [Image.open(BytesIO(person.picture(result))).size for result in task["results"]]
    assert sizes == [(width, height)] * count


def test_a_seed_that_repeats_paints_the_same_picture(person):
    tasks = [person.generate("snowy mountains", seed=seed) for seed in (7, 7, 8)]
    pictures = [person.ended(task["id"])["results"][0]["sha256"] for task in tasks]
    assert pictures[0] == pictures[1] != pictures[2]


def test_a_picture_is_found_by_its_words_and_painted_again_from_its_recipe(person):
    task = person.ended(person.generate("雨后的江南古镇 at dusk", count=2, steps=3, negative_prompt="模糊")["id"])
    (newer, older) = person.http.get("/api/v1/results", params={"q": "古镇 dusk", "limit": 5}).json()["results"]
    assert {newer["id"], older["id"]} == {result["id"] for result in task["results"]}
    assert person.http.get("/api/v1/results", params={"q": "江镇"}).json()["results"] == []

    recipe = person.http.get(f"/api/v1/results/{older['id']}/recipe").json()
    index, engine = recipe.pop("index"), recipe.pop("engine")
    assert engine
    answer = person.http.post("/api/v1/generation/generate", json=recipe)
    assert answer.status_code == 202, answer.text
    again = person.ended(answer.json()["id"])["results"][index]
    assert (again["sha256"], again["index"]) == (older["sha256"], older["index"])

    assert person.http.put(f"/api/v1/results/{older['id']}/favorite").status_code == 204
    favorites = person.http.get("/api/v1/results", params={"favorite": "true", "q": "江南"}).json()["results"]
    assert [result["id"] for result in favorites] == [older["id"]]
    zipped = person.http.post("/api/v1/results/archive", json={"ids": [older["id"], again["id"]]})
    with zipfile.ZipFile(BytesIO(zipped.content)) as archive:
        first, second = (archive.read(name) for name in archive.namelist())
    assert first == second == person.picture(older)
    deleted = person.http.post("/api/v1/results/delete", json={"ids": [older["id"], task["id"]]}).json()["results"]
    assert [one["outcome"] for one in deleted] == ["deleted", "not_found"]
    assert older["id"] not in {result["id"] for result in person.task(task["id"])["results"]}


def test_a_running_task_can_be_canceled(person):
    task = person.generate(width=1024, height=1024, steps=50)
    with httpx_sse.connect_sse(person.http, "GET", task["links"]["events"]) as source:
        for event in source.iter_sse():
            if event.event == "progress":
                assert person.http.post(task["links"]["cancel"]).status_code == 200
                break
    ended = person.ended(task["id"])
    assert (ended["status"], ended["results"]) == ("canceled", [])


def test_a_repeated_request_is_the_same_task(person):
    key, body = str(uuid4()), {"prompt": "a fox", "model": "sd15", "width": 64, "height": 64, "steps": 2}
    first, second = (
        person.http.post("/api/v1/generation/generate", json=body, headers={"Idempotency-Key": key}) for _ in range(2)
    )
    assert first.json()["id"] == second.json()["id"]
    assert second.headers["idempotent-replayed"] == "true"
    other = person.http.post(
        "/api/v1/generation/generate", json={**body, "prompt": "a bear"}, headers={"Idempotency-Key": key}
    )
    assert (other.status_code, other.json()["code"]) == (422, "request_id_reused")


BAD_BODIES = {
    "unknown model": ({"model": "nope"}, "model_unknown", "#/model"),
    "empty prompt": ({"prompt": ""}, "invalid_field", "#/prompt"),
    "blank prompt": ({"prompt": " 　"}, "invalid_field", "#/prompt"),
    "long prompt": ({"prompt": "x" * 2001}, "invalid_field", "#/prompt"),
    "control characters": ({"prompt": "a\x00b"}, "invalid_field", "#/prompt"),
    "odd width": ({"width": 65}, "parameter_out_of_range", "#/width"),
    "huge height": ({"height": 4096}, "parameter_out_of_range", "#/height"),
    "no steps": ({"steps": 0}, "invalid_field", "#/steps"),
    "too many steps": ({"steps": 100_000}, "parameter_out_of_range", "#/steps"),
    "five pictures": ({"count": 5}, "invalid_field", "#/count"),
    "seed beyond JSON": ({"seed": 2**53}, "invalid_field", "#/seed"),
    "seed beyond 64 bits": ({"seed": 2**70}, "invalid_field", "#/seed"),
    "unknown field": ({"sampler": "euler"}, "invalid_field", "#/sampler"),
    "text for a number": ({"width": "64"}, "invalid_field", "#/width"),
}


@pytest.mark.parametrize(("change", "code", "pointer"), BAD_BODIES.values(), ids=BAD_BODIES)
def test_bad_input_is_named_and_nothing_is_written(person, change, code, pointer):
    answer = person.http.post("/api/v1/generation/generate", json={"prompt": "a fox", "model": "sd15", **change})
    problem = answer.json()
    assert answer.headers["content-type"] == "application/problem+json"
    assert (answer.status_code, problem["code"]) == (422, code)
    assert pointer in [error["pointer"] for error in problem["errors"]]
    assert problem["request_id"] == answer.headers["x-request-id"]
    assert person.http.get("/api/v1/generation/history").json()["tasks"] == []


def test_somebody_elses_things_are_not_found(sign_up, person):
    task = person.ended(person.generate(steps=2)["id"])
    result = task["results"][0]["id"]
    other = sign_up()
    for method, path in [
        ("GET", f"/api/v1/generation/tasks/{task['id']}"),
        ("GET", f"/api/v1/generation/tasks/{task['id']}/events"),
        ("POST", f"/api/v1/generation/tasks/{task['id']}/cancel"),
        ("GET", f"/api/v1/results/{result}"),
        ("GET", f"/api/v1/results/{result}/image"),
        ("DELETE", f"/api/v1/results/{result}"),
    ]:
        answer = other.http.request(method, path)
        assert (answer.status_code, answer.headers["content-type"]) == (404, "application/problem+json"), path
    assert person.http.get(f"/api/v1/results/{result}").status_code == 200


@pytest.mark.parametrize("token", ["rubbish", "a.b.c", "é"])
def test_a_malformed_token_is_unauthorized(installation, token):
    with installation.client() as http:
        answer = http.get("/api/v1/auth/me", headers={"authorization": f"Bearer {token}".encode()})
    assert (answer.status_code, answer.headers["www-authenticate"].split()[0]) == (401, "Bearer")


def test_a_cursor_that_is_rubbish_is_refused(person):
    answer = person.http.get("/api/v1/generation/history", params={"cursor": "rubbish"})
    assert (answer.status_code, answer.json()["code"]) == (422, "invalid_cursor")


def test_grpc_web_reaches_generation_through_the_same_port(installation, person):
    from imagegen.generation.v1 import generation_service_pb2 as pb

    request = pb.ListModelsRequest().SerializeToString()
    answer = httpx.post(
        f"{installation.url}/imagegen.generation.v1.GenerationService/ListModels",
        content=b"\0" + len(request).to_bytes(4) + request,
        headers={"content-type": "application/grpc-web+proto", "x-grpc-web": "1"},
    )
    assert answer.headers["content-type"] == "application/grpc-web+proto"
    size = int.from_bytes(answer.content[1:5])
    models = pb.ListModelsResponse.FromString(answer.content[5 : 5 + size]).models
    assert "sd15" in {model.name for model in models}
    assert b"grpc-status:0" in answer.content[5 + size :].replace(b" ", b"")


def test_the_executor_is_not_reachable_from_outside(installation):
    path = "/imagegen.executor.v1.ExecutorService/ListModels"
    answer = httpx.post(installation.url + path, headers={"content-type": "application/grpc-web+proto"}, content=b"")
    assert (answer.status_code, answer.content) == (404, b"")
