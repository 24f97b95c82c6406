"""Backup and restore, tried on a real installation: painted, saved, wiped, restored, and everything is there."""

import json
import re
import shutil
from contextlib import closing
from pathlib import Path
from urllib.parse import urlsplit

import httpx
import pytest

from deploy.local.backup import BackupRefused, restore, save
from tests.installation import UNLIMITED, running_installation
from tests.people import Person

QUICK = {"SKETCH_STEP_SECONDS": "0.05", "SKETCH_LOAD_SECONDS": "0.05", **UNLIMITED}
HISTORY = "/api/v1/generation/history"
KEYS = "/api/v1/auth/keys"


def sign_in(http: httpx.Client, name: str) -> None:
    account = {"username": name, "password": "correct horse battery"}
    tokens = http.post("/api/v1/auth/login", json=account).raise_for_status().json()
    http.headers["authorization"] = f"Bearer {tokens['access_token']}"


def path_of(url: str) -> str:
    """Of a link that names the former installation's port."""
    parts = urlsplit(url)
    return f"{parts.path}?{parts.query}"


def an_api_key(person: Person, name: str) -> dict:
    return person.http.post(KEYS, json={"name": name, "scopes": ["read"]}).raise_for_status().json()


def test_what_was_saved_is_there_after_a_wipe_and_what_was_revoked_stays_revoked(tmp_path):
    backup = tmp_path / "backup"
    with running_installation(tmp_path / "first", **QUICK) as first, first.client() as other:
        person = Person(first)
        with closing(person.http):
            task = person.ended(person.generate("一座灯塔 at dusk")["id"])
            (result,) = task["results"]
            picture = person.picture(result)
            shares = f"/api/v1/results/{result['id']}/shares"
            kept, revoked = (person.http.post(shares, json={}).raise_for_status().json() for _ in range(2))
            person.http.delete(f"/api/v1/shares/{revoked['id']}").raise_for_status()
            good, bad = an_api_key(person, "good"), an_api_key(person, "bad")
            person.http.delete(f"{KEYS}/{bad['id']}").raise_for_status()
            sign_in(other, person.name)
            other.post("/api/v1/auth/logout").raise_for_status()
            pending = person.generate("one that waits", steps=100)["id"]
            save(first.data, backup)
    shutil.rmtree(tmp_path / "first")
    restore(backup, tmp_path / "second")
    with (
        running_installation(tmp_path / "second", **QUICK) as second,
        second.client() as again,
        second.client() as anybody,
    ):
        sign_in(again, person.name)
        history = again.get(HISTORY).raise_for_status().json()["tasks"]
        assert [known["id"] for known in history] == [pending, task["id"]]
        (shown,) = again.get(f"/api/v1/generation/tasks/{task['id']}").raise_for_status().json()["results"]
        assert again.get(path_of(shown["image_url"])).raise_for_status().content == picture
        assert again.get(path_of(result["image_url"])).content == picture, "a link of before the backup"
        assert anybody.get(path_of(kept["url"])).status_code == 200
        assert anybody.get(path_of(revoked["url"])).status_code == 410
        for token, status in (
            (person.tokens["access_token"], 200),
            (good["key"], 200),
            (bad["key"], 401),
            (other.headers["authorization"].removeprefix("Bearer "), 401),
        ):
            answer = anybody.get(HISTORY, headers={"authorization": f"Bearer {token}"})
            assert answer.status_code == status, answer.text
        person.http = again
        assert person.ended(pending)["status"] == "completed", "what was accepted ends, after the wipe too"


@pytest.fixture
def elsewhere(tmp_path) -> Path:
    """The data folder of a running installation whose databases are elsewhere, as far as `save` looks at it."""
    (tmp_path / "data" / "run").mkdir(parents=True)
    (tmp_path / "data" / "run" / "processes.json").write_text(json.dumps({"processes": {}}))
    return tmp_path / "data"


def test_databases_that_are_elsewhere_are_not_half_saved(elsewhere, tmp_path):
    with pytest.raises(BackupRefused, match="databases are elsewhere"):
        save(elsewhere, tmp_path / "backup")
    assert not (tmp_path / "backup").exists()


def test_nothing_is_saved_of_what_does_not_run(tmp_path):
    with pytest.raises(BackupRefused, match="No installation runs"):
        save(tmp_path, tmp_path / "backup")


def test_a_data_folder_that_is_in_use_is_not_restored_over(elsewhere, tmp_path):
    with pytest.raises(BackupRefused, match="is not empty"):
        restore(tmp_path / "backup", elsewhere)
    assert (elsewhere / "run" / "processes.json").exists()


def test_half_a_backup_is_refused_before_anything_is_made(tmp_path):
    (tmp_path / "backup" / "pictures").mkdir(parents=True)
    (tmp_path / "backup" / "auth.dump").touch()
    missing = "generation.dump, executor.dump, results.dump, secrets.json is missing"
    with pytest.raises(BackupRefused, match=re.escape(missing)):
        restore(tmp_path / "backup", tmp_path / "data")
    assert not (tmp_path / "data").exists()
