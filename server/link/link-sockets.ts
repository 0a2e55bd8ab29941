import { type IncomingMessage, STATUS_CODES } from "node:http";
import type { Duplex } from "node:stream";
import { create, toBinary } from "@bufbuild/protobuf";
import { type WebSocket, WebSocketServer } from "ws";
import { Failure } from "../../gen/streamserver/v1/failure_pb.js";
import { LinkMessageSchema } from "../../gen/streamserver/v1/link_pb.js";
import type { Caller } from "../../gen/streamserver/v1/relay_pb.js";
import type { Parts } from "../../leg/parts.js";
import { atIntervals } from "../../link/at-intervals.js";
import { closeError, closeFrame, invalidPayload, messageTooBig, unsupportedData } from "../../link/close-code.js";
import type { Link } from "../../link/link.js";
import { decodeLinkMessage, encodePackets, lastPacket, linkProtocol } from "../../link/link-message.js";
import { PartsJoiner } from "../../link/parts-joiner.js";
import type { Clock } from "../../stream/clock.js";
import { StreamError } from "../../stream/stream-error.js";
import { afterTurn } from "../../stream/turn.js";
import { closeTimeoutMs } from "../http/open-responses.js";
import type { RelayLimits } from "../relay/limits.js";
import { quoted, type Warnings } from "../relay/warnings.js";
import { callerFrom } from "../rpc/caller.js";
import type { Links, LiveLink } from "./links.js";

/** Bytes of packets in one message. A larger message only delays the packets after it. */
export const maxBatchBytes = 212_992;
/** Twice a batch, so that the heads of its packets fit in too. */
export const maxSocketMessageBytes = 2 * maxBatchBytes;
/**
 * Fragments in one message. Each is kept until the message is whole, and takes some hundred bytes beside its own; 1,024
 * still allow 416-byte fragments in the largest message.
 */
export const maxFragments = 1_024;
/**
 * Chunks in which the network may bring one frame, which `ws` keeps until the frame is whole; 4,096 still allow chunks
 * of 104 bytes in the largest message.
 */
export const maxBufferedChunks = 4_096;
/** A socket that holds more unsent bytes than this is given nothing more until it has sent them. */
const socketHighWaterMarkBytes = 262_144;
/** A message of at most this size gets a buffer of its own, which costs less than keeping one for the next. */
const minReuseBytes = 16_384;

/** The parts of the relay that `LinkSockets` uses. */
export interface LinkSocketsInit {
  clock: Clock;
  limits: RelayLimits;
  warnings: Warnings;
}

/** The links that browsers keep to the relay over WebSockets. */
export class LinkSockets {
  readonly #links: Links;
  readonly #clock: Clock;
  readonly #heartbeatIntervalMs: number;
  readonly #warnings: Warnings;
  readonly #joiner = new PartsJoiner();
  readonly #server = new WebSocketServer({
    noServer: true,
    clientTracking: false,
    // Streams are often compressed already, and a compressor takes memory for each socket.
    perMessageDeflate: false,
    maxPayload: maxSocketMessageBytes,
    maxFragments,
    maxBufferedChunks,
    handleProtocols: () => linkProtocol,
  });

  constructor(links: Links, { clock, limits, warnings }: LinkSocketsInit) {
    this.#links = links;
    this.#clock = clock;
    this.#heartbeatIntervalMs = limits.heartbeatIntervalMs;
    this.#warnings = warnings;
    // The default answer to a handshake that is none, without the stack trace of its making.
    this.#server.on("wsClientError", (error, socket) => this.#refuse(socket, error.message));
  }

  /** Makes a connection whose request asked for it a WebSocket and a link, if it speaks the protocol. */
  upgrade(request: IncomingMessage, connection: Duplex, head: Buffer): void {
    const protocols = (request.headers["sec-websocket-protocol"] ?? "").split(",").map((name) => name.trim());
    if (!protocols.includes(linkProtocol)) {
      const asked = quoted(request.headers["sec-websocket-protocol"]);
      return this.#refuse(connection, `the protocol is ${linkProtocol}, and the request asks for ${asked}`);
    }
    this.#server.handleUpgrade(request, connection, head, (socket) => {
      this.#serve(socket, connection, callerFrom(request.headers.origin));
    });
  }

  #refuse(connection: Duplex, reason: string): void {
    this.#warnings.warn({ kind: "handshake-refused" }, `a WebSocket was refused with 400: ${reason}`);
    refuseUpgrade(connection, 400);
  }

  #serve(socket: WebSocket, connection: Duplex, caller: Caller): void {
    socket.on("error", () => {});
    let live: LiveLink;
    try {
      live = this.#links.open(caller, maxBatchBytes);
    } catch (reason) {
      return this.#end(socket, StreamError.from(reason));
    }
    const { link, watch, maxPackets, opened } = live;
    // The browser itself answers a ping, even while the scripts of its tab stand still. RFC 6455, section 5.5.2.
    const stopPinging = atIntervals(this.#clock, this.#heartbeatIntervalMs, () => {
      if (socket.readyState === socket.OPEN) socket.ping();
    });
    socket.on("close", (closeCode, reason) => {
      const { code, message } = closeError(closeCode, reason.toString());
      link.close(new StreamError(message, { code, failure: Failure.LEG_LOST }));
    });
    // A frame that breaks the rules: the peer is told the code, and "close" follows when it has answered, if it does.
    socket.on("error", ({ message }) => link.close(new StreamError(message, { failure: Failure.PROTOCOL_VIOLATION })));
    // Bytes count as a sign of life, not only whole messages: on a slow network a large message takes long.
    connection.on("data", () => watch.heard());
    socket.on("message", (data: Buffer, isBinary) => {
      if (!isBinary) return violation(socket, live, unsupportedData, "a message that is text");
      try {
        for (const packet of decodeLinkMessage(data, maxPackets).packets) link.receive(packet);
      } catch (reason) {
        const { failure, message } = StreamError.from(reason);
        violation(socket, live, failure === Failure.FRAME_TOO_LARGE ? messageTooBig : invalidPayload, message);
      }
    });
    void link.closed.then((error) => {
      stopPinging();
      this.#end(socket, error);
    });
    socket.send(toBinary(LinkMessageSchema, create(LinkMessageSchema, { opened })));
    new SocketSender(socket, link, this.#joiner);
  }

  /** Tells the peer why, as far as it still reads. */
  #end(socket: WebSocket, error: StreamError): void {
    if (socket.readyState === socket.CLOSED) return;
    const stopWaiting = this.#clock.after(closeTimeoutMs, () => socket.terminate());
    socket.once("close", stopWaiting);
    if (socket.readyState !== socket.OPEN) return;
    socket.send(encodePackets([lastPacket(error)]).joined);
    const { code, reason } = closeFrame(error);
    socket.close(code, reason);
  }
}

/** Answers a request for a WebSocket with a status, and ends its connection. */
export function refuseUpgrade(connection: Duplex, status: number): void {
  connection.on("error", () => {});
  // A client that keeps its half open must not keep the connection.
  connection.once("finish", () => connection.destroy());
  connection.end(`HTTP/1.1 ${status} ${STATUS_CODES[status]}\r\nConnection: close\r\nContent-Length: 0\r\n\r\n`);
}

/** Sends the packets of a link by its WebSocket: those of one turn of the event loop together. */
class SocketSender {
  readonly #socket: WebSocket;
  readonly #link: Link;
  readonly #joiner: PartsJoiner;
  #state: "idle" | "scheduled" | "waiting for the network" = "idle";

  constructor(socket: WebSocket, link: Link, joiner: PartsJoiner) {
    this.#socket = socket;
    this.#link = link;
    this.#joiner = joiner;
    link.onFilled = () => this.#schedule();
  }

  #schedule(): void {
    if (this.#state !== "idle") return;
    this.#state = "scheduled";
    afterTurn(() => {
      this.#state = "idle";
      try {
        this.#sendAll();
      } catch (reason) {
        this.#link.close(StreamError.from(reason));
      }
    });
  }

  #sendAll(): void {
    // A socket that is closing drops messages at once, so that an endless source would be drained without a pause.
    while (this.#socket.readyState === this.#socket.OPEN) {
      const packets = this.#link.takeBatch(maxBatchBytes);
      if (packets.length === 0) return;
      // A batch goes out in one piece, because a fragment costs a browser as much as a message, and more than a copy.
      this.#send(encodePackets(packets));
      if (this.#state !== "idle") return;
    }
  }

  #send(parts: Parts): void {
    const socket = this.#socket;
    if (parts.byteLength > minReuseBytes && socket.bufferedAmount === 0) {
      socket.send(this.#joiner.join(parts));
      // The socket still reads from the buffer what the kernel did not take at once.
      if (socket.bufferedAmount > 0) this.#joiner.release();
      return;
    }
    if (socket.bufferedAmount <= socketHighWaterMarkBytes) return socket.send(parts.joined);
    this.#state = "waiting for the network";
    socket.send(parts.joined, () => {
      this.#state = "idle";
      this.#schedule();
    });
  }
}

function violation(socket: WebSocket, { link }: LiveLink, closeCode: number, message: string): void {
  socket.close(closeCode, message);
  link.close(new StreamError(message, { failure: Failure.PROTOCOL_VIOLATION }));
}
