import { systemClock } from "../../stream/platform/system-clock.js";
import { Failure, type Stream, StreamError } from "../../web/node.js";
import { noticeSuspensions } from "../terminal/suspension-notice.js";
import { closeTimeoutMs, type JsonRpcText, type McpTab, type McpTabInit, readMessage } from "./mcp-tab.js";

/**
 * A tab that has a message of JSON-RPC in each message of the stream, as `McpTransport` has. Rejects with why the
 * listener has not accepted the stream.
 */
export async function openStreamTab(stream: Stream, { onMessage }: McpTabInit): Promise<McpTab> {
  noticeSuspensions(stream);
  await stream.opened;
  const closed = receive(stream, onMessage);
  const positions = new WeakMap<JsonRpcText, number>();
  let sentMessages = 0;
  return {
    protocol: "MCP over the stream",
    closed,
    async send(given) {
      const hasRoom = stream.write(given.text);
      sentMessages += 1;
      positions.set(given, sentMessages);
      if (hasRoom) return;
      await Promise.race([closed, new Promise<void>((resolve) => stream.once("drain", resolve))]);
    },
    mayHaveReached(given, { delivery }) {
      return delivery === undefined || !delivery.isFinal || (positions.get(given) ?? 0) <= delivery.messages;
    },
    // The stream has ended in both directions.
    abandon() {},
    async close(error) {
      if (error !== undefined) stream.destroy(error);
      else stream.end();
      const cancelDeadline = systemClock.after(closeTimeoutMs, () => void stream.destroy());
      await stream.closed.catch(() => {});
      cancelDeadline();
    },
  };
}

async function receive(stream: Stream, onMessage: McpTabInit["onMessage"]): Promise<StreamError> {
  try {
    for await (const data of stream) {
      const message = readMessage(data, "the tab");
      if (message !== undefined) await onMessage(message);
    }
  } catch (reason) {
    return StreamError.from(reason);
  }
  stream.end();
  return new StreamError("the other side has ended the session", { failure: Failure.LISTENER_GONE });
}
