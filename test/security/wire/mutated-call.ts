import {
  type ClientHttp2Session,
  constants,
  type IncomingHttpHeaders,
  type IncomingHttpStatusHeader,
} from "node:http2";
import { Code } from "@connectrpc/connect";
import { envelope } from "../../../leg/envelope.ts";
import { mutated, mutatedFields, Random } from "../../fakes/traffic/mutations.ts";
import type { RpcSample } from "../../fakes/traffic/rpc-messages.ts";

/** A request whose body is not quite that of a call. */
export interface MutatedCall {
  headers: Record<string, string>;
  body: Uint8Array;
  /** Whether the answer may go on for good. */
  isEndless: boolean;
}

type AnswerHead = IncomingHttpHeaders & IncomingHttpStatusHeader;

const grpcFormats = ["grpc", "grpc+proto", "grpc+json", "grpc-web", "grpc-web+proto", "grpc-web+json"];
const formats = {
  unary: ["proto", "proto", "json", ...grpcFormats],
  streaming: ["connect+proto", "connect+proto", "connect+json", ...grpcFormats],
};
const timeouts = {
  connect: ["100", "0", "-1", "1e3", "99999999999", "soon"],
  grpc: ["100m", "0n", "1H", "-1S", "99999999999S", "soon"],
};
/** Answers are read up to here. */
const maxAnswerBytes = 65_536;

/** Makes the call of a seed: one of its messages is mutated, and now and then its body as a whole. */
export function mutatedCall(seed: number, samples: readonly RpcSample[]): MutatedCall {
  const random = new Random(seed);
  const { service, method, kind, messages } = random.pick(samples);
  const format = random.pick(formats[kind === "unary" ? "unary" : "streaming"]);
  const isJson = format.endsWith("json");
  const isGrpc = format.startsWith("grpc");
  const mutant = random.below(messages.length);
  const encoded = messages.map(({ binary, json }, at) => {
    const bytes = isJson ? Buffer.from(JSON.stringify(json)) : binary;
    if (at !== mutant) return bytes;
    return (isJson || random.chance(50) ? mutated : mutatedFields)(bytes, random);
  });
  const whole =
    kind === "unary" && !isGrpc ? encoded[0] : Buffer.concat(encoded.map((message) => envelope(0, message)));
  const body = random.chance(15) ? mutated(whole as Uint8Array, random) : (whole as Uint8Array);
  const path = `/${service}/${method}`;
  const isEndless = kind === "server_streaming";
  if ((method === "List" || method === "Check") && !isGrpc && random.chance(30)) {
    const message = Buffer.from(body).toString("base64url");
    const query = `?connect=v1&encoding=${isJson ? "json" : "proto"}&base64=1&message=${message}`;
    return { headers: { ":method": "GET", ":path": path + query }, body: new Uint8Array(), isEndless };
  }
  const headers: Record<string, string> = {
    ":method": "POST",
    ":path": path,
    "content-type": `application/${format}`,
    ...(isGrpc ? { te: "trailers" } : { "connect-protocol-version": "1" }),
  };
  if (random.chance(10)) {
    headers[isGrpc ? "grpc-timeout" : "connect-timeout-ms"] = random.pick(timeouts[isGrpc ? "grpc" : "connect"]);
  }
  return { headers, body, isEndless };
}

/**
 * Makes a call, and resolves with the code of its answer, as "not_found"; "ok" for one without an error, "open" if it
 * is not over within the time, and "lost" if it has no end.
 */
export function answerTo(session: ClientHttp2Session, call: MutatedCall, withinMs: number): Promise<string> {
  const request = session.request(call.headers);
  return new Promise((resolve) => {
    let head: AnswerHead = {};
    let trailers: IncomingHttpHeaders = {};
    let text = "";
    const settle = (code: string) => {
      clearTimeout(deadline);
      resolve(code);
    };
    const deadline = setTimeout(() => settle("open"), withinMs);
    request.on("response", (headers) => (head = headers));
    request.on("trailers", (headers) => (trailers = headers));
    request.on("error", () => {});
    request.on("data", (chunk: Buffer) => {
      if (text.length < maxAnswerBytes) text += chunk.toString("latin1");
    });
    request.on("close", () => {
      // Node gives the calls of a connection that is lost the code of a mistake as well.
      const isMistake = request.rstCode === constants.NGHTTP2_INTERNAL_ERROR && !session.destroyed;
      settle(isMistake ? "internal" : codeOf(head, trailers, text));
    });
    // A request without a body is over already.
    if (call.body.byteLength > 0) request.end(call.body);
    else request.end();
  });
}

function codeOf(head: AnswerHead, trailers: IncomingHttpHeaders, text: string) {
  const type = String(head["content-type"] ?? "");
  const status = head[":status"];
  if (status === undefined) return "lost";
  if (type.startsWith("application/grpc")) {
    const number = trailers["grpc-status"] ?? head["grpc-status"] ?? /grpc-status: ?(\d+)/.exec(text)?.[1];
    if (number === undefined) return "lost";
    return Number(number) === 0 ? "ok" : named(Number(number));
  }
  if (status === 200) return type.startsWith("application/connect+") ? (errorIn(text) ?? "ok") : "ok";
  return errorIn(text) ?? `HTTP ${status}`;
}

/** The code in the error of a Connect answer. */
export function errorIn(text: string): string | undefined {
  return /"code":"([a-z_]+)"/.exec(text)?.[1];
}

/** The name of a code, as Connect writes it. */
export function named(code: number): string {
  return (Code[code] ?? `code ${code}`).replace(/(?<=[a-z])(?=[A-Z])/g, "_").toLowerCase();
}
