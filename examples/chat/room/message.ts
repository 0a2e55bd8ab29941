import type { RawMessage, Stream } from "browser-stream-server";
import { cleanFileName, cleanName, cleanText } from "../clean-text.js";

/*
 * The protocol of a room. The host listens, so every stream is a guest's to open; its metadata says what for:
 *
 * - "join": one for each guest, for as long as it is there, with the guest's name. JSON messages, below, both ways.
 * - "fetch": a guest gets a file. The bytes come from the host, in order, until the end.
 * - "give": a guest hands in a file that somebody wants. The bytes go to the host.
 *
 * Files are announced and then pulled: the owner announces a file, and a receiver asks for it. A guest that wants a
 * guest's file fetches it from the host, which asks the owner to give it and pipes one stream into the other. So each
 * transfer is a stream of its own: talk never waits behind a file, a slow receiver slows nobody else, cancelling is
 * ending a stream, and the host holds nothing of a file that it passes on.
 */
export type RoomStream = Stream;

/** Somebody in a room. The host tells people apart by their ids, and sees to it that no two names look the same. */
export interface Person {
  id: string;
  name: string;
}

/** How a tab takes part in a room: it holds the room, or joined it. */
export type Role = "host" | "guest";

export const hostId = "host";

const maxTextLength = 8_192;
/** The host and 200 guests. */
export const maxPeople = 201;

/*
 * Each field is read by a function that returns undefined for a value of another kind. The peer may be anybody's
 * program, so text that people will see is cleaned here, before the rest of the page gets it.
 */
const text = (value: unknown) => (typeof value === "string" && value.length <= maxTextLength ? value : undefined);
const cleaned = (clean: (text: string) => string) => (value: unknown) => {
  const given = text(value);
  return given === undefined ? undefined : clean(given) || undefined;
};
const name = cleaned(cleanName);
const fileName = cleaned(cleanFileName);
const prose = cleaned(cleanText);
const bytes = (value: unknown) =>
  Number.isSafeInteger(value) && (value as number) >= 0 ? (value as number) : undefined;

const fieldsOfPerson = { id: text, name };
const people = (value: unknown): Person[] | undefined => {
  if (!Array.isArray(value) || value.length === 0 || value.length > maxPeople) return undefined;
  const all = value.map((each) => read(fieldsOfPerson, each));
  return all.every((each) => each !== undefined) ? all : undefined;
};

const shapes = {
  /** Host to guest, first of all: the guest's id, and the key that its fetch and give streams show. */
  welcome: { you: text, key: text },
  /** Host to guest: who is here, the host first. */
  people: { people },
  /** Guest to host: it has another name. */
  name: { name },
  /** Both ways; `from` is the host's to say. */
  chat: { from: name, text: prose },
  /** Both ways: an announcement. The id is random, so only those who were told can ask for the file. */
  file: { from: name, id: text, name: fileName, mime: text, sizeBytes: bytes },
  /** Host to the guest that announced the file: open a "give" stream for this transfer. */
  want: { file: text, transfer: text, to: name },
} as const;

type Fields = Record<string, (value: unknown) => unknown>;
type Read<F extends Fields> = { [K in keyof F]: Exclude<ReturnType<F[K]>, undefined> };
type Shapes = typeof shapes;
type MessageOf<K extends keyof Shapes> = { type: K } & Read<Shapes[K]>;
export type Message = { [K in keyof Shapes]: MessageOf<K> }[keyof Shapes];

export type FileAnnouncement = MessageOf<"file">;

export function sendMessage(stream: RoomStream, message: Message): void {
  stream.write(JSON.stringify(message));
}

/** Returns undefined for anything that is no message of this protocol. */
export function parseMessage(data: RawMessage): Message | undefined {
  if (typeof data !== "string") return undefined;
  try {
    const value = JSON.parse(data) as { type?: unknown } | null;
    const type = value?.type;
    if (typeof type !== "string" || !Object.hasOwn(shapes, type)) return undefined;
    const fields = read(shapes[type as keyof Shapes], value);
    return fields && ({ type, ...fields } as Message);
  } catch {
    return undefined;
  }
}

/** The fields of an object, or undefined if one of them is missing or wrong. */
function read<F extends Fields>(fields: F, value: unknown): Read<F> | undefined {
  if (typeof value !== "object" || value === null) return undefined;
  const entries = Object.entries(fields).map(([key, field]) => [key, field((value as Fields)[key])] as const);
  return entries.every(([, each]) => each !== undefined) ? (Object.fromEntries(entries) as Read<F>) : undefined;
}

/** A string that nobody can guess. `crypto.randomUUID` is missing where the page came over plain HTTP. */
export function randomKey(): string {
  return Array.from(crypto.getRandomValues(new Uint8Array(16)), (byte) => byte.toString(16).padStart(2, "0")).join("");
}

export function announcement(from: string, file: File): FileAnnouncement {
  const { name, type: mime, size: sizeBytes } = file;
  return { type: "file", from, id: randomKey(), name: cleanFileName(name), mime, sizeBytes };
}
