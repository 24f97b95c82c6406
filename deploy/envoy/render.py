"""Fills the addresses into envoy.yaml, Envoy's one configuration for a laptop and for the cluster.

python -m deploy.envoy.render --listen 0.0.0.0:8080 --auth auth:50051 … > envoy.yaml
"""

import argparse
import json
import sys
from collections.abc import Mapping, Sequence
from contextlib import suppress
from ipaddress import ip_address
from pathlib import Path
from string import Template
from typing import Any, NamedTuple

TEMPLATE = Path(__file__).with_name("envoy.yaml")
_SOCKETS = "type.googleapis.com/envoy.extensions.transport_sockets"
_IN_THE_CLEAR = {"name": "raw", "typed_config": {"@type": f"{_SOCKETS}.raw_buffer.v3.RawBuffer"}}


class Certificates(NamedTuple):
    """Files, as Envoy sees them, of what it shows the services and of the authority that theirs must come from."""

    ca: str
    cert: str
    key: str


def render(
    *,
    listen: str,
    auth: str,
    generation: str,
    results: str,
    executor: str,
    gateway: str,
    app: str,
    cors_origins: Sequence[str] = (),
    access_log: bool = False,
    tls: Certificates | None = None,
    admin: str | None = None,
    trusted_hops: int = 0,
    rate_limit: int | None = None,
    metrics: str | None = None,
    certificate: str | None = None,
) -> str:
    """Returns the YAML of one Envoy.

    Args:
        listen: `host:port` of the public door.
        auth: `host:port`; a name stands for all the addresses that DNS has for it. Several, separated by commas, share
            the calls. The others likewise.
        generation: as auth.
        results: as auth.
        executor: as auth; only what is for operators is asked of it.
        gateway: as auth, and speaks HTTP/1.1.
        app: as gateway; the client on the web.
        cors_origins: origins (`https://app.example.org`) whose pages may call; empty allows none.
        access_log: one JSON line per request to standard output.
        tls: how Envoy and the services know each other, for gRPC and its health checks; None for in the clear.
        admin: `host:port` of the admin interface, which whoever reaches it may do anything with; None for none.
        trusted_hops: proxies before this Envoy. Each adds whom it was called by to X-Forwarded-For, and they set
            X-Forwarded-Proto; nobody else may reach this Envoy, or anybody may be whoever they like.
        rate_limit: requests a second that an address may make for long, and four times as many at once; None for any
            number.
        metrics: `host:port` where Prometheus and a probe may ask Envoy about itself; None for none.
        certificate: a file of Envoy's secret `door`, which names the certificate and the key that callers are shown
            and which are read anew when they are replaced. None for a door in the clear.

    Raises:
        ValueError: metrics without admin, which is where they are from.
    """
    if metrics and not admin:
        raise ValueError("metrics come from the admin interface: it needs an address, too")
    services = {
        "auth": auth,
        "generation": generation,
        "results": results,
        "executor": executor,
        "gateway": gateway,
        "app": app,
    }
    values = {
        "cors_origins": json.dumps([{"exact": origin} for origin in cors_origins]),
        "access_log": "/dev/stdout" if access_log else "/dev/null",
        "admin": json.dumps(None if admin is None else _address(admin)),
        "admin_endpoints": json.dumps([] if admin is None else [{"endpoint": _address(admin)}]),
        "door_transport": json.dumps(_door_transport(certificate)),
        "has_metrics": json.dumps(metrics is not None),
        "trusted_hops": str(trusted_hops),
        "rate_unlimited": json.dumps(rate_limit is None),
        "rate": str(rate_limit or 1),
        "burst": str(4 * (rate_limit or 1)),
    }
    values["listen_host"], _, values["listen_port"] = listen.rpartition(":")
    values["metrics_host"], _, values["metrics_port"] = (metrics or "127.0.0.1:0").rpartition(":")
    for name, addresses in services.items():
        first, *_ = replicas = addresses.split(",")
        values[f"{name}_endpoints"] = json.dumps([{"endpoint": _address(replica)} for replica in replicas])
        values[f"{name}_transport"] = json.dumps(_transport(first.rpartition(":")[0], tls))
    return Template(TEMPLATE.read_text()).substitute(values)


def _address(address: str) -> Mapping[str, Any]:
    host, _, port = address.rpartition(":")
    return {"address": {"socket_address": {"address": host, "port_value": int(port)}}}


def _door_transport(certificate: str | None) -> Mapping[str, Any]:
    """The public listener's transport socket."""
    if certificate is None:
        return _IN_THE_CLEAR
    source = {"path_config_source": {"path": certificate}, "resource_api_version": "V3"}
    return {
        "name": "tls",
        "typed_config": {
            "@type": f"{_SOCKETS}.tls.v3.DownstreamTlsContext",
            "common_tls_context": {
                "alpn_protocols": ["h2", "http/1.1"],
                # Files that the configuration names are read once; those of a secret, whenever they are replaced.
                "tls_certificate_sds_secret_configs": [{"name": "door", "sds_config": source}],
            },
        },
    }


def _transport(host: str, tls: Certificates | None) -> Mapping[str, Any]:
    """A cluster's transport socket: it believes a service whose certificate has the host's name or address."""
    if tls is None:
        return _IN_THE_CLEAR
    name = {"sni": host}
    kind = "DNS"
    with suppress(ValueError):
        ip_address(host)
        name, kind = {}, "IP_ADDRESS"  # RFC 6066 has no addresses in an SNI
    return {
        "name": "tls",
        "typed_config": {
            "@type": f"{_SOCKETS}.tls.v3.UpstreamTlsContext",
            **name,
            "common_tls_context": {
                "alpn_protocols": ["h2"],
                "tls_certificates": [
                    {"certificate_chain": {"filename": tls.cert}, "private_key": {"filename": tls.key}}
                ],
                "validation_context": {
                    "trusted_ca": {"filename": tls.ca},
                    "match_typed_subject_alt_names": [{"san_type": kind, "matcher": {"exact": host}}],
                },
            },
        },
    }


def main() -> None:
    parser = argparse.ArgumentParser(description="Write Envoy's configuration to standard output.")
    for name in ("listen", "auth", "generation", "results", "executor", "gateway", "app"):
        parser.add_argument(f"--{name}", required=True, metavar="HOST:PORT")
    parser.add_argument("--cors-origin", action="append", default=[], dest="cors_origins", metavar="ORIGIN")
    parser.add_argument("--access-log", action="store_true", help="one JSON line per request to standard output")
    parser.add_argument("--tls", nargs=3, metavar=("CA", "CERT", "KEY"), help="files of the certificates for gRPC")
    parser.add_argument("--admin", metavar="HOST:PORT", help="the admin interface; none by default")
    parser.add_argument(
        "--trusted-hops", type=int, default=0, metavar="N", help="proxies before this Envoy; 0 by default"
    )
    parser.add_argument("--rate-limit", type=int, metavar="N", help="requests a second by one address; any by default")
    parser.add_argument("--metrics", metavar="HOST:PORT", help="metrics and readiness; needs --admin; none by default")
    parser.add_argument(
        "--certificate", metavar="FILE", help="Envoy's secret `door`, to end TLS; in the clear by default"
    )
    arguments = parser.parse_args()
    arguments.tls = arguments.tls and Certificates(*arguments.tls)
    sys.stdout.write(render(**vars(arguments)))


if __name__ == "__main__":
    main()
