"""One endpoint of a stream that outlives its legs: "Resuming" in docs/protocol.md, without a clock or a network."""

from dataclasses import dataclass
from enum import Enum

from incoming import INVALID_ARGUMENT, Incoming, Violation
from outgoing import Outgoing
from streamserver.v1.failure_pb2 import Failure, FailureDetail
from streamserver.v1.frame_pb2 import Frame, Reset
from streamserver.v1.relay_pb2 import (
    FEATURE_ACK,
    FEATURE_CREDIT,
    FEATURE_RESUME,
    AcceptResponse,
    Capabilities,
    ConnectResponse,
    Limits,
    Open,
    RejectRequest,
    Resume,
)

CAPABILITIES = Capabilities(features=[FEATURE_CREDIT, FEATURE_ACK, FEATURE_RESUME])
UNAVAILABLE = 14
# Codes that somebody on the way gives on purpose. No broken connection has one of them.
STATED_CODES = {3, 5, 6, 7, 9, 11, 16}


def grace_ms_of(limits: Limits) -> int:
    """How long the relay keeps a stream for an endpoint without a leg: 0 if it does not."""
    return limits.grace_ms if FEATURE_RESUME in limits.features else 0


class State(Enum):
    ATTACHING = 1  # the first leg is not opened yet
    ATTACHED = 2
    SUSPENDED = 3
    CLOSED = 4  # it ended well
    FAILED = 5


@dataclass
class StreamError(Exception):
    """Why a stream failed. `delivered` messages have reached the peer, and no others if `final`."""

    code: int
    failure: int
    reason: str
    delivered: int
    final: bool


class Endpoint:
    """`first_open` has a client's name, or the stream_id and the leg_token of an offer. With the offer a listener knows
    the capabilities of its peer and, from `Registered`, the relay's grace period."""

    def __init__(
        self, first_open: Open, peer: Capabilities | None = None, grace_ms: int = 0, window_bytes: int = 1048576
    ) -> None:
        self.state = State.ATTACHING
        self.error: StreamError | None = None
        self.outgoing = Outgoing()
        self.incoming = Incoming(window_bytes)
        self.was_opened = False  # the present leg
        self.grace_ms = grace_ms
        self._open = first_open
        self._peer = peer
        self.generation = -1
        self._max_frame_bytes = 0
        self._ready = False  # whether the present leg may carry frames
        self._says_again = False
        self._reset: Reset | None = None  # what the application ended the stream with, until it is sent

    @property
    def over(self) -> bool:
        return self.state in (State.CLOSED, State.FAILED)

    @property
    def resumable(self) -> bool:
        return self.grace_ms > 0 and (self._peer is None or FEATURE_RESUME in self._peer.features)

    def next_open(self) -> Open:
        """The first message of the next leg."""
        self.generation += 1
        self.was_opened = self._ready = False
        open_ = Open()
        open_.CopyFrom(self._open)
        open_.capabilities.CopyFrom(CAPABILITIES)
        if self.generation > 0:
            open_.resume.CopyFrom(Resume(received_sequence=self.incoming.sequence, generation=self.generation))
        return open_

    def reject_request(self) -> RejectRequest:
        """Ends the stream, which the application has reset, without a leg."""
        return RejectRequest(
            stream_id=self._open.stream_id,
            leg_token=self._open.leg_token,
            code=self.error.code,
            reason=self.error.reason,
            failure=self.error.failure,
            received_sequence=self.incoming.sequence,
        )

    def receive(self, response: ConnectResponse | AcceptResponse) -> None:
        """Takes what comes on the newest leg."""
        kind = response.WhichOneof("message")
        if kind == "opened":
            self._opened(response.opened)
        elif kind == "accepted":
            self._peer = response.accepted.capabilities
            for field in ("name", "metadata", "wait_for_listener_ms"):
                self._open.ClearField(field)
        elif kind == "suspended":
            self._ready = False
            self._set(State.SUSPENDED)
        elif kind == "resumed":
            self.outgoing.acknowledge(response.resumed.received_sequence)
            self.outgoing.rewind()
            self._ready = self._says_again = True
            self._set(State.ATTACHED)
            self._settle()
        elif kind == "frame" and not self.over:
            self._receive_frame(response.frame)

    def _opened(self, opened) -> None:
        self.was_opened = True
        self._open.stream_id, self._open.leg_token = opened.stream_id, opened.leg_token
        self.grace_ms = grace_ms_of(opened.limits)
        self._max_frame_bytes = opened.limits.max_frame_bytes
        if self.generation == 0:
            self._ready = True
            self._set(State.ATTACHED)
        else:
            self.incoming.drops_gaps = True

    def _receive_frame(self, frame: Frame) -> None:
        known = self.outgoing.acknowledge(frame.ack)
        if frame.HasField("reset"):
            return self._fail(frame.reset.code, frame.reset.failure, frame.reset.reason, final=frame.ack > 0)
        try:
            if not known:
                raise Violation(INVALID_ARGUMENT, Failure.FAILURE_PROTOCOL_VIOLATION, "an ack for what was never sent")
            self.outgoing.credit = max(self.outgoing.credit, frame.credit)
            self.incoming.take(frame)
        except Violation as violation:
            code, failure, reason = violation.args
            self.reset(code, reason, failure)
        self._settle()

    def reset(self, code: int, reason: str, failure: int = Failure.FAILURE_UNSPECIFIED) -> None:
        """Ends the stream: `take` gives the frame that says so, if there is a leg."""
        if not self.over:
            self._reset = Reset(code=code, reason=reason, failure=failure)
            self._fail(code, failure, reason)

    def take(self) -> Frame | None:
        """The next frame for the leg, if there is something to say."""
        if self._reset and self.was_opened:
            frame = Frame(reset=self._reset, ack=self.incoming.sequence)
            self._reset = None
            return frame
        if not self._ready or self.state == State.FAILED:
            return None
        taken = self.outgoing.take(self._max_frame_bytes)
        if not taken and not self._says_again and not self.incoming.must_say:
            return None
        frame = Frame()
        if taken:
            frame.CopyFrom(taken)
        elif self._says_again and self.outgoing.done:
            frame.sequence, frame.fin = self.outgoing.fin, True  # for a relay that has not seen it
        self.incoming.say(frame, self._says_again)
        self._says_again = False
        self._settle()
        return frame

    @property
    def ack_waits(self) -> bool:
        """Whether an ack is owed and waits for a frame to go along with."""
        return self._ready and self.incoming.owes_ack

    @property
    def said_all(self) -> bool:
        """Whether the request of the present leg can end."""
        if self.state == State.CLOSED:
            return self._ready and not self._says_again
        return self.state == State.FAILED and not self._reset

    def complete_leg(self) -> None:
        """The relay has ended the call without an error, which is no good end before both fins."""
        if not self.over:
            self.lose_leg("the relay has ended the call too early")

    def lose_leg(self, reason: str = "the connection to the relay is lost") -> None:
        """The leg ended without a last word."""
        self.was_opened = self._ready = False
        # A client that was never answered has no stream yet.
        if self.resumable and self._open.stream_id:
            self._set(State.SUSPENDED)
        else:
            self._fail(UNAVAILABLE, Failure.FAILURE_LEG_LOST, reason)

    def refuse_leg(self, code: int, reason: str, detail: FailureDetail | None) -> None:
        """The call of the newest leg ended with an error."""
        again = [Failure.FAILURE_DRAINING]
        if not self.was_opened:
            again.append(Failure.FAILURE_LIMIT_REACHED)
        breaks = code not in STATED_CODES if detail is None else detail.failure in again
        if breaks and (self.resumable or detail is None):
            return self.lose_leg(reason)
        self.was_opened = self._ready = False
        if detail:
            self.outgoing.acknowledge(detail.received_sequence)
        if self.outgoing.done and self.incoming.finished:
            self._set(State.CLOSED)  # Only the last ack was missing.
        self._fail(code, detail.failure if detail else Failure.FAILURE_UNSPECIFIED, reason)

    def give_up(self) -> None:
        """The grace period is over."""
        self._fail(UNAVAILABLE, Failure.FAILURE_LEG_LOST, "the relay cannot be reached")

    def _fail(self, code: int, failure: int, reason: str, final: bool = False) -> None:
        if not self.over:
            all_acked = self.outgoing.acked == self.outgoing.sequence
            self.error = StreamError(code, failure, reason, self.outgoing.delivered, final or all_acked)
            self.state = State.FAILED

    def _settle(self) -> None:
        if self.outgoing.done and self.incoming.finished and not self.incoming.owes_ack:
            self._set(State.CLOSED)

    def _set(self, state: State) -> None:
        if not self.over:
            self.state = state
