"""Says what went wrong: the status code, the protocol's own failure, and a message for a person."""

import grpc
from grpc_status import rpc_status

from streamserver.v1.failure_pb2 import Failure, FailureDetail
from streamserver.v1.frame_pb2 import Reset


def of_call(error: grpc.RpcError) -> tuple[str, str, str]:
    status = rpc_status.from_call(error)
    detail = FailureDetail()
    for packed in status.details if status else ():
        packed.Unpack(detail)  # leaves it as it is if it is of another type
    return error.code().name.lower(), Failure.Name(detail.failure), error.details()


def of_silence() -> tuple[str, str, str]:
    return "unavailable", Failure.Name(Failure.FAILURE_LEG_LOST), "the relay is silent"


def of_reset(reset: Reset) -> tuple[str, str, str]:
    names = {code.value[0]: code.name.lower() for code in grpc.StatusCode}
    return names.get(reset.code, "unknown"), Failure.Name(reset.failure), reset.reason
