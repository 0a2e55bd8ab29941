import type { RawMessage, Stream } from "browser-stream-server";

/*
 * What travels in a room. The host listens, so every stream is a guest's to open; its metadata says what for:
 *
 * - "join": one for each guest, for as long as it is there. JSON messages, below, both ways.
 * - "fetch": a guest gets a file. The bytes come from the host, in order, until the end.
 * - "give": a guest hands in a file that somebody wants. The bytes go to the host.
 *
 * Files are announced and then pulled: whoever has one announces it, whoever wants it asks. A guest that wants a guest's file
 * fetches it from the host, which asks its owner to give it and pipes one stream into the other. So each transfer is a stream
 * of its own: talk never waits behind a file, a slow receiver slows nobody else, cancelling is ending a stream, and the host
 * holds nothing of what it passes on.
 */
export type RoomStream = Stream;

const maxTextLength = 8_192;
const maxPeople = 64;

const text = (value: unknown): value is string => typeof value === "string" && value.length <= maxTextLength;
const texts = (value: unknown): value is string[] =>
  Array.isArray(value) && value.length <= maxPeople && value.every(text);
const bytes = (value: unknown): value is number => Number.isSafeInteger(value) && (value as number) >= 0;

const shapes = {
  /** Host to guest, first of all: its label, and the key that its fetch and give streams show. */
  welcome: { you: text, key: text },
  /** Host to guest: who is here. */
  people: { labels: texts },
  /** Both ways; `from` is the host's to say. */
  chat: { from: text, text },
  /** Both ways: an announcement. The id is random, so only who was told can ask for the file. */
  file: { from: text, id: text, name: text, mime: text, sizeBytes: bytes },
  /** Host to the guest that announced the file: open a "give" stream for this transfer. */
  want: { file: text, transfer: text, to: text },
} as const;

type Shapes = typeof shapes;
type Guarded<G> = G extends (value: unknown) => value is infer V ? V : never;
type MessageOf<K extends keyof Shapes> = { type: K } & { [F in keyof Shapes[K]]: Guarded<Shapes[K][F]> };
export type Message = { [K in keyof Shapes]: MessageOf<K> }[keyof Shapes];

export type FileAnnouncement = MessageOf<"file">;

export function sendMessage(stream: RoomStream, message: Message): void {
  stream.write(JSON.stringify(message));
}

/** Undefined for whatever is no message of this protocol: the other side may be anybody's program. */
export function parseMessage(data: RawMessage): Message | undefined {
  if (typeof data !== "string") return undefined;
  try {
    const value = JSON.parse(data) as Record<string, unknown> | null;
    const type = value?.type;
    if (typeof type !== "string" || !Object.hasOwn(shapes, type)) return undefined;
    const fields = Object.entries<(value: unknown) => boolean>(shapes[type as keyof Shapes]);
    return fields.every(([name, holds]) => holds(value?.[name])) ? (value as Message) : undefined;
  } catch {
    return undefined;
  }
}

/** For what nobody may guess. `crypto.randomUUID` is missing where the page came over plain HTTP. */
export function randomKey(): string {
  return Array.from(crypto.getRandomValues(new Uint8Array(16)), (byte) => byte.toString(16).padStart(2, "0")).join("");
}

export function announcement(from: string, file: File): FileAnnouncement {
  return { type: "file", from, id: randomKey(), name: file.name, mime: file.type, sizeBytes: file.size };
}
