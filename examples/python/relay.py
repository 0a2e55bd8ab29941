"""The relay as a gRPC client, and how to notice that it is gone."""

from collections.abc import Iterator
from threading import Timer

import grpc

from streamserver.v1.relay_pb2 import ListenResponse

HEARTBEAT_MS = 15000  # the default of relays, until one has said otherwise
HEARTBEATS_UNTIL_LOST = 2.5
SILENCE_MS = int(HEARTBEAT_MS * HEARTBEATS_UNTIL_LOST)

# Asks every 15 s whether a silent connection is still there, and gives it up after 37.5 s in all.
KEEPALIVE = {
    "grpc.keepalive_time_ms": HEARTBEAT_MS,
    "grpc.keepalive_timeout_ms": SILENCE_MS - HEARTBEAT_MS,
    "grpc.http2.ping_timeout_ms": SILENCE_MS,  # of pings that gRPC sends for reasons of its own
    "grpc.http2.max_pings_without_data": 0,  # as many as it takes
}


def open_channel(address: str) -> grpc.Channel:
    # Without the option, gRPC shares the connections of all channels.
    return grpc.insecure_channel(address, [*KEEPALIVE.items(), ("grpc.use_local_subchannel_pool", 1)])


class RelayLost(Exception):
    """Nothing came on Listen for two and a half of the relay's heartbeats."""


def events_of(call: grpc.Call) -> Iterator[ListenResponse]:
    """Yields what comes on Listen. Raises RelayLost when the relay is silent for too long."""
    heartbeat_ms = HEARTBEAT_MS
    while True:
        silence = Timer(heartbeat_ms * HEARTBEATS_UNTIL_LOST / 1000, call.cancel)
        silence.start()
        try:
            event = next(call, None)
        except grpc.RpcError as error:
            if error.code() == grpc.StatusCode.CANCELLED:  # by the timer: nobody else does
                raise RelayLost from error
            raise
        finally:
            silence.cancel()
        if event is None:
            return
        if event.HasField("registered"):
            heartbeat_ms = event.registered.heartbeat_interval_ms
        yield event
