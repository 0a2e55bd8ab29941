import { type IncomingMessage, STATUS_CODES } from "node:http";
import type { Duplex } from "node:stream";
import { create, toBinary } from "@bufbuild/protobuf";
import { type WebSocket, WebSocketServer } from "ws";
import { Failure } from "../../gen/streamserver/v1/failure_pb.js";
import { LinkMessageSchema } from "../../gen/streamserver/v1/link_pb.js";
import type { Parts } from "../../leg/parts.js";
import { atIntervals } from "../../link/at-intervals.js";
import type { Link } from "../../link/link.js";
import { type LinkPipe, LinkSender } from "../../link/link-sender.js";
import {
  closeError,
  closeFrame,
  goingAway,
  invalidPayload,
  messageTooBig,
  serviceRestart,
  unsupportedData,
} from "../../link/packet/close-code.js";
import { decodeLinkMessage, encodePackets, lastPacket, linkProtocol } from "../../link/packet/link-message.js";
import { PartsJoiner } from "../../link/packet/parts-joiner.js";
import { StreamError } from "../../stream/error/stream-error.js";
import type { Clock } from "../../stream/platform/clock.js";
import type { Admission } from "../admission/admission.js";
import type { Caller } from "../admission/caller.js";
import type { Holder } from "../admission/held-bytes.js";
import type { RelayLimits } from "../admission/limits.js";
import { TokenBucket } from "../admission/rates/token-bucket.js";
import type { Warnings } from "../admission/warnings.js";
import { closeTimeoutMs } from "../http/open-responses.js";
import { bearerToken } from "../rpc/bearer-token.js";
import { FloodError } from "./flood-error.js";
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
/**
 * Pings, pongs and empty messages that a client may send at once, and in each second. A client pings a few times a
 * minute, and answers one ping in each heartbeat of the relay.
 */
const idleFrames = { burst: 1_000, perSecond: 100 };
/** A socket that holds more unsent bytes than this is given nothing more until it has sent them. */
const socketHighWaterMarkBytes = 262_144;
/** A message of at most this size gets a buffer of its own, which costs less than keeping one for the next. */
const minReuseBytes = 16_384;

/** The parts of the relay that `LinkSockets` uses. */
export interface LinkSocketsInit {
  clock: Clock;
  limits: RelayLimits;
  warnings: Warnings;
  admission: Admission;
}

/** The links that browsers keep to the relay over WebSockets. */
export class LinkSockets {
  readonly #links: Links;
  readonly #clock: Clock;
  readonly #heartbeatIntervalMs: number;
  readonly #warnings: Warnings;
  readonly #admission: Admission;
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

  constructor(links: Links, { clock, limits, warnings, admission }: LinkSocketsInit) {
    this.#links = links;
    this.#clock = clock;
    this.#heartbeatIntervalMs = limits.heartbeatIntervalMs;
    this.#warnings = warnings;
    this.#admission = admission;
    // `ws` makes an error with a stack trace for a request that is no handshake, unless it is answered here.
    this.#server.on("wsClientError", (error, socket) => this.#refuse(socket, error.message));
  }

  /** Makes a connection whose request asked for it a WebSocket and a link, if it speaks the protocol. */
  upgrade(request: IncomingMessage, connection: Duplex, head: Buffer, caller: Caller): void {
    const protocols = (request.headers["sec-websocket-protocol"] ?? "").split(",").map((name) => name.trim());
    if (!protocols.includes(linkProtocol)) {
      // Other systems put access tokens among the names of protocols, so none of them may reach the log.
      const asked = request.headers["sec-websocket-protocol"] === undefined ? "none" : "another one";
      return this.#refuse(connection, `the protocol is ${linkProtocol}, and the request asks for ${asked}`);
    }
    this.#server.handleUpgrade(request, connection, head, (socket) => {
      this.#serve(socket, connection, caller, bearerToken(request.headers.authorization));
    });
  }

  #refuse(connection: Duplex, reason: string): void {
    this.#warnings.warn({ kind: "handshake-refused" }, `a WebSocket was refused with 400: ${reason}`);
    refuseUpgrade(connection, 400);
  }

  #serve(socket: WebSocket, connection: Duplex, caller: Caller, token: string): void {
    socket.on("error", () => {});
    let live: LiveLink;
    try {
      live = this.#links.open(caller, token, maxBatchBytes);
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
      const error = new StreamError(message, { code, failure: Failure.LEG_LOST });
      if (closeCode === goingAway) this.#links.endAtGoodbye(link, error);
      else link.close(error);
    });
    // A frame that breaks the rules: the peer is told the code, and "close" follows when it has answered, if it does.
    socket.on("error", ({ message }) => link.close(new StreamError(message, { failure: Failure.PROTOCOL_VIOLATION })));
    // Bytes count as a sign of life, not only whole messages: on a slow network a large message takes long.
    connection.on("data", () => watch.heard());
    const { heldBytes } = this.#admission;
    const idle = new TokenBucket(this.#clock, idleFrames);
    const onIdle = () => {
      if (idle.take() || !link.isOpen) return;
      link.close(this.#links.floodError("more pings, pongs and empty messages than it has any use for"));
    };
    socket.on("ping", onIdle).on("pong", onIdle);
    socket.on("message", (data: Buffer, isBinary) => {
      // A peer whose link has ended may send on until it hears of it.
      if (!link.isOpen) return;
      if (data.byteLength === 0) onIdle();
      heldBytes.received(data.byteLength);
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
      // The client goes on sending as long as it is heard. It has been told why, if it reads.
      if (error instanceof FloodError) setImmediate(() => socket.terminate());
    });
    socket.send(toBinary(LinkMessageSchema, create(LinkMessageSchema, { opened })));
    const pipe = new SocketPipe(socket, connection, this.#joiner);
    new LinkSender(link, pipe, maxBatchBytes, (reason) => link.close(StreamError.from(reason)));
    socket.once("close", heldBytes.add(new SocketHolder(caller, link, socket, pipe)));
  }

  /** Tells the peer why, as far as it still reads. */
  #end(socket: WebSocket, error: StreamError): void {
    if (socket.readyState === socket.CLOSED) return;
    const stopWaiting = this.#clock.after(closeTimeoutMs, () => socket.terminate());
    socket.once("close", stopWaiting);
    if (socket.readyState !== socket.OPEN) return;
    socket.send(encodePackets([lastPacket(error)]).joined);
    const { code, reason } = closeFrame(error);
    // A page may not send this close code, so `closeFrame` does not know it.
    socket.close(error.failure === Failure.DRAINING ? serviceRestart : code, reason);
  }
}

/** Answers a request for a WebSocket with a status, and ends its connection. */
export function refuseUpgrade(connection: Duplex, status: number): void {
  connection.on("error", () => {});
  // A client that keeps its half open must not keep the connection.
  connection.once("finish", () => connection.destroy());
  connection.end(`HTTP/1.1 ${status} ${STATUS_CODES[status]}\r\nConnection: close\r\nContent-Length: 0\r\n\r\n`);
}

/** A link's WebSocket as its pipe, which waits for the network when much is unsent. */
class SocketPipe implements LinkPipe {
  readonly #socket: WebSocket;
  readonly #connection: Duplex;
  readonly #joiner: PartsJoiner;
  /** The bytes that the socket was given so far. */
  sentBytes = 0;
  /** Whether the network has taken what was sent last, and what to call when it has. */
  #network: { kind: "ready" } | { kind: "waited for"; goOn: () => void } = { kind: "ready" };

  constructor(socket: WebSocket, connection: Duplex, joiner: PartsJoiner) {
    this.#socket = socket;
    this.#connection = connection;
    this.#joiner = joiner;
  }

  hasRoom(goOn: () => void): boolean {
    // A socket that is closing drops messages at once, so that an endless source would be drained without a pause.
    if (this.#socket.readyState !== this.#socket.OPEN) return false;
    if (this.#network.kind === "waited for") this.#network.goOn = goOn;
    return this.#network.kind === "ready";
  }

  /** Sends a batch in one piece, because a fragment costs a browser as much as a message, and more than a copy. */
  send(message: Parts): void {
    const socket = this.#socket;
    this.sentBytes += message.byteLength;
    if (message.byteLength > minReuseBytes && socket.bufferedAmount === 0) {
      socket.send(this.#joiner.join(message));
      // The socket still reads from the buffer what the kernel did not take at once.
      if (socket.bufferedAmount > 0) this.#joiner.release();
      return;
    }
    if (this.#connection.writableCorked === 0) {
      // Small messages of one turn go out together, because each write wakes the client.
      this.#connection.cork();
      process.nextTick(uncork, this.#connection);
    }
    if (socket.bufferedAmount <= socketHighWaterMarkBytes) return socket.send(message.joined);
    const waiting = { kind: "waited for" as const, goOn: () => {} };
    this.#network = waiting;
    socket.send(message.joined, () => {
      this.#network = { kind: "ready" };
      waiting.goOn();
    });
  }
}

/**
 * The bytes that wait for the client of a link: packets, and what its socket was given and the network has not taken.
 */
class SocketHolder implements Holder {
  readonly caller: Caller;
  readonly #link: Link;
  readonly #socket: WebSocket;
  readonly #pipe: SocketPipe;

  constructor(caller: Caller, link: Link, socket: WebSocket, pipe: SocketPipe) {
    this.caller = caller;
    this.#link = link;
    this.#socket = socket;
    this.#pipe = pipe;
  }

  get heldBytes(): number {
    return this.#link.unsentBytes + this.#socket.bufferedAmount;
  }

  get passedBytes(): number {
    return this.#pipe.sentBytes;
  }

  /** The client is not waited for, as it does not read. It takes up its streams on another link. */
  endHeld(error: StreamError): void {
    this.#link.close(error);
    setImmediate(() => this.#socket.terminate());
  }
}

function uncork(connection: Duplex): void {
  connection.uncork();
}

function violation(socket: WebSocket, { link }: LiveLink, closeCode: number, message: string): void {
  socket.close(closeCode, message);
  link.close(new StreamError(message, { failure: Failure.PROTOCOL_VIOLATION }));
}
