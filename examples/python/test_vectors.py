"""Plays docs/resume-vectors.json to the endpoint: `python test_vectors.py`."""

import json
import unittest
from pathlib import Path

from endpoint import Endpoint, State
from streamserver.v1 import relay_pb2
from streamserver.v1.failure_pb2 import Failure, FailureDetail
from streamserver.v1.frame_pb2 import Frame

VECTORS = json.loads((Path(__file__).parent / "../../docs/resume-vectors.json").read_text(encoding="utf-8"))
OUTCOMES = {"sends", "reads", "reads the end", "is suspended", "is resumed", "closes", "fails"}


def decode(described: dict):
    message = FailureDetail() if described["type"] == "FailureDetail" else getattr(relay_pb2, described["type"])()
    message.ParseFromString(bytes.fromhex(described["bytes"]))
    return message


class Player:
    """One endpoint, which is at one of the two sides of a vector."""

    def __init__(self, test: unittest.TestCase, side: str, window_bytes: int) -> None:
        self.test, self.window_bytes = test, window_bytes
        self.endpoint = Endpoint(relay_pb2.Open(name="demo"), window_bytes=window_bytes) if side == "client" else None
        self.leg = -1

    def play(self, step: dict) -> None:
        if step["does"] not in OUTCOMES and self.endpoint and self.endpoint.state == State.ATTACHED:
            self.test.assertIsNone(self.endpoint.take())  # What an endpoint sends stands behind what makes it send.
        getattr(self, step["does"].replace(" ", "_"))(step)

    def is_offered(self, step: dict) -> None:
        offer = decode(step["message"])
        first_open = relay_pb2.Open(stream_id=offer.stream_id, leg_token=offer.leg_token)
        self.endpoint = Endpoint(first_open, offer.capabilities, window_bytes=self.window_bytes)

    def writes(self, step: dict) -> None:
        self.endpoint.outgoing.write(step["text"].encode(), text=True)

    def finishes(self, step: dict) -> None:
        self.endpoint.outgoing.finish()

    def resets(self, step: dict) -> None:
        self.endpoint.reset(step["code"], step["reason"])

    def acknowledges(self, step: dict) -> None:
        self.endpoint.incoming.ask_for_ack()

    def breaks(self, step: dict) -> None:
        self.endpoint.lose_leg()

    def gets(self, step: dict) -> None:
        self.endpoint.receive(decode(step["message"]))

    def is_refused(self, step: dict) -> None:
        if step["leg"] == self.leg:
            self.endpoint.refuse_leg(step["code"], "", decode(step["detail"]))

    def completes(self, step: dict) -> None:
        self.endpoint.complete_leg()
        self.test.assertTrue(self.endpoint.over)

    def sends(self, step: dict) -> None:
        expected = decode(step["message"])
        if expected.HasField("open"):
            self.leg += 1
            self.test.assertEqual(self.endpoint.next_open(), expected.open)
        else:
            frame = self.endpoint.take() or Frame()
            self.test.assertGreaterEqual(frame.credit, expected.frame.credit)
            frame.credit = expected.frame.credit
            if frame.HasField("reset") and frame.reset.failure:
                frame.reset.reason = expected.frame.reset.reason
            self.test.assertEqual(frame, expected.frame)
        self.test.assertEqual(self.leg, step["leg"])

    def calls(self, step: dict) -> None:
        self.test.assertEqual(self.endpoint.reject_request(), decode(step["message"]))

    def reads(self, step: dict) -> None:
        data, text, _ = self.endpoint.incoming.read()
        self.test.assertEqual((data.decode(), text), (step["text"], True))

    def reads_the_end(self, step: dict) -> None:
        self.test.assertTrue(self.endpoint.incoming.finished)
        self.test.assertFalse(self.endpoint.incoming.messages)

    def is_suspended(self, step: dict) -> None:
        self.test.assertEqual(self.endpoint.state, State.SUSPENDED)

    def is_resumed(self, step: dict) -> None:
        self.test.assertEqual(self.endpoint.state, State.ATTACHED)

    def closes(self, step: dict) -> None:
        self.test.assertEqual(self.endpoint.state, State.CLOSED)

    def fails(self, step: dict) -> None:
        error = self.endpoint.error
        self.test.assertEqual((error.code, Failure.Name(error.failure)), (step["code"], step["failure"]))
        self.test.assertEqual((error.delivered, error.final), (step["delivered"], step["final"]))


class ResumeVectors(unittest.TestCase):
    def test_the_endpoint_does_what_each_vector_says(self) -> None:
        for vector in VECTORS:
            players = {side: Player(self, side, vector["window_bytes"][side]) for side in ("client", "listener")}
            for number, step in enumerate(vector["steps"]):
                with self.subTest(vector["title"], number=number, step=step):
                    players[step["at"]].play(step)


if __name__ == "__main__":
    unittest.main()
