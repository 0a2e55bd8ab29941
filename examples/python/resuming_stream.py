"""Keeps an endpoint attached to the relay: one call after the other, each on a connection of its own."""

import random
import sys
import time
from collections.abc import Iterator
from threading import Condition, Thread, Timer

import grpc

import failure
from endpoint import Endpoint, State
from relay import open_channel
from streamserver.v1.frame_pb2 import Frame
from streamserver.v1.relay_pb2 import AcceptRequest, ConnectRequest, Open
from streamserver.v1.relay_pb2_grpc import RelayServiceStub

MIN_BACKOFF_S, MAX_BACKOFF_S = 0.1, 5
ACK_DELAY_S = 0.025
ATTACH_TIMEOUT_S = 20
RESET_TIMEOUT_S = 0.25
LINGER_S = 5
HIGH_WATER_BYTES = 262144  # `write` waits while more than so much waits to be sent


def backoff_s(tries: int) -> float:
    return random.uniform(0, min(MAX_BACKOFF_S, MIN_BACKOFF_S * 2**tries))


class ResumingStream:
    """`rpc` is "Connect" or "Accept". Iterating gives each message, as its data and whether it is text."""

    def __init__(self, address: str, rpc: str, endpoint: Endpoint) -> None:
        self._address, self._rpc, self._endpoint = address, rpc, endpoint
        self._changed = Condition()  # guards the endpoint
        self._call: grpc.Call | None = None
        self._told = State.ATTACHED
        self._attached = Thread(target=self._stay_attached, daemon=True)
        self._attached.start()

    def _tell(self) -> None:
        """After each change: wakes whoever waits for one, and tells a person of breaks."""
        state = self._endpoint.state
        if state in (State.ATTACHED, State.SUSPENDED) and state != self._told:
            self._told = state
            print("resumed" if state == State.ATTACHED else "suspended", file=sys.stderr, flush=True)
        self._changed.notify_all()

    def write(self, data: bytes, text: bool) -> None:
        with self._changed:
            outgoing = self._endpoint.outgoing
            self._changed.wait_for(lambda: outgoing.queued_bytes <= HIGH_WATER_BYTES or self._endpoint.over)
            outgoing.write(data, text)
            self._changed.notify_all()

    def finish(self) -> None:
        with self._changed:
            self._endpoint.outgoing.finish()
            self._changed.notify_all()

    def __iter__(self) -> Iterator[tuple[bytes, bool]]:
        incoming = self._endpoint.incoming
        while True:
            with self._changed:
                self._changed.wait_for(lambda: incoming.messages or incoming.finished or self._endpoint.over)
                if self._endpoint.error:
                    raise self._endpoint.error
                if not incoming.messages:
                    return
                data, text, _ = incoming.read()
                self._changed.notify_all()
            yield data, text

    def close(self) -> None:
        """Waits for the end of the stream. Raises StreamError if it did not end well."""
        with self._changed:
            self._changed.wait_for(lambda: self._endpoint.over)
            if self._endpoint.error:
                raise self._endpoint.error
        self._attached.join(LINGER_S)  # The last ack goes out, and the relay ends the call.

    def reset(self, code: int, reason: str) -> None:
        with self._changed:
            if self._endpoint.over:
                return
            self._endpoint.reset(code, reason)
            self._changed.notify_all()
            has_leg = self._endpoint.was_opened
            if has_leg and self._changed.wait_for(lambda: self._call is None, RESET_TIMEOUT_S):
                return
        with open_channel(self._address) as channel:
            try:
                RelayServiceStub(channel).Reject(self._endpoint.reject_request(), timeout=ATTACH_TIMEOUT_S)
            except grpc.RpcError:
                pass  # The stream has ended before, or the relay is gone and ends it when the grace period is over.

    def _stay_attached(self) -> None:
        tries, lost_at = 0, time.monotonic()
        while True:
            how = self._run_leg()
            if how != "never opened":
                tries, lost_at = 0, time.monotonic()
            with self._changed:
                if time.monotonic() - lost_at > self._endpoint.grace_ms / 1000:
                    self._endpoint.give_up()
                self._tell()
                if how == "completed" or self._endpoint.state == State.FAILED:
                    return
                if how != "drained":
                    self._changed.wait_for(lambda: self._endpoint.state == State.FAILED, backoff_s(tries))
            tries += 1

    def _run_leg(self) -> str:
        how = "never opened"
        with open_channel(self._address) as channel:
            with self._changed:
                requests = self._requests(self._endpoint.next_open())
                call = self._call = getattr(RelayServiceStub(channel), self._rpc)(requests)
            deadline = Timer(ATTACH_TIMEOUT_S, call.cancel)
            deadline.start()
            try:
                for response in call:
                    deadline.cancel()
                    how = "broken"
                    with self._changed:
                        self._endpoint.receive(response)
                        self._tell()
                    if response.HasField("draining"):
                        self._endpoint.lose_leg()
                        return "drained"
                with self._changed:
                    self._endpoint.complete_leg()
                return "completed" if self._endpoint.over else how
            except grpc.RpcError as error:
                with self._changed:
                    self._endpoint.refuse_leg(error.code().value[0], error.details(), failure.detail_of(error))
                return how
            finally:
                deadline.cancel()
                with self._changed:
                    self._call = None
                    self._tell()

    def _requests(self, open_: Open) -> Iterator[ConnectRequest | AcceptRequest]:
        """gRPC takes these in a thread of its own, each when it has sent the one before."""
        request = ConnectRequest if self._rpc == "Connect" else AcceptRequest
        yield request(open=open_)
        generation = open_.resume.generation
        while frame := self._next_frame(generation):
            yield request(frame=frame)

    def _next_frame(self, generation: int) -> Frame | None:
        """Waits for the next frame of a leg. None when there will be no other."""
        endpoint = self._endpoint
        with self._changed:
            while self._call and endpoint.generation == generation:
                if frame := endpoint.take():
                    self._changed.notify_all()  # for `write`, which may wait for room
                    return frame
                if endpoint.said_all:
                    return None
                if not self._changed.wait(ACK_DELAY_S if endpoint.ack_waits else None):
                    endpoint.incoming.ask_for_ack()
        return None
