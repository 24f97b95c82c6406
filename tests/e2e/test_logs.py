"""What no log line holds: a whole journey with every secret of a person, and each of them once in the wrong place."""

import itertools
from urllib.parse import parse_qs, urlsplit
from uuid import uuid4

import httpx

from tests.deploy.waiting import wait_until
from tests.e2e.log_lines import lines_of

GENERATE = "/api/v1/generation/generate"


def test_no_password_token_key_prompt_or_signature_is_in_a_log_line(installation):
    name, password, later = f"user-{uuid4().hex[:12]}", f"first pass phrase {uuid4()}", f"second pass phrase {uuid4()}"
    prompt = f"a lighthouse called {uuid4()}"
    secrets = {"password": password, "new password": later, "prompt": prompt}
    with installation.client() as http:
        account = {"username": name, "email": f"{name}@example.com", "password": password}
        assert http.post("/api/v1/auth/register", json=account).status_code == 201
        assert http.post("/api/v1/auth/register", json=account).status_code == 409
        assert login(http, name, later).status_code == 401
        assert login(http, "nobody-of-that-name", password).status_code == 401
        first = login(http, name, password).raise_for_status().json()
        second = refresh(http, first["refresh_token"]).raise_for_status().json()
        bearer(http, second["access_token"])
        for number, tokens in enumerate((first, second)):
            secrets |= {f"{kind} {number}": tokens[kind] for kind in ("access_token", "refresh_token")}

        meet_errors(installation, http, name, password, prompt)
        picture, secrets["signature"] = paint(http, prompt)
        secrets |= share(http, picture)
        put_in_wrong_places(http, secrets)

        change = {"current_password": password, "new_password": later}
        assert http.post("/api/v1/auth/password", json={**change, "current_password": prompt}).is_client_error
        assert http.post("/api/v1/auth/password", json=change).is_success
        third = login(http, name, later).raise_for_status().json()
        bearer(http, third["access_token"])
        made = http.post("/api/v1/auth/keys", json={"name": "a script", "scopes": ["generate", "read"]})
        secrets["API key"] = key = made.raise_for_status().json()["key"]
        bearer(http, key)
        paint(http, prompt)
        put_in_wrong_places(http, {"API key": key})
        bearer(http, third["access_token"])
        assert http.request("DELETE", "/api/v1/auth/me", json={"password": password}).is_client_error
        assert http.request("DELETE", "/api/v1/auth/me", json={"password": later}).is_success
        assert http.get("/api/v1/auth/me").status_code in (401, 404)
        assert login(http, name, later).status_code == 401
        secrets |= {f"{kind} 3": third[kind] for kind in ("access_token", "refresh_token")}

    databases = ("auth", "generation", "executor", "results")
    secrets |= {f"database of {of}": installation.secret(f"{of}_database_password") for of in databases}
    log = everything_logged(installation)
    assert not [kind for kind, secret in secrets.items() if secret in log]


def login(http: httpx.Client, name: str, password: str) -> httpx.Response:
    return http.post("/api/v1/auth/login", json={"username": name, "password": password})


def meet_errors(installation, http: httpx.Client, name: str, password: str, prompt: str) -> None:
    """Sends secrets while the database is away, and long enough for those who work by themselves to miss it."""
    account = {"username": name, "email": f"{prompt}@example.com", "password": password}
    with installation.kept_down("postgres"):
        installation.kill("results")  # it sweeps as soon as it starts
        assert login(http, name, password).is_server_error
        assert http.post("/api/v1/auth/register", json=account).is_error
        assert http.post(GENERATE, json={"prompt": prompt, "model": "sd15"}).is_error
        wait_until(lambda: {"auth", "generation", "executor", "worker", "results"} <= complaining(installation))
        wait_until(lambda: any("cause" in line for _, line in lines_of(installation)))
    wait_until(lambda: login(http, name, password).is_success and http.get("/api/v1/results").is_success)


def complaining(installation) -> set[str]:
    """The processes that have logged that something is away or broken."""
    return {process for process, line in lines_of(installation) if line["level"] in ("warning", "error")}


def refresh(http: httpx.Client, token: str) -> httpx.Response:
    return http.post("/api/v1/auth/refresh", json={"refresh_token": token})


def bearer(http: httpx.Client, token: str) -> None:
    http.headers["authorization"] = f"Bearer {token}"


def paint(http: httpx.Client, prompt: str) -> tuple[str, str]:
    """Asks twice with one key, waits, and returns the picture's id and its link's signature, having followed that."""
    body = {"prompt": prompt, "model": "sd15", "width": 64, "height": 64, "steps": 2}
    once = {"Idempotency-Key": str(uuid4())}
    task = http.post(GENERATE, json=body, headers=once).raise_for_status().json()
    assert http.post(GENERATE, json=body, headers=once).json()["id"] == task["id"]
    assert http.post(GENERATE, json={**body, "steps": 3}, headers=once).is_client_error

    def ended() -> dict | None:
        task_now = http.get(task["links"]["self"]).raise_for_status().json()
        return task_now if task_now["status"] == "completed" and task_now["results"] else None

    wait_until(lambda: ended() is not None, seconds=60)
    picture = ended()["results"][0]
    link = picture["image_url"]
    signature = parse_qs(urlsplit(link).query)["signature"][0]
    assert httpx.get(link).is_success
    assert httpx.get(link.replace(signature, signature[::-1])).is_client_error
    return picture["id"], signature


def share(http: httpx.Client, result_id: str) -> dict[str, str]:
    """The secrets of a link that was opened in each way, and revoked."""
    secrets = {"link password": f"a word for {uuid4()}"}
    body = {"password": secrets["link password"]}
    made = http.post(f"/api/v1/results/{result_id}/shares", json=body).raise_for_status().json()
    secrets["share token"] = token = made["url"].rpartition("/")[2]
    assert http.get(made["url"]).status_code == 401
    assert http.post(made["url"], data={"password": token}).status_code == 401
    assert http.post(made["url"], data=body).status_code == 303
    secrets["ticket"] = http.cookies["share_ticket"]
    assert http.get(made["url"]).is_success
    assert http.get(f"{made['url']}/image").is_success
    assert http.get(made["url"].replace("/s/", "/%73/")).status_code == 401
    assert http.get(f"{made['url']}/nothing").status_code == 404
    http.delete(f"/api/v1/shares/{made['id']}").raise_for_status()
    assert http.get(made["url"]).status_code == 410
    return secrets


def put_in_wrong_places(http: httpx.Client, secrets: dict[str, str]) -> None:
    """Each secret where it does not belong: in fields of other meanings and types, headers and queries."""
    picture = {"prompt": "a lighthouse", "model": "sd15"}
    wrong = [
        lambda secret: http.post("/api/v1/auth/login", json={"username": secret, "password": [secret]}),
        lambda secret: http.post("/api/v1/auth/login", content=f'{{"username": "{secret}'),
        lambda secret: http.post("/api/v1/auth/register", json={"username": secret, "email": secret, "password": "x"}),
        lambda secret: http.post("/api/v1/auth/refresh", json={"refresh_token": secret[:-1]}),
        lambda secret: http.post(GENERATE, json={**picture, "steps": secret}),
        lambda secret: http.post(GENERATE, json={**picture, "model": secret}),
        lambda secret: http.post(GENERATE, json={**picture, secret: secret}),
        lambda secret: http.post(GENERATE, json=picture, headers={"Idempotency-Key": secret * 9}),
        lambda secret: http.get("/api/v1/auth/me", headers={"authorization": f"Basic {secret}"}),
        lambda secret: http.get("/api/v1/auth/me", headers={"authorization": f"Bearer {secret}é".encode()}),
        lambda secret: http.get("/api/v1/generation/history", params={"cursor": secret}),
    ]
    for send, secret in itertools.product(wrong, secrets.values()):
        answer = send(secret)
        assert answer.is_client_error, answer.text
    for secret in secrets.values():
        http.get("/api/v1/generation/suggestions", params={"q": secret[:40]}).raise_for_status()


def everything_logged(installation) -> str:
    """The log of every process, once the gateway and Envoy have written of the last request."""
    last = f"last-{uuid4()}"
    with installation.client() as http:
        http.get("/api/v1/models", headers={"X-Request-Id": last})

    def written() -> set[str]:
        lines = installation.log.read_text().splitlines()
        return {line.partition("|")[0].strip() for line in lines if last in line}

    wait_until(lambda: written() >= {"gateway", "envoy"})
    return installation.log.read_text()
