"""Fills the addresses into envoy.yaml, Envoy's one configuration for a laptop and for the cluster.

python -m deploy.envoy.render --listen 0.0.0.0:8080 --auth auth:50051 … > envoy.yaml
"""

import argparse
import json
import sys
from collections.abc import Sequence
from pathlib import Path
from string import Template

TEMPLATE = Path(__file__).with_name("envoy.yaml")


def render(
    *,
    listen: str,
    auth: str,
    generation: str,
    results: str,
    executor: str,
    gateway: str,
    cors_origins: Sequence[str] = (),
    access_log: bool = False,
) -> str:
    """Returns the YAML of one Envoy.

    Args:
        listen: `host:port` of the public door.
        auth: `host:port`; a name stands for all the addresses that DNS has for it. The next two likewise.
        generation: as auth.
        results: as auth.
        executor: as auth; only what is for operators is asked of it.
        gateway: as auth, and speaks HTTP/1.1.
        cors_origins: origins (`https://app.example.org`) whose pages may call; empty allows none.
        access_log: one JSON line per request to standard output.
    """
    addresses = {
        "listen": listen,
        "auth": auth,
        "generation": generation,
        "results": results,
        "executor": executor,
        "gateway": gateway,
    }
    values = {
        "cors_origins": json.dumps([{"exact": origin} for origin in cors_origins]),
        "access_log": "/dev/stdout" if access_log else "/dev/null",
    }
    for name, address in addresses.items():
        values[f"{name}_host"], _, values[f"{name}_port"] = address.rpartition(":")
    return Template(TEMPLATE.read_text()).substitute(values)


def main() -> None:
    parser = argparse.ArgumentParser(description="Write Envoy's configuration to standard output.")
    for name in ("listen", "auth", "generation", "results", "executor", "gateway"):
        parser.add_argument(f"--{name}", required=True, metavar="HOST:PORT")
    parser.add_argument("--cors-origin", action="append", default=[], dest="cors_origins", metavar="ORIGIN")
    parser.add_argument("--access-log", action="store_true", help="one JSON line per request to standard output")
    sys.stdout.write(render(**vars(parser.parse_args())))


if __name__ == "__main__":
    main()
