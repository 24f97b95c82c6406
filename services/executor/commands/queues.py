"""`queues list`: what waits for each model."""

import argparse

from imagegen.executor.v1 import operator_service_pb2 as pb

from services.executor.commands.calls import CALL_SECONDS, operator
from services.executor.commands.tables import table

_HEADER = ("model", "waiting", "running", "backlog", "oldest")


def register(nouns: "argparse._SubParsersAction[argparse.ArgumentParser]") -> None:
    verbs = nouns.add_parser("queues", help="what waits for each model").add_subparsers(
        title="verbs", required=True, metavar="VERB"
    )
    verbs.add_parser(
        "list",
        help="tell how many jobs wait for each model, how much work they are, and for how long the first has waited",
    ).set_defaults(run=_list)


def _list(_options: argparse.Namespace) -> int:
    with operator() as executor:
        request = pb.ListQueuesRequest()
        queues = executor.stub.ListQueues(request, metadata=executor.credentials, timeout=CALL_SECONDS).queues
    for line in table(_HEADER, map(_row, queues)) if queues else ["Nothing waits, and nothing is painted."]:
        print(line)
    return 0


def _row(queue: pb.Queue) -> tuple[str, ...]:
    oldest = f"{queue.oldest_wait.ToSeconds()} s" if queue.HasField("oldest_wait") else "-"
    return queue.model, str(queue.waiting_jobs), str(queue.running_jobs), f"{queue.backlog_seconds:.0f} s", oldest
