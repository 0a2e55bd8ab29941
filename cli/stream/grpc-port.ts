import { once } from "node:events";
import type { Server as Http1Server } from "node:http";
import type { Http2Server, ServerHttp2Session } from "node:http2";
import type { AddressInfo } from "node:net";
import type { Connections } from "../../http/call/connections.js";
import { answerPlainly } from "../../server/gateway/failure-answer.js";
import { callerGoneError } from "../../server/gateway/gateway-call.js";
import { callListener } from "../../server/gateway/listener-call.js";
import { widenWindows } from "../../server/http/http2-sessions.js";
import type { NodeRequest, NodeResponse } from "../../server/http/node-server.js";
import { PageAccess } from "../../server/http/page/page-access.js";
import { PlainPort } from "../../server/http/port/plain-port.js";
import { endUnfinished } from "../../server/http/request/answered-request.js";
import { authorityOf } from "../../server/http/request/request-urls.js";
import { TrustedProxies } from "../../server/http/request/trusted-proxies.js";
import { systemClock } from "../../stream/platform/system-clock.js";
import { portError } from "../command/port-error.js";
import { exposureOf } from "../serve/exposure.js";

export interface GrpcPortInit {
  /** 0 for any that is free. */
  port: number;
  host: string;
  /** The name that the calls go to, and the streams to it. */
  name: string;
  connections: Connections;
}

/** An open port for gRPC. */
export interface GrpcPort {
  readonly port: number;
  /** Ends every connection. Resolves when the port is free. */
  close(): Promise<void>;
}

/** A connection that says nothing of what it speaks is closed after this time, as at a relay. */
const openTimeoutMs = 10_000;

/**
 * A port of this machine that speaks HTTP/1.1, and HTTP/2 without TLS; its requests go to the listener of a name.
 * Rejects if the port cannot be had.
 */
export async function openGrpcPort({ port, host, name, connections }: GrpcPortInit): Promise<GrpcPort> {
  const plainPort = new PlainPort(openTimeoutMs, new TrustedProxies());
  const pages = new PageAccess([], exposureOf({ host, open: true }).hosts);
  for (const server of plainPort.servers) {
    (server as Http1Server).on("request", (request, response) => {
      endUnfinished(response);
      if (isPossiblyPage(request, pages)) {
        return answerPlainly(request, response, 403, "This port is for programs, not for pages.");
      }
      passOn(request, response, name, connections);
    });
    (server as Http2Server).on("session", (session: ServerHttp2Session) => {
      widenWindows(session);
      // "close" follows, and the responses of the session are told.
      session.on("error", () => {});
    });
  }
  const { listener } = plainPort;
  listener.listen({ port, host });
  try {
    await once(listener, "listening");
  } catch (cause) {
    throw portError(cause, { host, port }, { host: "--host", port: "--grpc-port" });
  }
  return { port: (listener.address() as AddressInfo).port, close: () => plainPort.close() };
}

/**
 * Whether a page may have sent the request. Any page of the web can send some to this machine. One whose own name was
 * pointed here (DNS rebinding) reads the answers too, and a browser gives its GET no header that says so but Host.
 */
function isPossiblyPage(request: NodeRequest, pages: PageAccess): boolean {
  const { headers } = request;
  return "origin" in headers || "sec-fetch-site" in headers || pages.hostRefusal(request) !== undefined;
}

function passOn(request: NodeRequest, response: NodeResponse, name: string, connections: Connections): void {
  const { headers, url = "" } = request;
  if (!url.startsWith("/") || headers.upgrade !== undefined) {
    return answerPlainly(request, response, 400, "This port takes calls of gRPC, gRPC-Web and Connect.");
  }
  // A call may wait for a listener for days, and its caller does not.
  const gone = new AbortController();
  response.once("close", () => gone.abort(callerGoneError()));
  void callListener({
    target: { kind: "listener", name, authority: authorityOf(request) ?? "localhost", path: url, prefix: "" },
    request,
    response,
    dropsAuthorization: false,
    open: (head) => connections.open(head, gone.signal),
    clock: systemClock,
  });
}
