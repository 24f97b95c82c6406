"""`owners list|set`: who waits for pictures, and how the GPUs are shared among them."""

import argparse
from uuid import UUID

from imagegen.executor.v1 import operator_service_pb2 as pb
from imagegen.executor.v1 import worker_pb2

from services.executor.commands.calls import CALL_SECONDS, operator
from services.executor.commands.tables import table

_HEADER = ("owner", "waiting", "running", "weight", "cap")


def register(nouns: "argparse._SubParsersAction[argparse.ArgumentParser]") -> None:
    verbs = nouns.add_parser("owners", help="fair shares").add_subparsers(title="verbs", required=True, metavar="VERB")
    verbs.add_parser("list", help="tell who has unfinished jobs, the most waiting first").set_defaults(run=_list)
    change = verbs.add_parser("set", help="change an owner's weight or cap; what is left out stays")
    change.add_argument("owner_id", type=UUID, metavar="OWNER", help="the user's id")
    change.add_argument("--weight", type=float, help="share in relation to others', who have 1")
    change.add_argument("--cap", type=int, help="most jobs that workers may hold at once; 0 for none of its own")
    change.set_defaults(run=_set)


def _list(_options: argparse.Namespace) -> int:
    with operator() as executor:
        request = pb.ListOwnersRequest()
        owners = executor.stub.ListOwners(request, metadata=executor.credentials, timeout=CALL_SECONDS).owners
    for line in table(_HEADER, map(_row, owners)) if owners else ["Nobody has unfinished jobs."]:
        print(line)
    return 0


def _set(options: argparse.Namespace) -> int:
    request = pb.UpdateOwnerRequest(owner_id=str(options.owner_id), weight=options.weight, running_cap=options.cap)
    with operator() as executor:
        answer = executor.stub.UpdateOwner(request, metadata=executor.credentials, timeout=CALL_SECONDS)
    for line in table(_HEADER, [_row(answer.owner)]):
        print(line)
    return 0


def _row(owner: worker_pb2.Owner) -> tuple[str, ...]:
    cap = str(owner.running_cap) if owner.running_cap else "-"
    return owner.id, str(owner.waiting_jobs), str(owner.running_jobs), f"{owner.weight:g}", cap
