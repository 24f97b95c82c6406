"""Calling the executor as its operator: the door, and what a person is told when it stays shut."""

import os
from collections.abc import Iterator
from contextlib import contextmanager

import grpc
from imagegen.executor.v1 import operator_service_pb2_grpc

from services.runtime.channels import Metadata, Peer, channel
from services.runtime.settings import service_identity

CALL_SECONDS = 5.0


class Operator:
    """The executor's operator door, and the credentials to send with each call."""

    def __init__(self, connection: grpc.Channel, peer: Peer) -> None:
        self.stub = operator_service_pb2_grpc.OperatorServiceStub(connection)
        self._peer = peer

    @property
    def credentials(self) -> Metadata:
        return self._peer.metadata()


@contextmanager
def operator() -> Iterator[Operator]:
    """The executor at EXECUTOR_ADDRESS, called with SERVICE_KEY_OPERATOR.

    Ends the process with a sentence where a variable is missing or the call is not answered well.
    """
    try:
        address, identity = os.environ["EXECUTOR_ADDRESS"], service_identity("operator")
    except KeyError as error:
        raise SystemExit(f"{error.args[0]} is not set: which executor, and as whom?") from None
    with channel(address) as connection:
        try:
            yield Operator(connection, Peer(identity, "executor"))
        except grpc.RpcError as error:
            raise SystemExit(f"The executor at {address} says {error.code().name}: {error.details()}") from None
