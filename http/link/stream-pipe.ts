import type { LinkPipe } from "../../link/link-sender.js";
import type { Stream } from "../../stream/stream.js";

/** The messages of a stream that carries a link. Undefined is a message of text, of which a link has none. */
export type LinkStream = Stream<Uint8Array | undefined, Uint8Array>;

/** A stream as the pipe of a link: each message of the link is one of the stream, within the stream's own credit. */
export function streamPipe(stream: LinkStream): LinkPipe {
  return {
    hasRoom(goOn) {
      if (!stream.writableNeedDrain) return true;
      stream.once("drain", goOn);
      return false;
    },
    send: (message) => stream.write(message.joined),
  };
}
