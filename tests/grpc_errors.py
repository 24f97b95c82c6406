"""What a failed call said, in the terms of the contracts."""

import grpc
from google.rpc import error_details_pb2
from grpc_status import rpc_status


def reason(error: grpc.RpcError) -> str:
    """ErrorInfo.reason; empty if there is none."""
    info = error_details_pb2.ErrorInfo()
    return info.reason if _unpack(error, info) else ""


def fields(error: grpc.RpcError) -> list[str]:
    """The fields that BadRequest names."""
    request = error_details_pb2.BadRequest()
    return [violation.field for violation in request.field_violations] if _unpack(error, request) else []


def retry_seconds(error: grpc.RpcError) -> float:
    """RetryInfo's delay; 0 if there is none."""
    retry = error_details_pb2.RetryInfo()
    return retry.retry_delay.ToMilliseconds() / 1000 if _unpack(error, retry) else 0.0


def _unpack(error: grpc.RpcError, message: object) -> bool:
    status = rpc_status.from_call(error)
    return status is not None and any(detail.Unpack(message) for detail in status.details)
