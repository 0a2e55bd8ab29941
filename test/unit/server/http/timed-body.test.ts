import { Code } from "@connectrpc/connect";
import { expect, test } from "vitest";
import { TimedBody } from "../../../../server/http/request/timed-body.js";
import { FakeClock } from "../../../fakes/fake-clock.js";

const timeoutMs = 20_000;

function openBody() {
  const clock = new FakeClock();
  const source = new TransformStream<Uint8Array, Uint8Array>();
  const writer = source.writable.getWriter();
  const onLate: number[] = [];
  const body = new TimedBody(source.readable, { clock, timeoutMs, onLate: () => onLate.push(clock.now()) });
  return { clock, writer, body, onLate };
}

const late = { code: Code.DeadlineExceeded };

test("TimedBody.next fails, and tells once, when the body does not come in time", async () => {
  const { clock, body, onLate } = openBody();
  clock.advance(timeoutMs);
  const next = body.next();
  clock.advance(timeoutMs - 1);
  expect(onLate).toEqual([]);
  clock.advance(1);
  await expect(next).rejects.toMatchObject(late);
  await expect(body.next()).rejects.toMatchObject(late);
  expect(onLate).toHaveLength(1);
  expect(clock.timers).toBe(0);
});

test("TimedBody.next has a second more for each 1,000 bytes that came", async () => {
  const { clock, writer, body, onLate } = openBody();
  const first = body.next();
  void writer.write(new Uint8Array(3_000));
  await first;
  const next = body.next();
  clock.advance(timeoutMs + 2_999);
  expect(onLate).toEqual([]);
  clock.advance(1);
  await expect(next).rejects.toMatchObject(late);
});

test.each([
  [
    "its end",
    async ({ writer, body }: ReturnType<typeof openBody>) => {
      void writer.close();
      expect(await body.next()).toMatchObject({ done: true });
    },
  ],
  [
    "return",
    async ({ body }: ReturnType<typeof openBody>) => {
      void body.next();
      void body.return();
    },
  ],
  [
    "its failure",
    async ({ writer, body }: ReturnType<typeof openBody>) => {
      void writer.abort(new Error("broken"));
      await expect(body.next()).rejects.toThrow();
    },
  ],
])("TimedBody has no deadline after %s", async (_, act) => {
  const opened = openBody();
  await act(opened);
  expect(opened.clock.timers).toBe(0);
});
