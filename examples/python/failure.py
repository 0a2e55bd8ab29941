"""Says what went wrong: the status code, the protocol's own failure, and a message for a person."""

import grpc
from grpc_status import rpc_status

from streamserver.v1.failure_pb2 import Failure, FailureDetail
from streamserver.v1.frame_pb2 import Reset


CODE_NAMES = {code.value[0]: code.name.lower() for code in grpc.StatusCode}


def detail_of(error: grpc.RpcError) -> FailureDetail | None:
    status = rpc_status.from_call(error)
    for packed in status.details if status else ():
        detail = FailureDetail()
        if packed.Unpack(detail):
            return detail
    return None


def of_call(error: grpc.RpcError) -> tuple[str, str, str]:
    detail = detail_of(error) or FailureDetail()
    return error.code().name.lower(), Failure.Name(detail.failure), error.details()


def of_silence() -> tuple[str, str, str]:
    return "unavailable", Failure.Name(Failure.FAILURE_LEG_LOST), "the relay is silent"


def of_reset(reset: Reset) -> tuple[str, str, str]:
    return CODE_NAMES.get(reset.code, "unknown"), Failure.Name(reset.failure), reset.reason


def of_stream(error) -> tuple[str, str, str]:
    more = "no more" if error.final else "perhaps more"
    reason = f"{error.reason} ({error.delivered} messages have arrived, {more})"
    return CODE_NAMES.get(error.code, "unknown"), Failure.Name(error.failure), reason
