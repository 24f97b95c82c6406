"""The RPCs of results."""

import grpc
from imagegen.results.v1 import (
    quota_service_pb2,
    quota_service_pb2_grpc,
    results_service_pb2,
    results_service_pb2_grpc,
    share_service_pb2,
    share_service_pb2_grpc,
    storage_service_pb2,
    storage_service_pb2_grpc,
    store_service_pb2,
    store_service_pb2_grpc,
)

from services.results.server.errors import ERRORS
from services.results.server.people import ResultsServicer
from services.results.server.shares import ShareServicer
from services.results.server.storage import QuotaServicer, StorageServicer
from services.results.server.workers import StoreServicer
from services.results.use_cases import UseCases
from services.runtime.server import Server
from services.runtime.tokens import TokenVerifier


def results_server(results: UseCases, verifier: TokenVerifier, *, threads: int) -> Server:
    """The services of this context on one server."""

    def register(server: grpc.aio.Server) -> None:
        people = ResultsServicer(results.gallery, results.delivery)
        results_service_pb2_grpc.add_ResultsServiceServicer_to_server(people, server)
        workers = StoreServicer(results.storing, results.delivery, results.maker)
        store_service_pb2_grpc.add_StoreServiceServicer_to_server(workers, server)
        share_service_pb2_grpc.add_ShareServiceServicer_to_server(ShareServicer(results.shares), server)
        storage_service_pb2_grpc.add_StorageServiceServicer_to_server(StorageServicer(results.storage), server)
        quota_service_pb2_grpc.add_QuotaServiceServicer_to_server(QuotaServicer(results.storage), server)

    services = [
        results_service_pb2.DESCRIPTOR.services_by_name["ResultsService"],
        share_service_pb2.DESCRIPTOR.services_by_name["ShareService"],
        store_service_pb2.DESCRIPTOR.services_by_name["StoreService"],
        storage_service_pb2.DESCRIPTOR.services_by_name["StorageService"],
        quota_service_pb2.DESCRIPTOR.services_by_name["QuotaService"],
    ]
    return Server(services, register, verifier=verifier, errors=ERRORS, threads=threads)
