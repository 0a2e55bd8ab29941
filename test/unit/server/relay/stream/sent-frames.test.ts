import { describe, expect, test } from "vitest";
import { SentFrames } from "../../../../../server/relay/stream/sent-frames.js";
import type { Frame } from "../../../../../stream/endpoint/frame.js";
import { messageOverheadBytes } from "../../../../../stream/endpoint/sender.js";
import { dataFrame, frame } from "../../../../fakes/frames.js";
import { relayed, resumableStream, splicedStream } from "../../../../fakes/relays.js";

function counted(...frames: Frame[]): SentFrames {
  const sent = new SentFrames();
  for (const each of frames) sent.count(relayed(each), new SentFrames());
  return sent;
}

const message = (bytes: number) => ({ data: new Uint8Array(bytes) });

describe("SentFrames", () => {
  test("counts the cost of a frame once that is sent again, and its bytes twice", () => {
    const [first, second] = [dataFrame(1, message(100)), dataFrame(2, message(50))];
    const sent = counted(first, second, first, second);
    expect(sent).toMatchObject({ frames: 4, sequence: 2, costBytes: 150 + 2 * messageOverheadBytes });
    expect(sent.bytes).toBe(2 * counted(first, second).bytes);
  });

  test("keeps the highest credit, and takes nothing back for a lower one", () => {
    expect(counted(frame({ credit: 900n }), frame({ credit: 700n }), frame({ ack: 1n })).creditBytes).toBe(900);
  });
});

test("a half counts what its endpoint sends, and knows that it has missed some of a stream that was made anew", () => {
  const { client } = splicedStream();
  client.put(relayed(dataFrame(1, message(100))));
  expect(client.sent).toMatchObject({ sequence: 1, costBytes: 116, isWhole: true });
  const { relay, splice } = resumableStream();
  splice.client.forgetLastWord();
  expect([relay.knows(splice.id), splice.client.sent.isWhole]).toEqual([true, false]);
});
