import type { BenchStream } from "../contender.ts";
import { decodeOrder, encodeReply, orderBytes } from "./order.ts";
import { isPattern } from "./pattern.ts";

type State =
  | { kind: "idle"; head: Uint8Array; headBytes: number }
  | { kind: "flow"; messageBytes: number; totalBytes: number; receivedBytes: number; isIntact: boolean }
  | { kind: "stopped" };

const idle = (): State & { kind: "idle" } => ({ kind: "idle", head: new Uint8Array(orderBytes), headBytes: 0 });

/** Carries out the orders of a client on a listener's stream: counts and compares each byte, and replies. */
export function answer(stream: BenchStream, keepsMessages: boolean): void {
  let state: State = idle();

  const begin = (head: Uint8Array) => {
    const order = decodeOrder(head);
    state = idle();
    if (order.kind === "echo") stream.write(encodeReply({ isIntact: true, receivedBytes: orderBytes }));
    else if (order.kind === "flow") state = { ...order, receivedBytes: 0, isIntact: true };
    else {
      state = { kind: "stopped" };
      stream.pause?.();
    }
  };

  const takeOrder = (idle: State & { kind: "idle" }, bytes: Uint8Array, at: number): number => {
    const taken = Math.min(orderBytes - idle.headBytes, bytes.byteLength - at);
    idle.head.set(bytes.subarray(at, at + taken), idle.headBytes);
    idle.headBytes += taken;
    if (idle.headBytes === orderBytes) begin(idle.head);
    return taken;
  };

  const takeFlow = (flow: State & { kind: "flow" }, bytes: Uint8Array, at: number): number => {
    const taken = Math.min(flow.totalBytes - flow.receivedBytes, bytes.byteLength - at);
    const isWhole = taken === bytes.byteLength;
    const isSame = isPattern(isWhole ? bytes : bytes.subarray(at, at + taken), flow.receivedBytes);
    if (!isSame || (keepsMessages && !(isWhole && taken === flow.messageBytes))) flow.isIntact = false;
    flow.receivedBytes += taken;
    if (flow.receivedBytes === flow.totalBytes) {
      state = idle();
      stream.write(encodeReply(flow));
    }
    return taken;
  };

  stream.receive((bytes) => {
    // Bytes that were on their way when the reader stopped may still arrive, and are ignored.
    for (let at = 0; at < bytes.byteLength && state.kind !== "stopped"; ) {
      at += state.kind === "idle" ? takeOrder(state, bytes, at) : takeFlow(state, bytes, at);
    }
  });
}
