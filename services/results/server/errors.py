"""What each error of this context is on the wire."""

import grpc
from imagegen.results.v1 import error_reason_pb2

from services.results.domain import (
    ChecksumMismatch,
    DownloadNotAllowed,
    LinkInvalid,
    NotAPicture,
    PictureLost,
    PictureTooLarge,
    RangeNotSatisfiable,
    RecipeUnknown,
    RequestIdReused,
    ResultDiscarded,
    ResultNotFound,
    ShareEnded,
    ShareLocked,
    ShareNotFound,
    SharePasswordWrong,
    TooManyAttempts,
    TooManyShares,
)
from services.runtime.errors import ErrorTable

ERRORS = ErrorTable(
    domain="results.imagegen",
    reasons=error_reason_pb2.ErrorReason,
    rows={
        ResultNotFound: (grpc.StatusCode.NOT_FOUND, error_reason_pb2.ERROR_REASON_RESULT_NOT_FOUND),
        ChecksumMismatch: (grpc.StatusCode.INVALID_ARGUMENT, error_reason_pb2.ERROR_REASON_CHECKSUM_MISMATCH),
        NotAPicture: (grpc.StatusCode.INVALID_ARGUMENT, error_reason_pb2.ERROR_REASON_NOT_A_PICTURE),
        PictureTooLarge: (grpc.StatusCode.INVALID_ARGUMENT, error_reason_pb2.ERROR_REASON_PICTURE_TOO_LARGE),
        ResultDiscarded: (grpc.StatusCode.FAILED_PRECONDITION, error_reason_pb2.ERROR_REASON_RESULT_DISCARDED),
        LinkInvalid: (grpc.StatusCode.PERMISSION_DENIED, error_reason_pb2.ERROR_REASON_LINK_INVALID),
        RecipeUnknown: (grpc.StatusCode.NOT_FOUND, error_reason_pb2.ERROR_REASON_RECIPE_UNKNOWN),
        RangeNotSatisfiable: (grpc.StatusCode.OUT_OF_RANGE, error_reason_pb2.ERROR_REASON_RANGE_NOT_SATISFIABLE),
        PictureLost: (grpc.StatusCode.DATA_LOSS, error_reason_pb2.ERROR_REASON_PICTURE_LOST),
        ShareNotFound: (grpc.StatusCode.NOT_FOUND, error_reason_pb2.ERROR_REASON_SHARE_NOT_FOUND),
        ShareEnded: (grpc.StatusCode.FAILED_PRECONDITION, error_reason_pb2.ERROR_REASON_SHARE_ENDED),
        ShareLocked: (grpc.StatusCode.UNAUTHENTICATED, error_reason_pb2.ERROR_REASON_SHARE_LOCKED),
        SharePasswordWrong: (grpc.StatusCode.UNAUTHENTICATED, error_reason_pb2.ERROR_REASON_SHARE_PASSWORD_WRONG),
        TooManyAttempts: (grpc.StatusCode.RESOURCE_EXHAUSTED, error_reason_pb2.ERROR_REASON_TOO_MANY_ATTEMPTS),
        TooManyShares: (grpc.StatusCode.RESOURCE_EXHAUSTED, error_reason_pb2.ERROR_REASON_TOO_MANY_SHARES),
        RequestIdReused: (grpc.StatusCode.INVALID_ARGUMENT, error_reason_pb2.ERROR_REASON_REQUEST_ID_REUSED),
        DownloadNotAllowed: (grpc.StatusCode.PERMISSION_DENIED, error_reason_pb2.ERROR_REASON_DOWNLOAD_NOT_ALLOWED),
    },
)
