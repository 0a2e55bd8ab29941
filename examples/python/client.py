"""Connects to a name, sends standard input there, and prints what comes back."""

import argparse
import sys
from collections.abc import Iterator
from queue import SimpleQueue

import grpc

import failure
from relay import open_channel
from streamserver.v1.frame_pb2 import Frame, Message
from streamserver.v1.relay_pb2 import ConnectRequest, Limits, Open
from streamserver.v1.relay_pb2_grpc import RelayServiceStub

MESSAGE_COST = 16  # of each message, beside its data


def messages_to_send(binary: bool) -> Iterator[Message]:
    yield Message(data=b"hello from python", text=True)
    # Not sys.stdin, which the interpreter wants to close at its exit, while this still waits for a line.
    with open(0, "rb", closefd=False) as stdin:
        if binary:
            while data := stdin.read1(32768):
                yield Message(data=data)
        else:
            for line in stdin:
                yield Message(data=line.removesuffix(b"\n"), text=True)


def parts(message: Message, max_bytes: int) -> Iterator[Message]:
    data = message.data
    while len(data) > max_bytes:
        yield Message(data=data[:max_bytes], text=message.text, more=True)
        data = data[max_bytes:]
    yield Message(data=data, text=message.text)


def requests(open_: Open, accepted: SimpleQueue[Limits | None], binary: bool) -> Iterator[ConnectRequest]:
    """gRPC takes these in a thread of its own, each when it has sent the one before."""
    yield ConnectRequest(open=open_)
    limits = accepted.get()
    if limits is None:
        return
    max_bytes = limits.max_frame_bytes - MESSAGE_COST
    sequence = 1
    for message in messages_to_send(binary):
        for part in parts(message, max_bytes):
            yield ConnectRequest(frame=Frame(sequence=sequence, messages=[part]))
            sequence += 1
    yield ConnectRequest(frame=Frame(sequence=sequence, fin=True))


def show(data: bytearray, text: bool, binary: bool) -> None:
    output = (sys.stderr if text and binary else sys.stdout).buffer
    output.write(data + b"\n" if text else data)
    output.flush()


def connect(relay: RelayServiceStub, open_: Open, binary: bool) -> tuple[str, str, str] | None:
    """Returns what went wrong, or None if both sides have sent fin."""
    accepted = SimpleQueue()
    call = relay.Connect(requests(open_, accepted, binary))
    limits, data, text = None, bytearray(), None
    try:
        for response in call:
            kind = response.WhichOneof("message")
            if kind == "opened":
                limits = response.opened.limits
            elif kind == "accepted":
                accepted.put(limits)
            elif kind == "frame":
                if response.frame.HasField("reset"):
                    return failure.of_reset(response.frame.reset)
                for message in response.frame.messages:
                    text = message.text if text is None else text
                    data += message.data
                    if not message.more:
                        show(data, text, binary)
                        data, text = bytearray(), None
    except grpc.RpcError as error:
        return failure.of_call(error)
    finally:
        accepted.put(None)  # ends the thread that waits for it
        call.cancel()  # does nothing to a call that has ended


if __name__ == "__main__":
    parser = argparse.ArgumentParser(description=__doc__)
    parser.add_argument("relay", help="host:port")
    parser.add_argument("name")
    parser.add_argument("password", nargs="?")
    parser.add_argument("--binary", action="store_true", help="standard input is bytes, not lines")
    args = parser.parse_args()
    password = {} if args.password is None else {"password": args.password}
    try:
        with open_channel(args.relay) as channel:
            problem = connect(RelayServiceStub(channel), Open(name=args.name, metadata=password), args.binary)
        if problem:
            print(*problem, file=sys.stderr)
            sys.exit(1)
    except KeyboardInterrupt:
        sys.exit(130)
