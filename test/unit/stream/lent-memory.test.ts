import { expect, test, vi } from "vitest";
import { divide, giveBack, lend } from "../../../stream/lent-memory.js";

function lent() {
  const view = new Uint8Array(new ArrayBuffer(100), 10);
  const onReturned = vi.fn();
  lend(view, onReturned);
  return { view, onReturned };
}

test("memory that was lent whole comes back whole", () => {
  const { view, onReturned } = lent();
  expect(onReturned).not.toHaveBeenCalled();
  giveBack(view);
  expect(onReturned).toHaveBeenCalledOnce();
  giveBack(view);
  expect(onReturned).toHaveBeenCalledOnce();
});

test("memory that was divided comes back with the last part, however often the others are given back", () => {
  const { view, onReturned } = lent();
  const parts = [view.subarray(0, 30), view.subarray(30, 60)] as const;
  divide(view, parts);
  giveBack(view);
  for (let times = 0; times < 3; times += 1) giveBack(parts[1]);
  expect(onReturned).not.toHaveBeenCalled();
  giveBack(parts[0]);
  expect(onReturned).toHaveBeenCalledOnce();
});

test("a part that stands elsewhere is nobody's to give back", () => {
  const { view, onReturned } = lent();
  const part = view.subarray(0, 30);
  divide(view, [new Uint8Array(), part]);
  giveBack(part);
  expect(onReturned).toHaveBeenCalledOnce();
});

test("another view of the same bytes is not the one that was lent", () => {
  const { view, onReturned } = lent();
  giveBack(view.subarray());
  divide(view.subarray(), []);
  expect(onReturned).not.toHaveBeenCalled();
});

test("memory that nobody lent comes back to nobody", () => {
  const view = new Uint8Array(10);
  divide(view, [view]);
  giveBack(view);
});
