"""What one endpoint receives: frames in, whole messages out, and the acks and grants that it owes for them."""

from collections import deque
from typing import NamedTuple

from outgoing import INITIAL_CREDIT, cost
from streamserver.v1.failure_pb2 import Failure
from streamserver.v1.frame_pb2 import Frame, Message

INVALID_ARGUMENT, RESOURCE_EXHAUSTED, OUT_OF_RANGE = 3, 8, 11
MAX_MESSAGE_BYTES = 16777216  # what Capabilities without a number promises
MAX_UNACKED_FRAMES = 16


class Violation(Exception):
    """The peer broke a rule: a status code, a failure and a reason."""


class Received(NamedTuple):
    data: bytes
    text: bool
    cost: int


class Incoming:
    def __init__(self, window_bytes: int) -> None:
        self.sequence = 0  # the highest number that has come without a gap
        self.finished = False
        self.drops_gaps = False
        self.messages: deque[Received] = deque()
        self._window = window_bytes
        self._part: Received | None = None  # the beginning of a message
        self._granted, self._cost, self._unread_cost = INITIAL_CREDIT, 0, 0
        self._told, self._told_cost = 0, 0  # what the newest ack was for
        self._asked = False

    def take(self, frame: Frame) -> None:
        has_data = bool(frame.messages) or frame.fin
        if has_data != (frame.sequence > 0):
            words = "a number without data, or data without one"
            raise Violation(INVALID_ARGUMENT, Failure.FAILURE_PROTOCOL_VIOLATION, words)
        if frame.sequence <= self.sequence:
            return  # It came before, or has no number.
        if frame.sequence > self.sequence + 1:
            if self.drops_gaps:
                return
            raise Violation(OUT_OF_RANGE, Failure.FAILURE_SEQUENCE_GAP, f"frame {frame.sequence} leaves a gap")
        if self.finished:
            raise Violation(INVALID_ARGUMENT, Failure.FAILURE_PROTOCOL_VIOLATION, "a frame after the fin")
        for message in frame.messages:
            self._take_part(message)
        if frame.fin and self._part:
            raise Violation(INVALID_ARGUMENT, Failure.FAILURE_PROTOCOL_VIOLATION, "a fin between two parts")
        self.sequence = frame.sequence
        self.drops_gaps = False
        self.finished = frame.fin

    def _take_part(self, part: Message) -> None:
        self._cost += cost(part)
        if self._cost > self._granted:
            raise Violation(RESOURCE_EXHAUSTED, Failure.FAILURE_CREDIT_EXCEEDED, "more than was granted")
        begun = self._part or Received(b"", part.text, 0)
        whole = Received(begun.data + part.data, begun.text, begun.cost + cost(part))
        if len(whole.data) > MAX_MESSAGE_BYTES:
            raise Violation(RESOURCE_EXHAUSTED, Failure.FAILURE_MESSAGE_TOO_LARGE, "the message is too large")
        self._part = whole if part.more else None
        if not part.more:
            self.messages.append(whole)
            self._unread_cost += whole.cost

    def read(self) -> Received:
        message = self.messages.popleft()
        self._unread_cost -= message.cost
        return message

    def ask_for_ack(self) -> None:
        """The ack has waited long enough for a frame to go along with."""
        self._asked = True

    @property
    def owes_ack(self) -> bool:
        return self.sequence > self._told

    @property
    def must_say(self) -> bool:
        """Whether the ack, or a grant, is worth a frame of its own."""
        waits = self.sequence - self._told >= MAX_UNACKED_FRAMES or self._cost - self._told_cost >= self._window / 2
        return self._grows_by >= self._window / 4 or (self.owes_ack and (self._asked or self.finished or waits))

    @property
    def _grows_by(self) -> int:
        return self._cost + self._window - self._unread_cost - self._granted

    def say(self, frame: Frame, again: bool) -> None:
        """Puts the ack and the grant that are due into a frame, or both `again`, because they may have been lost."""
        if self.owes_ack or again:
            frame.ack = self.sequence
            self._told, self._told_cost, self._asked = self.sequence, self._cost, False
        if self._grows_by >= self._window / 4 or again:
            self._granted += max(self._grows_by, 0)
            frame.credit = self._granted
