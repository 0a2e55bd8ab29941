"""Like listener.py, but its streams and its name outlive their connections."""

import argparse
import hashlib
import signal
import sys
import time
from threading import Thread

import grpc

import failure
from endpoint import CAPABILITIES, STATED_CODES, Endpoint, StreamError, grace_ms_of
from listener import decline
from relay import RelayLost, events_of, open_channel
from resuming_stream import ResumingStream, backoff_s
from streamserver.v1.failure_pb2 import Failure
from streamserver.v1.relay_pb2 import ListenRequest, Offer, Open, UnlistenRequest
from streamserver.v1.relay_pb2_grpc import RelayServiceStub


def echo(address: str, offer: Offer, grace_ms: int) -> None:
    first_open = Open(stream_id=offer.stream_id, leg_token=offer.leg_token)
    stream = ResumingStream(address, "Accept", Endpoint(first_open, offer.capabilities, grace_ms))
    stream.write(b"hello from python", text=True)
    count, size, digest = 0, 0, hashlib.sha256()
    for data, text in stream:
        count += 1
        size += len(data)
        digest.update(data)
        stream.write(data, text)
    stream.write(f"{count} messages, {size} bytes, sha256 {digest.hexdigest()}".encode(), text=True)
    stream.finish()
    stream.close()
    print("ended")


class Listener:
    def __init__(self, address: str, name: str, password: str | None) -> None:
        self._address, self._password = address, password
        self._request = ListenRequest(name=name, capabilities=CAPABILITIES)
        self._streams: set[str] = set()
        self._grace_ms = 0

    def listen(self) -> None:
        """Claims the name, and takes the lease up again when the call breaks."""
        tries = 0
        while True:
            how = self._run_call()
            if how == "unlistened":
                return
            tries = 0 if how == "registered" else tries + 1
            if how != "drained":
                time.sleep(backoff_s(tries))

    def unlisten(self) -> None:
        if self._request.lease_id:
            lease = UnlistenRequest(lease_id=self._request.lease_id, lease_token=self._request.lease_token)
            with open_channel(self._address) as channel:
                RelayServiceStub(channel).Unlisten(lease, timeout=5)

    def _run_call(self) -> str:
        how = "not registered"
        if self._request.lease_id:
            self._request.generation += 1
        with open_channel(self._address) as channel:
            try:
                for event in events_of(RelayServiceStub(channel).Listen(self._request)):
                    kind = event.WhichOneof("event")
                    if kind == "registered":
                        how = "registered"
                        self._register(event.registered)
                    elif kind == "offer" and event.offer.stream_id not in self._streams:
                        self._streams.add(event.offer.stream_id)
                        Thread(target=self._take, args=(event.offer,), daemon=True).start()
                    elif kind == "draining":
                        return "drained"
                return "unlistened"
            except RelayLost:
                return how
            except grpc.RpcError as error:
                self._judge(error)
                return how

    def _register(self, registered) -> None:
        if not self._request.lease_id:
            print("listening")
        # Offers are taken at once, so there are none to forget that wait no more.
        self._request.lease_id, self._request.lease_token = registered.lease_id, registered.lease_token
        self._grace_ms = grace_ms_of(registered.limits)

    def _judge(self, error: grpc.RpcError) -> None:
        """Raises the error unless it makes sense to listen again."""
        detail = failure.detail_of(error)
        if detail is None and error.code().value[0] not in STATED_CODES and self._request.lease_id:
            return
        again = (Failure.FAILURE_DRAINING, Failure.FAILURE_LIMIT_REACHED)
        if self._request.lease_id and detail and detail.failure in again:
            return
        gone = (Failure.FAILURE_LEASE_GONE, Failure.FAILURE_TOKEN_INVALID)
        if not detail or detail.failure not in gone:
            raise error
        self._request.lease_id = self._request.lease_token = ""
        self._request.generation = 0

    def _take(self, offer: Offer) -> None:
        try:
            if self._password is not None and offer.metadata.get("password") != self._password:
                with open_channel(self._address) as channel:
                    decline(RelayServiceStub(channel), offer)
            else:
                echo(self._address, offer, self._grace_ms)
        except StreamError as error:
            print("ended", *failure.of_stream(error)[:2])
        except grpc.RpcError as error:
            print("ended", *failure.of_call(error)[:2])
        finally:
            self._streams.discard(offer.stream_id)


if __name__ == "__main__":
    parser = argparse.ArgumentParser(description=__doc__)
    parser.add_argument("relay", help="host:port")
    parser.add_argument("name")
    parser.add_argument("password", nargs="?")
    args = parser.parse_args()
    sys.stdout.reconfigure(line_buffering=True)
    signal.signal(signal.SIGTERM, signal.default_int_handler)
    listener = Listener(args.relay, args.name, args.password)
    try:
        listener.listen()
    except grpc.RpcError as error:
        print(*failure.of_call(error), file=sys.stderr)
        sys.exit(1)
    except KeyboardInterrupt:
        listener.unlisten()
        sys.exit(130)
