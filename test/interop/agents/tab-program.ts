// The package in a tab, as one module: it runs a program in the page as a process would, over bindings of the test's.
import { client } from "./echo-client.ts";
import { listener } from "./echo-listener.ts";

interface TabBindings {
  /** Output, in base64. */
  programPrints(output: "stdout" | "stderr", base64: string): Promise<void>;
  programExits(code: number): Promise<void>;
}

/** The functions that the test calls in the page. */
export interface TabProgram {
  start(role: "listener" | "client", args: readonly string[]): void;
  /** Input, in base64. */
  input(base64: string): void;
  endInput(): void;
  interrupt(): void;
}

const { programPrints, programExits } = globalThis as unknown as TabBindings;
const encoder = new TextEncoder();
const interruption = new AbortController();
const { readable, writable } = new TransformStream<Uint8Array, Uint8Array>(undefined, undefined, {
  highWaterMark: Number.POSITIVE_INFINITY,
});
const inputWriter = writable.getWriter();

function fromBase64(base64: string): Uint8Array {
  return Uint8Array.from(atob(base64), (character) => character.charCodeAt(0));
}

function toBase64(bytes: Uint8Array): string {
  const parts: string[] = [];
  // Not more than fits a call's arguments.
  for (let from = 0; from < bytes.byteLength; from += 8_192) {
    parts.push(String.fromCharCode(...bytes.subarray(from, from + 8_192)));
  }
  return btoa(parts.join(""));
}

function print(output: "stdout" | "stderr", data: string | Uint8Array): void {
  void programPrints(output, toBase64(typeof data === "string" ? encoder.encode(data) : data));
}

const program: TabProgram = {
  start(role, args) {
    const place = {
      language: "tab",
      args,
      input: readable,
      interrupted: interruption.signal,
      stdout: (data: string | Uint8Array) => print("stdout", data),
      stderr: (text: string) => print("stderr", text),
    };
    void (role === "listener" ? listener : client)(place).then(programExits);
  },
  input: (base64) => void inputWriter.write(fromBase64(base64)),
  endInput: () => void inputWriter.close(),
  interrupt: () => interruption.abort(),
};
Object.assign(globalThis, { program });
