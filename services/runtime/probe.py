"""python -m services.runtime.probe localhost:50051: whether a gRPC service serves, for probes that cannot speak TLS.

It calls as its neighbours do, with the certificates that are on disk now (`TlsSettings`). Exit 1 if the health service
does not say SERVING within its time.
"""

import sys

import grpc
from grpc_health.v1 import health_pb2, health_pb2_grpc

from services.runtime.channels import channel

_SECONDS = 4.0
"""Under the probes' own time-out, so that it is said here what is the matter."""


def main() -> None:
    [address] = sys.argv[1:]
    with channel(address) as opened:
        try:
            answer = health_pb2_grpc.HealthStub(opened).Check(health_pb2.HealthCheckRequest(), timeout=_SECONDS)
        except grpc.RpcError as error:
            sys.exit(f"{address}: {error.code().name} {error.details()}")
    if answer.status != health_pb2.HealthCheckResponse.SERVING:
        sys.exit(f"{address} does not serve")


if __name__ == "__main__":
    main()
