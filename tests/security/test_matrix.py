"""Every operation of every door × everybody who might try it.

The tables in `rest` and `rpcs` say what each one needs; an operation that is in neither fails here.
"""

import pkgutil
from collections.abc import Callable, Iterator, Mapping
from importlib import import_module

import grpc
import httpx
import pytest

import gateway
from services.runtime.tokens import ServiceIdentity
from tests.accounts import Account, an_operator
from tests.security import rest, rpcs
from tests.security.callers import USER_SCOPES, Stranger, strangers
from tests.security.rows import OWN, Owner, Row, Who

Call = Callable[[object, str], tuple[str, str]]
"""What is asked, by whose token → the code of the refusal, and the answer as text."""

PUBLIC = ("auth.v1.AuthService", "generation.v1.GenerationService", "results.v1.ResultsService")
PORTS = {
    "auth.v1.IdentityService": "auth",
    "results.v1.StoreService": "results",
    "results.v1.QuotaService": "results",
    "executor.v1.ExecutorService": "executor",
    "executor.v1.OperatorService": "executor",
}


@pytest.fixture(scope="module")
def everybody_else(installation) -> Mapping[str, Stranger]:
    return strangers(installation)


@pytest.fixture(scope="module")
def another(installation) -> Callable[[Row], Account]:
    """Who is not the owner: somebody new with nothing of their own where they are let in, else always the same one."""
    refused = Account(installation)

    def somebody(row: Row) -> Account:
        return Account(installation) if row.who is Who.PERSON and row.other == OWN else refused

    return somebody


@pytest.fixture(scope="module")
def an_owner(installation) -> Callable[[Row], Owner]:
    """Whoever may make the row's call, with one of everything."""

    def new_owner(row: Row) -> Owner:
        is_operator = row.who in (Who.OPERATOR, Who.SERVICE)
        account = an_operator(installation) if is_operator else Account(installation)
        owner = Owner(account, installation.secret("engine_id"))
        if row.who is Who.PERSON and row.other == OWN:
            assert owner.task, "something that an answer to somebody else could give away"
        return owner

    return new_owner


@pytest.fixture(scope="module")
def unharmed(installation) -> Owner:
    """An owner for all the requests that reach nobody: they take nothing of theirs away."""
    return Owner(an_operator(installation), installation.secret("engine_id"))


@pytest.fixture(scope="module")
def http(installation) -> Iterator[httpx.Client]:
    with installation.client() as client:
        yield client


@pytest.fixture(scope="module")
def channels(installation) -> Iterator[Callable[[str], grpc.Channel]]:
    """The channel that an RPC is called on: through Envoy, or at the port of its own service."""
    opened: dict[str, grpc.Channel] = {}

    def channel(operation: str) -> grpc.Channel:
        service = operation.removeprefix("imagegen.").partition("/")[0]
        address = installation.processes[PORTS[service]]["address"] if service in PORTS else installation.url[7:]
        if address not in opened:
            opened[address] = grpc.insecure_channel(address)
        return opened[address]

    yield channel
    for one in opened.values():
        one.close()


def test_every_operation_of_the_openapi_document_has_a_row(http):
    document = http.get("/openapi.json").raise_for_status().json()
    operations = {f"{verb.upper()} {path}" for path, item in document["paths"].items() for verb in item}
    assert not operations - rest.ROWS.keys()


def test_every_route_of_the_gateway_has_a_row():
    """Those in no document included, but for the reference, which is for anybody."""
    names = [found.name for found in pkgutil.iter_modules(gateway.__path__) if found.name != "reference"]
    routers = [getattr(import_module(f"gateway.{name}"), "router", None) for name in names]
    routes = [route for router in routers if router for route in router.routes]
    operations = {f"{method} {route.path_format}" for route in routes for method in route.methods}
    heads = {operation for operation in operations if operation.startswith("HEAD ")}
    assert operations - heads == rest.ROWS.keys()
    assert {head.replace("HEAD ", "GET ") for head in heads} <= operations, "it is a GET without the body"


def test_every_rpc_of_the_contracts_has_a_row():
    assert rpcs.ROWS.keys() == rpcs.every_rpc().keys()


@pytest.mark.parametrize("operation", rest.ROWS)
def test_rest_lets_in_whom_the_table_says_and_nobody_else(http, an_owner, another, everybody_else, operation):
    row = rest.ROWS[operation]
    judge(
        row, an_owner(row), another(row), everybody_else, lambda asked, token: rest.call(http, operation, asked, token)
    )


@pytest.mark.parametrize("operation", [name for name, row in rpcs.ROWS.items() if row.who is not Who.SERVICE])
def test_rpcs_let_in_whom_the_table_says_and_nobody_else(channels, an_owner, another, everybody_else, operation):
    row, channel = rpcs.ROWS[operation], channels(operation)
    judge(
        row,
        an_owner(row),
        another(row),
        everybody_else,
        lambda asked, token: rpcs.call(channel, operation, asked, token),
    )


@pytest.mark.parametrize("operation", [name for name, row in rpcs.ROWS.items() if row.services])
def test_what_is_for_services_lets_in_those_that_it_names(installation, channels, an_owner, everybody_else, operation):
    row, channel = rpcs.ROWS[operation], channels(operation)
    owner = an_owner(row)
    asked = row.ask(owner)
    callee = PORTS[operation.removeprefix("imagegen.").partition("/")[0]]
    services = ("auth", "generation", "executor", "results", "worker", "gateway", "operator")
    identities = {name: ServiceIdentity(name, installation.secret(f"{name}_service_key")) for name in services}
    refused = {name: stranger.code for name, stranger in everybody_else.items()}
    tried = {name: rpcs.call(channel, operation, asked, one.token)[0] for name, one in everybody_else.items()}
    if row.who is Who.SERVICE:
        key = owner.account.api_key([*USER_SCOPES, "admin"])
        refused |= {"an operator": "caller_not_allowed", "an operator's key": "caller_not_allowed"}
        tried["an operator"] = rpcs.call(channel, operation, asked, owner.account.token)[0]
        tried["an operator's key"] = rpcs.call(channel, operation, asked, key.secret)[0]
    # Each is known and may not call this; a token that a service minted for another callee is none at all.
    for name in identities.keys() - set(row.services):
        refused[name] = "caller_not_allowed"
        tried[name] = rpcs.call(channel, operation, asked, identities[name].token(callee))[0]
    for name in row.services:
        refused[f"{name}, for another callee"] = "token_invalid"
        tried[f"{name}, for another callee"] = rpcs.call(channel, operation, asked, identities[name].token("nobody"))[0]
    assert tried == refused
    for name in row.services:
        code, _ = rpcs.call(channel, operation, asked, identities[name].token(callee))
        assert code not in ("caller_not_allowed", *refused.values()), name


@pytest.mark.parametrize("operation", [name for name, row in rpcs.ROWS.items() if row.who is Who.SERVICE])
def test_the_public_door_does_not_lead_to_what_is_for_services(installation, unharmed, operation):
    row = rpcs.ROWS[operation]
    with grpc.insecure_channel(installation.url[7:]) as door:
        code, _ = rpcs.call(door, operation, row.ask(unharmed), "")
    assert code == str(grpc.StatusCode.UNIMPLEMENTED)


def judge(row: Row, owner: Owner, other: Account, everybody_else: Mapping[str, Stranger], call: Call) -> None:
    """First all who must be refused, then the owner with the same request: what was refused had done nothing."""
    asked = row.ask(owner)
    tried = {name: (stranger.token, stranger.code) for name, stranger in everybody_else.items()}
    if row.who is Who.ANYBODY:
        tried = {}
    elif row.who is Who.VISITOR:
        del tried["anonymous"]
    if row.who is not Who.ANYBODY and (row.scopes or row.who is not Who.VISITOR):
        tried |= {name: (key, "scope_missing") for name, key in lacking_keys(row, owner).items()}
    if row.who is Who.OPERATOR:
        tried["a user"] = other.token, "caller_not_allowed"
    elif row.other != OWN:
        tried["somebody else"] = other.token, row.other
    tasks = owner.tasks
    told = {name: call(asked, token) for name, (token, _) in tried.items()}
    assert {name: code for name, (code, _) in told.items()} == {name: code for name, (_, code) in tried.items()}
    assert owner.tasks == tasks
    assert not [name for name, (_, text) in told.items() if gives_away(text, owner)]

    answered = {}
    if row.who in (Who.ANYBODY, Who.VISITOR):
        answered["anonymous"] = call(row.ask(owner), "")
    if row.who is Who.ANYBODY:
        answered |= {name: call(row.ask(owner), stranger.token) for name, stranger in everybody_else.items()}
    if row.scopes:
        answered["a key with the scopes"] = call(row.ask(owner), owner.account.api_key(row.scopes).secret)
    repeated = row.ask(owner)
    answered["the owner"] = call(asked, owner.account.token)
    if row.who is Who.PERSON and row.other == OWN:
        answered["somebody else"] = call(repeated, other.token)
        assert not gives_away(answered["somebody else"][1], owner)
    assert {name: code for name, (code, _) in answered.items()} == dict.fromkeys(answered, "")


def lacking_keys(row: Row, owner: Owner) -> dict[str, str]:
    """The owner's keys that lack just one scope: a call that needs two must not begin with what the first allows.
    Where no key will do, one that has them all.
    """
    scopes = [*USER_SCOPES, *(["admin"] if row.who is Who.OPERATOR else [])]
    lacking = {f"the owner's key without {scope}": {scope} for scope in row.scopes} or {"a key of the owner": set()}
    return {
        name: owner.account.api_key([scope for scope in scopes if scope not in missing]).secret
        for name, missing in lacking.items()
    }


def gives_away(text: str, owner: Owner) -> set[str]:
    return {mark for mark in owner.marks if mark in text}
