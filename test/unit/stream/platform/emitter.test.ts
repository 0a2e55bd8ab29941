import { EventEmitter, once } from "node:events";
import { describe, expect, test } from "vitest";
import { Emitter } from "../../../../stream/platform/emitter.js";

interface Events {
  note: [text: string];
  other: [];
}

/** The methods that both emitters have. The behaviour of Node's is what ours is measured by. */
interface AnyEmitter {
  on(event: "note", listener: (text: string) => void): unknown;
  once(event: "note", listener: (text: string) => void): unknown;
  off(event: "note", listener: (text: string) => void): unknown;
  addListener(event: "note", listener: (text: string) => void): unknown;
  removeListener(event: "note", listener: (text: string) => void): unknown;
  prependListener(event: "note", listener: (text: string) => void): unknown;
  removeAllListeners(event?: "note" | "other"): unknown;
  emit(event: "note", text: string): boolean;
  listenerCount(event: "note"): number;
}

const emitters: [string, () => AnyEmitter][] = [
  ["Emitter", () => new Emitter<Events>()],
  ["Node's EventEmitter", () => new EventEmitter()],
];

describe.each(emitters)("%s", (_name, create) => {
  test("calls listeners in their order, those put first before, and one that was added twice twice", () => {
    const emitter = create();
    const heard: string[] = [];
    const twice = (text: string) => heard.push(`twice ${text}`);
    emitter.on("note", twice);
    emitter.addListener("note", (text) => heard.push(`last ${text}`));
    emitter.prependListener("note", (text) => heard.push(`first ${text}`));
    emitter.on("note", twice);
    expect(emitter.emit("note", "a")).toBe(true);
    expect(heard).toEqual(["first a", "twice a", "last a", "twice a"]);
    emitter.off("note", twice);
    heard.length = 0;
    emitter.emit("note", "b");
    expect(heard).toEqual(["first b", "twice b", "last b"]);
  });

  test("calls a listener for once a single time, even when it emits itself, unless it was taken back", () => {
    const emitter = create();
    const heard: string[] = [];
    emitter.on("note", (text) => {
      if (text === "outer") emitter.emit("note", "inner");
    });
    emitter.once("note", (text) => heard.push(text));
    const never = () => heard.push("never");
    emitter.once("note", never);
    emitter.removeListener("note", never);
    emitter.emit("note", "outer");
    emitter.emit("note", "again");
    expect(heard).toEqual(["inner"]);
  });

  test("calls those who listened when emit began, whatever they add and remove", () => {
    const emitter = create();
    const heard: string[] = [];
    const second = () => heard.push("second");
    emitter.on("note", () => {
      heard.push("first");
      emitter.off("note", second);
      emitter.on("note", () => heard.push("added"));
    });
    emitter.on("note", second);
    emitter.emit("note", "");
    expect(heard).toEqual(["first", "second"]);
    expect(emitter.listenerCount("note")).toBe(2);
  });

  test("throws what a listener throws, calls none after it, and forgets nobody", () => {
    const emitter = create();
    const heard: string[] = [];
    emitter.once("note", () => {
      throw new Error("mine");
    });
    emitter.on("note", (text) => heard.push(text));
    expect(() => emitter.emit("note", "lost")).toThrow("mine");
    emitter.emit("note", "heard");
    expect(heard).toEqual(["heard"]);
  });

  test("has no listeners after all were taken back, and says so", () => {
    const emitter = create();
    emitter.on("note", () => {});
    emitter.removeAllListeners("other");
    expect(emitter.listenerCount("note")).toBe(1);
    emitter.removeAllListeners("note");
    expect(emitter.emit("note", "")).toBe(false);
    emitter.on("note", () => {});
    emitter.removeAllListeners();
    expect(emitter.listenerCount("note")).toBe(0);
  });

  test("gives itself to its listeners as this, and takes nothing but functions", () => {
    const emitter = create();
    let self: unknown;
    emitter.on("note", function (this: unknown) {
      self = this;
    });
    emitter.emit("note", "");
    expect(self).toBe(emitter);
    expect(() => emitter.on("note", undefined as never)).toThrow(TypeError);
  });
});

test("Emitter works with Node's once", async () => {
  const emitter = new Emitter<Events>();
  const noted = once(emitter as never, "note");
  emitter.emit("note", "text");
  expect(await noted).toEqual(["text"]);
  expect(emitter.listenerCount("note")).toBe(0);
});
