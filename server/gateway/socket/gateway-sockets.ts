import type { IncomingMessage } from "node:http";
import type { Socket } from "node:net";
import type { Duplex } from "node:stream";
import type { Transport } from "@connectrpc/connect";
import { WebSocketServer } from "ws";
import { canceledError, StreamError } from "../../../stream/error/stream-error.js";
import { openStream } from "../../../web/api/stream-client.js";
import type { Admitted } from "../../admission/policy/authorize.js";
import { requestCaller } from "../../http/request/request-caller.js";
import { schemeOf } from "../../http/request/request-urls.js";
import type { TrustedProxies } from "../../http/request/trusted-proxies.js";
import { upgradeResponse } from "../../http/upgrade-response.js";
import type { Relay } from "../../relay/relay.js";
import { CallReport } from "../call-report.js";
import { answerFailure } from "../failure-answer.js";
import { callerGoneError } from "../gateway-call.js";
import type { GatewayDoor } from "../gateway-door.js";
import type { GatewayTarget } from "../gateway-target.js";
import { requestOf } from "../passed-headers.js";
import { GatewaySocket, type SocketStream, socketCodec } from "./gateway-socket.js";
import { socketMetadata } from "./socket-head.js";

/**
 * The largest message, each way. A socket holds one that is not whole yet, so 1,000 sockets of one caller hold 1 GiB at
 * most.
 */
export const maxSocketMessageBytes = 1_048_576;
const socketOptions = {
  noServer: true,
  clientTracking: false,
  // Streams are often compressed already, and a compressor takes memory for each socket.
  perMessageDeflate: false,
  maxPayload: maxSocketMessageBytes,
  // Each fragment takes some hundred bytes beside its own; 1,024 still allow fragments of 1 KiB in the largest message.
  maxFragments: 1_024,
  // Chunks of one frame, of which `ws` keeps each: 8,192 still allow chunks of 128 bytes in the largest message.
  maxBufferedChunks: 8_192,
};

/** The status of the answer that makes a connection a WebSocket. */
const switchingProtocols = 101;

export interface GatewaySocketsInit {
  proxies: TrustedProxies;
  /** Reaches the relay within the process, for a caller that was let in. */
  transportOf: (admitted: Admitted) => Transport;
}

/** A stream that the listener has accepted, and the client of its WebSocket. */
interface AcceptedStream {
  stream: SocketStream;
  report: CallReport;
}

/** WebSockets for listeners: each becomes a stream of its own, whose messages are those of the WebSocket. */
export class GatewaySockets {
  readonly #relay: Relay;
  readonly #door: GatewayDoor;
  readonly #init: GatewaySocketsInit;
  readonly #open = new Set<GatewaySocket>();

  constructor(relay: Relay, door: GatewayDoor, init: GatewaySocketsInit) {
    this.#relay = relay;
    this.#door = door;
    this.#init = init;
  }

  /**
   * Opens a stream to the listener, and makes the connection a WebSocket when the listener has accepted; until then a
   * failure is the answer to the request. Never throws.
   */
  upgrade(target: GatewayTarget, request: IncomingMessage, connection: Duplex, head: Buffer): void {
    let accepted: AcceptedStream | undefined;
    // `ws` asks when it has found the handshake to be in order. It echoes the first subprotocol.
    const verifyClient = (_: unknown, accept: (isAccepted: boolean) => void) => {
      void this.#stream(target, request, connection).then((stream) => {
        accepted = stream;
        if (stream !== undefined) accept(true);
        if (accepted === undefined) return;
        // A client that went away meanwhile becomes no WebSocket.
        accepted.stream.destroy();
        accepted.report.leave();
        accepted.report.end(undefined);
      });
    };
    const server = new WebSocketServer({ ...socketOptions, verifyClient });
    server.handleUpgrade(request, connection, head, (socket) => {
      const { stream, report } = accepted as AcceptedStream;
      accepted = undefined;
      const { clock, limits, admission } = this.#relay;
      const onCutOff = (message: string) => admission.cutOff(message);
      const { heartbeatIntervalMs } = limits;
      // The connections of Node's servers are sockets, with TLS or without.
      const open = new GatewaySocket({
        socket,
        connection: connection as Socket,
        stream,
        caller: report.caller,
        clock,
        heartbeatIntervalMs,
        onCutOff,
      });
      stream.closed.catch((error) => report.fail(error)).then(() => report.end(switchingProtocols, open.bytes));
      this.#open.add(open);
      const stopHolding = admission.heldBytes.add(open);
      socket.on("close", () => {
        this.#open.delete(open);
        stopHolding();
      });
    });
  }

  /** Closes all WebSockets as a server does that goes away: their clients connect anew, to another relay. */
  close(): void {
    for (const socket of this.#open) socket.close();
  }

  /** Resolves with a stream that the listener has accepted, or answers the request. Never rejects. */
  async #stream(
    target: GatewayTarget,
    request: IncomingMessage,
    connection: Duplex,
  ): Promise<AcceptedStream | undefined> {
    const caller = requestCaller(request, "gateway", this.#init.proxies);
    const report = new CallReport(this.#relay, { name: target.name, method: request.method ?? "GET", caller });
    let stream: SocketStream | undefined;
    const onGone = () => stream?.destroy(canceledError("the client of the WebSocket has gone"));
    connection.once("end", onGone).once("close", onGone);
    try {
      const scheme = schemeOf(request, this.#init.proxies);
      const metadataOf = (dropsAuthorization: boolean) =>
        socketMetadata(requestOf(request, { target, scheme, dropsAuthorization }));
      const { admitted } = await this.#door.admit(target, request, caller, connection, metadataOf);
      report.caller = admitted.caller;
      if (connection.destroyed) throw callerGoneError();
      const transport = this.#init.transportOf(admitted);
      stream = openStream({
        name: target.name,
        metadata: admitted.metadata,
        codec: socketCodec,
        maxMessageBytes: maxSocketMessageBytes,
        transport: async () => transport,
        clock: this.#relay.clock,
        onUnheard: () => {},
      });
      // The relay gives the listener some time to accept. Its other ends reject as well.
      await stream.opened;
      return { stream, report };
    } catch (reason) {
      const error = StreamError.from(reason);
      report.fail(error);
      if (connection.destroyed) report.end(undefined);
      else {
        const response = upgradeResponse(request, connection);
        answerFailure(request, response, error);
        report.end(response.statusCode);
      }
      return undefined;
    } finally {
      connection.off("end", onGone).off("close", onGone);
    }
  }
}
