"""What one endpoint sends: messages in, numbered frames out, within credit, and again after a break."""

from collections import deque

from streamserver.v1.frame_pb2 import Frame, Message

MESSAGE_COST = 16  # of each message, or part of one, beside its data
INITIAL_CREDIT = 65536  # what each direction may cost before the first grant
# The smallest window there is has 65,536 bytes, and half of it is always granted: so large a part never waits for ever.
PART_BYTES = 16384


def cost(message: Message) -> int:
    return len(message.data) + MESSAGE_COST


class Outgoing:
    def __init__(self) -> None:
        self.credit = INITIAL_CREDIT
        self.queued_bytes = 0  # the data that was written and not yet put into a frame
        self.delivered = 0  # the messages that are known to have reached the peer
        self.fin = 0  # the number of the frame with the fin, once there is one
        self.sequence = 0  # the number of the newest frame
        self.acked = 0
        self._handed = 0  # the highest number that the present leg has carried
        self._sent_cost = 0
        self._queue: deque[Message] = deque()
        self._kept: deque[Frame] = deque()  # from the number after `acked` on
        self._finishing = False

    def write(self, data: bytes, text: bool) -> None:
        self.queued_bytes += len(data)
        while len(data) > PART_BYTES:
            self._queue.append(Message(data=data[:PART_BYTES], text=text, more=True))
            data = data[PART_BYTES:]
        self._queue.append(Message(data=data, text=text))

    def finish(self) -> None:
        self._finishing = True

    def take(self, max_frame_bytes: int) -> Frame | None:
        """The next frame for the leg: one that it has not carried yet, or a new one."""
        if self._handed < self.sequence:
            self._handed += 1
            return self._kept[self._handed - self.acked - 1]
        messages, room = [], min(max_frame_bytes, self.credit - self._sent_cost)
        while self._queue and cost(self._queue[0]) <= room:
            message = self._queue.popleft()
            messages.append(message)
            room -= cost(message)
            self._sent_cost += cost(message)
            self.queued_bytes -= len(message.data)
        fin = self._finishing and not self._queue and self.fin == 0
        if not messages and not fin:
            return None
        self.sequence += 1
        self._handed = self.sequence
        if fin:
            self.fin = self.sequence
        frame = Frame(sequence=self.sequence, messages=messages, fin=fin)
        self._kept.append(frame)
        return frame

    def acknowledge(self, sequence: int) -> bool:
        """Drops the kept frames up to a number. False if it was never sent."""
        if sequence > self.sequence:
            return False
        while self.acked < sequence:
            frame = self._kept.popleft()
            self.acked = frame.sequence
            self.delivered += sum(not message.more for message in frame.messages)
        self._handed = max(self._handed, self.acked)
        return True

    def rewind(self) -> None:
        """Another leg carries all that was not acknowledged."""
        self._handed = self.acked

    @property
    def done(self) -> bool:
        return self.fin > 0 and self.acked == self.fin
