"""Makes every secret of an installation on Kubernetes or on a Docker host, once.

    python -m deploy.k8s.secrets --namespace imagegen | kubectl create -f -

`create` refuses what exists already, so a second run loses no key. Without options the secrets fit the component
ephemeral-postgres-redis. With databases of one's own, `{context}` and `{password}` in the URL stand for each context's
name and a new password for it:

    --database-url 'postgresql://{context}:{password}@db.internal:5432/{context}?sslmode=require'
    --redis-url 'rediss://:secret@redis.internal:6379/0'

For compose.yaml, `--env-files var/compose` writes a file for each process instead, unless there are any.
"""

import argparse
import base64
import json
import secrets
import sys
from collections.abc import Mapping
from pathlib import Path
from typing import Any

from deploy.local.credentials import CONTEXTS, IDENTITIES, public_keys

DATABASE_URL = "postgresql://{context}:{password}@postgres:5432/{context}"
REDIS_URL = "redis://:{password}@redis:6379/0"


def manifests(*, namespace: str, database_url: str = DATABASE_URL, redis_url: str = REDIS_URL) -> Mapping[str, Any]:
    """A list for kubectl: a Secret for each process, those of the platform, and everybody's public keys."""
    passwords = {context: secrets.token_urlsafe(24) for context in CONTEXTS}
    redis_password = secrets.token_urlsafe(24)
    keys = {f"{identity}_service_key": _key() for identity in IDENTITIES}
    databases = {
        context: database_url.format(context=context, password=password) for context, password in passwords.items()
    }
    redis = {"REDIS_URL": redis_url.format(password=redis_password)}
    contents = {
        "auth": {"AUTH_DATABASE_URL": databases["auth"], "AUTH_ENCRYPTION_KEYS": _key()},
        "generation": {"GENERATION_DATABASE_URL": databases["generation"]},
        "executor": {"EXECUTOR_DATABASE_URL": databases["executor"], **redis},
        "worker": {"EXECUTOR_DATABASE_URL": databases["executor"], **redis},
        "results": {"RESULTS_DATABASE_URL": databases["results"], "RESULTS_SIGNING_KEY": _key()},
        "gateway": redis,
        "operator": {},
    }
    items = [
        _manifest("Secret", name, {**data, f"SERVICE_KEY_{name.upper()}": keys[f"{name}_service_key"]}, namespace)
        for name, data in contents.items()
    ]
    if database_url == DATABASE_URL:
        own = {"POSTGRES_PASSWORD": secrets.token_urlsafe(24), **passwords}
        items.append(_manifest("Secret", "postgres", own, namespace))
    if redis_url == REDIS_URL:
        items.append(_manifest("Secret", "redis", {"REDIS_PASSWORD": redis_password}, namespace))
    items.append(_manifest("ConfigMap", "service-public-keys", {"SERVICE_PUBLIC_KEYS": public_keys(keys)}, namespace))
    return {"apiVersion": "v1", "kind": "List", "items": items}


def write_env_files(folder: Path, made: Mapping[str, Any]) -> None:
    """A file of variables for each process, for its owner only. Raises FileExistsError rather than lose a key."""
    folder.mkdir(parents=True)
    for item in made["items"]:
        data = item.get("stringData") or item["data"]
        file = folder / f"{item['metadata']['name']}.env"
        file.touch(0o600, exist_ok=False)
        file.write_text("".join(f"{name}={value}\n" for name, value in data.items()))


def _key() -> str:
    """32 random bytes in base64url: a Fernet key, an HMAC key or an Ed25519 seed."""
    return base64.urlsafe_b64encode(secrets.token_bytes(32)).decode()


def _manifest(kind: str, name: str, data: Mapping[str, str], namespace: str) -> Mapping[str, Any]:
    content = "stringData" if kind == "Secret" else "data"
    metadata = {"name": name, "namespace": namespace, "labels": {"app.kubernetes.io/part-of": "imagegen"}}
    return {"apiVersion": "v1", "kind": kind, "metadata": metadata, content: dict(data)}


def main() -> None:
    parser = argparse.ArgumentParser(description="Write every secret, new, to standard output.")
    parser.add_argument("--namespace", default="imagegen")
    parser.add_argument("--database-url", default=DATABASE_URL, metavar="URL", help="with {context} and {password}")
    parser.add_argument("--redis-url", default=REDIS_URL, metavar="URL", help="with {password}, if it should have one")
    parser.add_argument("--env-files", type=Path, metavar="FOLDER", help="a new folder for compose.yaml's env_file")
    arguments = vars(parser.parse_args())
    folder = arguments.pop("env_files")
    made = manifests(**arguments)
    if folder is None:
        json.dump(made, sys.stdout, indent=2)
    else:
        write_env_files(folder, made)


if __name__ == "__main__":
    main()
