import { Code, ConnectError } from "@connectrpc/connect";
import { endStreamFlag } from "@connectrpc/connect/protocol-connect";
import { describe, expect, test } from "vitest";
import { dataOf, envelope } from "../../../leg/envelope.js";
import type { Parts } from "../../../leg/parts.js";
import { responseMessages } from "../../../leg/response-messages.js";

const text = new TextEncoder();
const message = (data: string) => envelope(0, text.encode(data));
const end = (json: unknown = {}) => envelope(endStreamFlag, text.encode(JSON.stringify(json)));
const broken = new Error("the stream was reset");

/** Reads a response with this body; an error among the chunks makes reading the body fail. */
async function read(...chunks: (Uint8Array | Error)[]) {
  async function* body() {
    for (const chunk of chunks) {
      if (chunk instanceof Error) throw chunk;
      yield chunk;
    }
  }
  const [header, trailer] = [new Headers({ "x-relay": "a" }), new Headers()];
  const messages: string[] = [];
  try {
    const parse = (received: Parts) => new TextDecoder().decode(dataOf(received));
    for await (const each of responseMessages({ status: 200, header, trailer, body: body() }, 100, parse)) {
      messages.push(each);
    }
    return { messages, trailer };
  } catch (error) {
    return { messages, trailer, error };
  }
}

describe("responseMessages", () => {
  test("gives the messages, and the end's metadata as trailer", async () => {
    const { messages, trailer, error } = await read(
      message("a"),
      message("b"),
      end({ metadata: { "x-end": ["z"] } }),
      message("c"),
    );
    expect({ messages, error, end: trailer.get("x-end") }).toEqual({ messages: ["a", "b"], end: "z" });
  });

  test("takes a body that breaks off after the end of the stream for ended", async () => {
    expect((await read(message("a"), end(), broken)).error).toBeUndefined();
    const { error } = await read(message("a"), end({ error: { code: "aborted" } }), broken);
    expect(error).toBeInstanceOf(ConnectError);
    expect(error).toMatchObject({ code: Code.Aborted });
    expect((error as ConnectError).metadata.get("x-relay")).toBe("a");
  });

  test("throws why a body broke off before the end of the stream", async () => {
    expect(await read(message("a"), broken)).toMatchObject({ messages: ["a"], error: broken });
  });

  test("takes a body that ends without the end of the stream for a fault of the protocol", async () => {
    expect(await read(message("a"))).toMatchObject({ messages: ["a"], error: { code: Code.Internal } });
  });
});
