"""Who uses an installation as its clients do, through Envoy."""

import time
from uuid import uuid4

import httpx

from tests.installation import Installation


class Person:
    """Somebody with an account, signed in."""

    def __init__(self, installation: Installation) -> None:
        self.http = installation.client()
        self.name = f"user-{uuid4().hex[:12]}"
        account = {"username": self.name, "email": f"{self.name}@example.com", "password": "correct horse battery"}
        self.http.post("/api/v1/auth/register", json=account).raise_for_status()
        login = self.http.post("/api/v1/auth/login", json={"username": self.name, "password": account["password"]})
        self.tokens = login.raise_for_status().json()
        self.http.headers["authorization"] = f"Bearer {self.tokens['access_token']}"

    def generate(self, prompt: str = "a lighthouse", **fields: object) -> dict:
        body = {"prompt": prompt, "model": "sd15", "width": 64, "height": 64, "steps": 4, **fields}
        answer = self.http.post("/api/v1/generation/generate", json=body)
        assert answer.status_code == 202, answer.text
        return answer.json()

    def task(self, task_id: str) -> dict:
        return self.http.get(f"/api/v1/generation/tasks/{task_id}").raise_for_status().json()

    def ended(self, task_id: str, *, within: float = 120) -> dict:
        """Ask until the task has ended, whatever is down meanwhile."""
        deadline = time.monotonic() + within
        while True:
            try:
                task = self.task(task_id)
                if task["status"] in ("completed", "failed", "canceled") and not task["results_unavailable"]:
                    return task
            except httpx.HTTPError:
                pass
            assert time.monotonic() < deadline, f"task {task_id} has not ended"
            time.sleep(0.2)

    def picture(self, result: dict) -> bytes:
        """As a plain <img> loads it: without a token."""
        return httpx.get(result["image_url"], timeout=20).raise_for_status().content
