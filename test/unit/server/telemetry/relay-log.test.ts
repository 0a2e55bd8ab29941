import { create } from "@bufbuild/protobuf";
import { Code } from "@connectrpc/connect";
import { describe, expect, test } from "vitest";
import { Failure } from "../../../../gen/streamserver/v1/failure_pb.js";
import { OpenSchema } from "../../../../gen/streamserver/v1/relay_pb.js";
import { type Caller, callerToWire } from "../../../../server/admission/caller.js";
import type { Relay } from "../../../../server/relay/relay.js";
import { connectRpc } from "../../../../server/rpc/leg/leg-rpc.js";
import {
  maxCallLinesPerSecond,
  maxLinkLinesPerSecond,
  maxRefusalsPerSecond,
  maxReturnLinesPerSecond,
  RelayLog,
} from "../../../../server/telemetry/relay-log.js";
import { StreamError } from "../../../../stream/error/stream-error.js";
import { dataFrame, frame } from "../../../fakes/frames.js";
import { thrown } from "../../../fakes/outcome.js";
import { callBroke, comeBack, Listening, newRelay, relayed, resumableStream, resumes } from "../../../fakes/relays.js";

const page: Caller = { origin: "https://app.example", address: "192.0.2.1", door: "http" };

function linesOf({ events, clock }: Relay): Record<string, unknown>[] {
  const lines: Record<string, unknown>[] = [];
  // As a logger writes it: fields that are undefined are not there.
  const logger = { info: (fields: object) => void lines.push(JSON.parse(JSON.stringify(fields))) };
  const log = new RelayLog({ logger, clock, graceMs: 120_000 });
  events.observe((event) => log.write(event));
  return lines;
}

describe("RelayLog", () => {
  test("writes a line for a lease, an offer, its acceptance and each end, with the same ids", () => {
    const { relay, clock } = newRelay();
    const lines = linesOf(relay);
    const { lease, call } = relay.listen("room", true, { caller: page });
    const facts = { metadata: { token: "a secret" }, caller: callerToWire(page) };
    const { splice } = relay.connect("room", facts, 0, page);
    clock.advance(20);
    relay.accept(splice.id, relay.offerToken(splice), undefined);
    for (const half of [splice.client, splice.listener]) new Listening(half);
    const data = relayed(dataFrame(1, { data: new Uint8Array(100) }));
    splice.client.put(data);
    clock.advance(30);
    splice.client.fail(new StreamError("the connection broke", { failure: Failure.LEG_LOST }));
    clock.advance(50);
    lease.leave(call, "canceled");
    const [ofLease, ofStream] = [
      { name: "room", leaseId: lease.id },
      { name: "room", streamId: splice.id },
    ];
    expect(lines).toEqual([
      { event: "name.claimed", ...ofLease, listed: true, caller: page },
      { event: "stream.offered", ...ofStream, caller: page },
      { event: "stream.accepted", ...ofStream, waitedMs: 20 },
      {
        event: "stream.ended",
        ...ofStream,
        reason: "LEG_LOST",
        hop: "client",
        message: "the connection broke",
        bytes: { client: data.envelope.byteLength, listener: 0 },
        durationMs: 50,
        caller: page,
      },
      { event: "name.released", ...ofLease, reason: "canceled", durationMs: 100, caller: page },
    ]);
  });

  test("writes a line for a call that was refused, with the reason that the caller is told", () => {
    const { relay } = newRelay();
    const lines = linesOf(relay);
    const open = create(OpenSchema, { name: "room", metadata: { token: "a secret" }, capabilities: resumes });
    const { message } = thrown(() => connectRpc.attach(relay, open, { caller: page, metadata: open.metadata }));
    const why = { reason: "NO_SUCH_NAME", hop: "relay", message, errorId: expect.stringMatching(/^[\w-]{22}$/) };
    expect(lines).toEqual([{ event: "refused", call: "connect", ...why, name: "room", caller: page }]);
  });

  test("cuts what nobody has checked, and has no claim but who it is", () => {
    const { relay } = newRelay();
    const lines = linesOf(relay);
    const long = "x".repeat(100_000);
    const claims = { subject: long, name: "secret", meta: { key: "secret" }, tokenId: "id" };
    const caller: Caller = {
      ...page,
      origin: long,
      claims: { ...claims, issuedAtMs: 0, expiresAtMs: undefined, cut: false },
    };
    const error = new StreamError(long, { failure: Failure.NAME_INVALID });
    relay.refused(error, { call: "accept", caller, name: long, streamId: long });
    expect(JSON.stringify(lines).length).toBeLessThan(2_000);
    expect(JSON.stringify(lines)).not.toContain("secret");
    expect(lines[0]?.caller).toMatchObject({ subject: expect.stringMatching(/^x+…$/), tokenId: "id" });
  });

  test("counts refusals in place of logging them when there are very many", () => {
    const { relay, clock } = newRelay();
    const lines = linesOf(relay);
    const refuse = () => relay.refused(new StreamError("no"), { call: "connect" });
    for (let refusal = 0; refusal < maxRefusalsPerSecond + 5; refusal += 1) refuse();
    expect(lines).toHaveLength(maxRefusalsPerSecond);
    relay.listen("room", false);
    clock.advance(1_000);
    for (let refusal = 0; refusal < 2; refusal += 1) refuse();
    expect(lines.slice(maxRefusalsPerSecond).map(({ event, unlogged }) => [event, unlogged])).toEqual([
      ["name.claimed", undefined],
      ["refused", 5],
      ["refused", undefined],
    ]);
  });

  test("counts links in place of logging them when there are very many, and refusals apart from them", () => {
    const { relay, clock } = newRelay();
    const lines = linesOf(relay);
    const open = () => relay.events.tell({ kind: "link opened", linkId: "id", caller: page });
    const end = () => {
      const error = new StreamError("it went");
      relay.events.tell({ kind: "link ended", linkId: "id", caller: page, error, durationMs: 1 });
    };
    for (let link = 0; link < maxLinkLinesPerSecond; link += 1) {
      open();
      end();
    }
    expect(lines).toHaveLength(maxLinkLinesPerSecond);
    relay.refused(new StreamError("no"), { call: "connect" });
    clock.advance(1_000);
    open();
    end();
    expect(lines.slice(maxLinkLinesPerSecond).map(({ event, unlogged }) => [event, unlogged])).toEqual([
      ["refused", undefined],
      ["link.opened", maxLinkLinesPerSecond],
      ["link.ended", undefined],
    ]);
  });

  test("counts calls of the gateway in place of logging them when there are very many", () => {
    const { relay, clock } = newRelay();
    const lines = linesOf(relay);
    const bytes = { request: 0, answer: 0 };
    const end = { kind: "call ended", name: "a", status: 200, error: undefined, bytes, durationMs: 1 } as const;
    const call = () => relay.events.tell({ ...end, method: "x".repeat(100_000), caller: page });
    for (let calls = 0; calls < maxCallLinesPerSecond + 5; calls += 1) call();
    expect(lines).toHaveLength(maxCallLinesPerSecond);
    expect(String(lines[0]?.method).length).toBeLessThan(300);
    clock.advance(1_000);
    call();
    expect(lines.at(-1)).toMatchObject({ event: "call.ended", unlogged: 5 });
  });

  test("counts endpoints that go and come back in place of logging them when there are very many", () => {
    const { relay, clock, splice, lease } = resumableStream();
    const lines = linesOf(relay);
    for (let generation = 1; generation <= maxReturnLinesPerSecond; generation += 1) {
      comeBack(relay, "client", splice.id, { generation });
      splice.client.lose(callBroke());
    }
    expect(lines).toHaveLength(maxReturnLinesPerSecond);
    clock.advance(1_000);
    comeBack(relay, "client", splice.id, { generation: maxReturnLinesPerSecond + 1 });
    lease.end("canceled");
    expect(lines.slice(maxReturnLinesPerSecond).map(({ event, unlogged }) => [event, unlogged])).toEqual([
      ["stream.resumed", maxReturnLinesPerSecond],
      ["name.released", undefined],
    ]);
  });

  test("has the code of a stream that an application ended, and not its words", () => {
    const { relay, client, listener } = resumableStream();
    const lines = linesOf(relay);
    for (const half of [client, listener]) new Listening(half);
    client.put(relayed(frame({ reset: { code: Code.Aborted, reason: "a secret" } })));
    expect(lines.at(-1)).toMatchObject({ event: "stream.ended", reason: "Aborted", hop: "client" });
    expect(JSON.stringify(lines)).not.toContain("secret");
  });

  test("writes a line when an endpoint or a listener is away, and when it is back", () => {
    const { relay, lease, splice, client, listener } = resumableStream();
    for (const half of [client, listener]) new Listening(half);
    const lines = linesOf(relay);
    client.lose(callBroke());
    comeBack(relay, "client", splice.id);
    if (lease.call !== undefined) lease.suspend(lease.call);
    expect(lines.map(({ event, hop, graceMs }) => [event, hop ?? graceMs])).toEqual([
      ["stream.suspended", "client"],
      ["stream.resumed", "client"],
      ["name.suspended", 120_000],
    ]);
  });
});
