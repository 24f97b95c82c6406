"""The settings that every process has, whatever its context."""

import os
from dataclasses import dataclass
from typing import Literal, Self

from pydantic import Field, FilePath, model_validator
from pydantic_settings import BaseSettings, SettingsConfigDict

from services.runtime.tokens import ServiceIdentity, TrustedServices


@dataclass(frozen=True)
class Certificates:
    """What a process shows its neighbours, and the authority that theirs must come from; PEM, as it is on disk now."""

    ca: bytes
    chain: bytes
    key: bytes


class TlsSettings(BaseSettings):
    """Files of the certificates between services: all three, or none and gRPC goes in the clear."""

    model_config = SettingsConfigDict(env_ignore_empty=True, hide_input_in_errors=True)

    grpc_tls_ca: FilePath | None = None
    grpc_tls_cert: FilePath | None = None
    """With the names by which callers reach this process, and for servers and clients alike."""
    grpc_tls_key: FilePath | None = None

    @model_validator(mode="after")
    def _half_is_nothing(self) -> Self:
        if len({file is None for file in (self.grpc_tls_ca, self.grpc_tls_cert, self.grpc_tls_key)}) > 1:
            raise ValueError("GRPC_TLS_CA, GRPC_TLS_CERT and GRPC_TLS_KEY go together: set all three or none")
        return self

    def certificates(self) -> Certificates | None:
        """None if gRPC goes in the clear. Raises OSError if a file cannot be read."""
        if self.grpc_tls_ca is None or self.grpc_tls_cert is None or self.grpc_tls_key is None:
            return None
        return Certificates(
            self.grpc_tls_ca.read_bytes(), self.grpc_tls_cert.read_bytes(), self.grpc_tls_key.read_bytes()
        )


class ProcessSettings(TlsSettings):
    """Environment of any process: where its metrics and traces go, how it logs, whom it believes."""

    metrics_listen: str = ""
    """`host:port` of the Prometheus endpoint; empty: none."""
    otel_exporter_otlp_endpoint: str = ""
    """The URL of a collector of traces, as OpenTelemetry calls it (http://…:4318); empty: none."""
    log_format: Literal["console", "json"] = "json"
    drain_seconds: float = Field(0, ge=0)
    """From SIGTERM until callers have seen that this replica does not serve any more; 0: there is no other to go to."""
    service_public_keys: str = ""
    """`name=key,…`: each service's Ed25519 public key, base64url of the 32 raw bytes. A name that comes twice is given
    a new key: both are believed."""

    def trusted_services(self) -> TrustedServices:
        """The services whose tokens this process believes. Raises ValueError on a malformed list."""
        return TrustedServices.parse(self.service_public_keys)


def service_identity(name: str) -> ServiceIdentity:
    """The identity of this process, from `SERVICE_KEY_<NAME>` (base64url of an Ed25519 seed, 32 bytes).

    Raises KeyError if the variable is not set: an identity has no default.
    """
    return ServiceIdentity(name, os.environ[f"SERVICE_KEY_{name.upper()}"])
