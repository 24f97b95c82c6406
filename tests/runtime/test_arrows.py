"""Who calls whom: the arrows of the README, read from the code and from the contracts."""

import ast
from importlib import import_module
from pathlib import Path

import pytest
from imagegen.runtime.v1 import access_pb2

PROJECT = Path(__file__).parents[2]

# Whose contracts each package speaks, beside its own. The runtime asks auth for everybody: keys, revocations, erasures.
ARROWS = {
    "services/auth": set(),
    "services/generation": {"executor", "results"},
    "services/executor": {"results"},
    "services/results": set(),
    "services/runtime": {"auth"},
    "gateway": {"auth", "generation", "results", "executor"},
    "app": set(),
}
SERVICES = {
    "auth": ["auth_service", "identity_service"],
    "generation": ["generation_service"],
    "executor": ["executor_service", "operator_service"],
    "results": ["quota_service", "results_service", "share_service", "storage_service", "store_service"],
}
# The names that processes call by, where the name is not the context's own.
CALLERS = {"worker": "services/executor", "gateway": "gateway"}
AT_A_SHELL = {"operator"}


def contracts_of(package: str) -> set[str]:
    """The contexts whose generated modules a package imports."""
    found = set()
    for path in (PROJECT / package).rglob("*.py"):
        for node in ast.walk(ast.parse(path.read_text())):
            names = [node.module] if isinstance(node, ast.ImportFrom) and node.module else []
            names += [alias.name for alias in node.names] if isinstance(node, ast.Import) else []
            found |= {name.split(".")[1] for name in names if name.startswith("imagegen.")}
    return found - {"runtime"}


@pytest.mark.parametrize("package", ARROWS)
def test_a_package_speaks_only_to_its_neighbours(package):
    own = package.rpartition("/")[2]
    assert contracts_of(package) - {own} == ARROWS[package]


def methods():
    for context, modules in SERVICES.items():
        for module in modules:
            for service in import_module(f"imagegen.{context}.v1.{module}_pb2").DESCRIPTOR.services_by_name.values():
                for method in service.methods:
                    yield pytest.param(context, method.GetOptions().Extensions[access_pb2.access], id=method.full_name)


@pytest.mark.parametrize(("context", "access"), list(methods()))
def test_every_rpc_says_who_may_call_it_and_services_only_along_the_arrows(context, access):
    assert access.anonymous or access.user or access.operator or access.services
    for service in set(access.services) - AT_A_SHELL:
        package = CALLERS.get(service, f"services/{service}")
        assert context in ARROWS[package] | ARROWS["services/runtime"]
