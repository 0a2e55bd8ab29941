"""Like client.py, but the stream outlives its connections."""

import argparse
import sys
from threading import Thread

import failure
from client import messages_to_send, show
from endpoint import Endpoint, StreamError
from resuming_stream import ResumingStream
from streamserver.v1.relay_pb2 import Open

CANCELLED = 1


def send(stream: ResumingStream, binary: bool) -> None:
    for message in messages_to_send(binary):
        stream.write(message.data, message.text)
    stream.finish()


if __name__ == "__main__":
    parser = argparse.ArgumentParser(description=__doc__)
    parser.add_argument("relay", help="host:port")
    parser.add_argument("name")
    parser.add_argument("password", nargs="?")
    parser.add_argument("--binary", action="store_true", help="standard input is bytes, not lines")
    args = parser.parse_args()
    password = {} if args.password is None else {"password": args.password}
    stream = ResumingStream(args.relay, "Connect", Endpoint(Open(name=args.name, metadata=password)))
    Thread(target=send, args=(stream, args.binary), daemon=True).start()
    try:
        for data, text in stream:
            show(data, text, args.binary)
        stream.close()
    except StreamError as error:
        print(*failure.of_stream(error), file=sys.stderr)
        sys.exit(1)
    except KeyboardInterrupt:
        stream.reset(CANCELLED, "interrupted")
        sys.exit(130)
