import { create, type MessageInitShape, toJson } from "@bufbuild/protobuf";
import { describe, expect, test } from "vitest";
import { topLines } from "../../../cli/top/top-lines.js";
import { LegState, ShowResponseSchema, Side, StreamState, Wait } from "../../../gen/streamserver/v1/admin_pb.js";
import type { Report } from "../../../web/operator/report.js";

const lines = (report: MessageInitShape<typeof ShowResponseSchema>) =>
  topLines(toJson(ShowResponseSchema, create(ShowResponseSchema, report)) as Report);
const caller = { door: "link", address: "192.0.2.1" };

describe("topLines", () => {
  test("says for each stream which endpoint it waits for, and what is known of both", () => {
    const stream = {
      streamId: "id",
      name: "room",
      state: StreamState.ACCEPTED,
      ageMs: 62_000n,
      wait: Wait.READ,
      waitsFor: Side.LISTENER,
      waitMs: 12_000n,
      client: {
        leg: LegState.ATTACHED,
        caller: { ...caller, subject: "ann" },
        bytesPerSecond: 2_048n,
        unackedFrames: 3n,
        windowLeftBytes: 25n,
        windowBytes: 100n,
      },
      listener: { leg: LegState.AWAY, legMs: 5_000n, sentBytes: 10n, silentMs: 9_000n, finished: true },
    };
    const cells = lines({ streams: [stream] }).map((line) => line.split(/ {2,}/));
    expect(cells.slice(2, 4)).toEqual([
      ["WAITS FOR", "SINCE", "STREAM", "NAME", "AGE", "CLIENT", "LISTENER"],
      [
        "listener to read",
        "0:12",
        "id",
        "room",
        "1:02",
        "192.0.2.1 ann, 2.0 KiB/s, 3 unacknowledged, window 75% full",
        "away 0:05, sent 10 B, finished, silent 0:09",
      ],
    ]);
  });

  test("sums up what waits to be read, and the calls of the gateway", () => {
    const [summary = ""] = lines({ totals: { heldBytes: 1_572_864n, gatewayCalls: 3 } });
    expect(summary).toContain("gateway calls 3");
    expect(summary).toContain("unread 1.5 MiB");
  });

  test.each([
    [{ wait: Wait.LISTEN, waitsFor: Side.LISTENER }, "a listener"],
    [{ wait: Wait.ACCEPT, waitsFor: Side.LISTENER }, "listener to accept"],
    [{ wait: Wait.RETURN, waitsFor: Side.CLIENT }, "client to come back"],
    [{ wait: Wait.ROOM, waitsFor: Side.CLIENT }, "client to take bytes"],
    [{ wait: Wait.ACK, waitsFor: Side.LISTENER }, "listener to acknowledge"],
    [{ state: StreamState.ENDED }, "(ended)"],
    [{}, "-"],
  ])("%# says what a stream waits for", (stream, words) => {
    const [, , , line = ""] = lines({ streams: [stream] });
    expect(line.startsWith(`${words}  `)).toBe(true);
  });

  test("shows no text of strangers that moves or hides other text", () => {
    const report = lines({
      names: [{ name: "a\u202eb", listener: { ...caller, origin: "https://\u0007x" } }],
      refusals: [{ call: "listen", reason: "NAME_TAKEN", count: 2n, lastName: "\u001b[2J", lastCaller: caller }],
    }).join("\n");
    expect(report.replaceAll("\n", "")).not.toMatch(/\p{C}/u);
    expect(report).toContain("NAME_TAKEN");
  });
});
