import { create } from "@bufbuild/protobuf";
import { type StringValue, StringValueSchema } from "@bufbuild/protobuf/wkt";
import { Code, ConnectError, type HandlerContext, type ServiceImpl } from "@connectrpc/connect";
import type { EchoService } from "./echo-service.js";

/** What the service notes of a run, by the word of the run. */
const notes = new Map<string, string[]>();

function note(run: string, line: string): void {
  notes.set(run, [...(notes.get(run) ?? []), line]);
}

const text = (value: string) => create(StringValueSchema, { value });

/**
 * Rejects with the reason when the call is over, and notes why. Whether the caller knows of a deadline first is open.
 */
async function untilOver(run: string, { signal }: HandlerContext): Promise<never> {
  if (!signal.aborted) await new Promise((resolve) => signal.addEventListener("abort", resolve, { once: true }));
  note(run, `over: ${Code[ConnectError.from(signal.reason).code]}`);
  throw signal.reason;
}

function failure(detail = "in detail"): ConnectError {
  const details = [{ desc: StringValueSchema, value: { value: detail } }];
  return new ConnectError("no such luck", Code.FailedPrecondition, { "x-why": "because" }, details);
}

/** Returns the request headers of the run, and sends metadata of each kind. */
function exchangeMetadata({ requestHeader, responseHeader, responseTrailer }: HandlerContext): string {
  responseHeader.set("x-head", "early");
  responseHeader.set("x-head-bin", "AAEC/w");
  responseTrailer.set("x-tail", "late");
  return `${requestHeader.get("x-asked")} ${requestHeader.get("x-asked-bin")}`;
}

/** A service that does what the text of a request says: a word, and the word of a run. */
export const servedEcho: Partial<ServiceImpl<typeof EchoService>> = {
  async unary({ value }, context) {
    const [word, run = ""] = value.split(" ");
    if (word === "metadata") return text(exchangeMetadata(context));
    if (word === "fail") throw failure();
    if (word === "fail-at-length") throw failure("in detail, ".repeat(2_000));
    if (word === "throw") throw new TypeError("the secret reason");
    if (word === "notes") return text((notes.get(run) ?? []).join("\n"));
    if (word === "timeout") return text(String(context.timeoutMs() !== undefined));
    if (word === "wait") await untilOver(run, context);
    return text(value);
  },
  async *serverStream({ value }, context) {
    const [word, run = ""] = value.split(" ");
    if (word === "metadata") {
      yield text(exchangeMetadata(context));
      return;
    }
    try {
      for (let at = 0; word === "endless" || at < 3; at += 1) yield text(`${word} ${at}`);
      if (word === "wait") await untilOver(run, context);
      if (word === "fail") throw failure();
    } finally {
      note(run, "left");
    }
  },
  async clientStream(requests) {
    const got: string[] = [];
    for await (const { value } of requests) {
      got.push(value);
      if (value === "enough") break;
    }
    return text(got.join(" "));
  },
  async *bidiStream(requests: AsyncIterable<StringValue>) {
    for await (const { value } of requests) yield text(`${value}!`);
    yield text("after your end");
  },
};
