"""Listens on a name and sends every message of every client back to it."""

import argparse
import hashlib
import signal
import sys
from contextlib import suppress
from queue import Full, Queue
from threading import Thread

import grpc

import failure
from relay import RelayLost, events_of, open_channel
from streamserver.v1.frame_pb2 import Frame, Message
from streamserver.v1.relay_pb2 import AcceptRequest, ListenRequest, Offer, Open, RejectRequest
from streamserver.v1.relay_pb2_grpc import RelayServiceStub


def decline(relay: RelayServiceStub, offer: Offer) -> None:
    code, _ = grpc.StatusCode.PERMISSION_DENIED.value
    token = offer.leg_token
    relay.Reject(RejectRequest(stream_id=offer.stream_id, leg_token=token, code=code, reason="wrong password"))
    print("declined")


def echo(relay: RelayServiceStub, offer: Offer) -> None:
    # gRPC takes from the queue when it has sent what it took before. There is room for one request only, so that a
    # client that does not read its echo is not read either.
    requests = Queue(maxsize=1)
    call = relay.Accept(iter(requests.get, None))
    sequence = 0

    def put(request: AcceptRequest | None) -> None:
        while True:
            with suppress(Full):
                return requests.put(request, timeout=0.5)
            if not call.is_active():
                return

    def send(**content) -> None:
        nonlocal sequence
        sequence += 1
        put(AcceptRequest(frame=Frame(sequence=sequence, **content)))

    put(AcceptRequest(open=Open(stream_id=offer.stream_id, leg_token=offer.leg_token)))
    send(messages=[Message(data=b"hello from python", text=True)])
    count, size, digest = 0, 0, hashlib.sha256()
    try:
        for response in call:
            frame = response.frame
            if frame.HasField("reset"):
                return print("ended", *failure.of_reset(frame.reset)[:2])
            for message in frame.messages:
                count += not message.more
                size += len(message.data)
                digest.update(message.data)
            if frame.messages:
                send(messages=frame.messages)
            if frame.fin:
                summary = f"{count} messages, {size} bytes, sha256 {digest.hexdigest()}"
                send(messages=[Message(data=summary.encode(), text=True)], fin=True)
                put(None)
    finally:
        put(None)
    print("ended")


def take(relay: RelayServiceStub, offer: Offer, password: str | None) -> None:
    wrong = password is not None and offer.metadata.get("password") != password
    try:
        (decline if wrong else echo)(relay, offer)
    except grpc.RpcError as error:
        print("ended", *failure.of_call(error)[:2])


def listen(relay: RelayServiceStub, name: str, password: str | None) -> None:
    for event in events_of(relay.Listen(ListenRequest(name=name))):
        if event.HasField("registered"):
            print("listening")
        elif event.HasField("offer"):
            Thread(target=take, args=(relay, event.offer, password), daemon=True).start()


if __name__ == "__main__":
    parser = argparse.ArgumentParser(description=__doc__)
    parser.add_argument("relay", help="host:port")
    parser.add_argument("name")
    parser.add_argument("password", nargs="?")
    args = parser.parse_args()
    sys.stdout.reconfigure(line_buffering=True)
    signal.signal(signal.SIGTERM, signal.default_int_handler)
    try:
        with open_channel(args.relay) as channel:
            listen(RelayServiceStub(channel), args.name, args.password)
    except grpc.RpcError as error:
        print(*failure.of_call(error), file=sys.stderr)
        sys.exit(1)
    except RelayLost:
        print(*failure.of_silence(), file=sys.stderr)
        sys.exit(1)
    except KeyboardInterrupt:
        sys.exit(130)
