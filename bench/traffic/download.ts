import { patternBytes, patternMessages } from "./pattern.ts";

const messageBytes = 65_536;

/** The pattern in messages of 64 KiB, as often as it takes. `bytes` must be a multiple of 1 MiB. */
export function* downloadMessages(bytes: number): Generator<Uint8Array<ArrayBuffer>, undefined> {
  const messages = patternMessages(messageBytes) as Uint8Array<ArrayBuffer>[];
  for (let sent = 0; sent < bytes; sent += patternBytes) yield* messages;
}
