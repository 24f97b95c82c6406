"""The settings that every process has, whatever its context."""

import os
from typing import Literal

from pydantic_settings import BaseSettings

from services.runtime.tokens import ServiceIdentity, TrustedServices


class ProcessSettings(BaseSettings):
    """Environment of any process: where its metrics listen, how it logs, whom it believes."""

    metrics_listen: str = ""
    """`host:port` of the Prometheus endpoint; empty: none."""
    log_format: Literal["console", "json"] = "json"
    service_public_keys: str = ""
    """`name=key,…`: each service's Ed25519 public key, base64url of the 32 raw bytes."""

    def trusted_services(self) -> TrustedServices:
        """The services whose tokens this process believes. Raises ValueError on a malformed list."""
        return TrustedServices.parse(self.service_public_keys)


def service_identity(name: str) -> ServiceIdentity:
    """The identity of this process, from `SERVICE_KEY_<NAME>` (base64url of an Ed25519 seed, 32 bytes).

    Raises KeyError if the variable is not set: an identity has no default.
    """
    return ServiceIdentity(name, os.environ[f"SERVICE_KEY_{name.upper()}"])
