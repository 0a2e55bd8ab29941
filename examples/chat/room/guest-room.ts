import { StreamClient, type StreamError } from "browser-stream-server";
import { receiveFile, sendFile } from "../file/file-stream.js";
import { Transfer } from "../file/transfer.js";
import { recall, remember } from "../memory.js";
import {
  announcement,
  type FileAnnouncement,
  type Message,
  parseMessage,
  type RoomStream,
  sendMessage,
} from "./message.js";
import { type Room, type RoomInit, RoomLife, type RoomObserver } from "./room.js";

/** The program that listens on the name may be no room at all, and then never says welcome. */
const welcomeTimeoutMs = 10_000;

const storageKey = "guest-key";

/** The key that lets this tab's guest back into the room that it was in last, though it may be locked by now. */
function recallKey(room: string): string | undefined {
  const [key, ...name] = (recall("tab", storageKey) ?? "").split(" ");
  return name.join(" ") === room ? key : undefined;
}

function rememberKey(room: string, key: string): void {
  remember("tab", storageKey, `${key} ${room}`);
}

/** A room that another tab holds. */
export class GuestRoom implements Room {
  readonly role = "guest";
  readonly #name: string;
  readonly #client: StreamClient;
  readonly #observer: RoomObserver;
  readonly #life: RoomLife;
  readonly #stream: RoomStream;
  readonly #files = new Map<string, File>();
  #ownName: string;
  #id = "";
  #key = "";

  constructor({ relay, name, ownName }: RoomInit, observer: RoomObserver) {
    this.#name = name;
    this.#ownName = ownName;
    this.#observer = observer;
    this.#life = new RoomLife(observer);
    this.#client = StreamClient(relay);
    const key = recallKey(name);
    this.#stream = this.#client.connect(name, { metadata: { kind: "join", name: ownName, ...(key && { key }) } });
    let failure: StreamError | undefined;
    let timer: ReturnType<typeof setTimeout> | undefined;
    this.#stream
      .on("open", () => {
        timer = setTimeout(() => this.#giveUp(), welcomeTimeoutMs);
      })
      .on("data", (data) => {
        const message = parseMessage(data);
        if (message?.type === "welcome") clearTimeout(timer);
        if (message !== undefined && !this.#life.isOver) this.#onMessage(message);
      })
      .on("suspended", () => this.#life.suspend())
      .on("resumed", () => this.#life.resume())
      .on("end", () => {
        this.#life.end("closed");
        this.#stream.end();
      })
      .on("error", (error) => {
        failure = error;
      })
      .on("close", () => {
        clearTimeout(timer);
        this.#life.end(failure ?? "gone");
      });
  }

  say(text: string): void {
    sendMessage(this.#stream, { type: "chat", from: this.#ownName, text });
  }

  offer(file: File): FileAnnouncement {
    const announced = announcement(this.#ownName, file);
    this.#files.set(announced.id, file);
    sendMessage(this.#stream, announced);
    return announced;
  }

  rename(name: string): void {
    this.#ownName = name;
    sendMessage(this.#stream, { type: "name", name });
  }

  leave(): void {
    this.#life.end("left");
    this.#stream.end();
  }

  #onMessage(message: Message): void {
    switch (message.type) {
      case "welcome":
        this.#id = message.you;
        this.#key = message.key;
        rememberKey(this.#name, message.key);
        return this.#life.enter("joined");
      case "people":
        return this.#observer.onPeople(message.people, this.#id);
      case "chat":
        return this.#observer.onChat(message.from, message.text);
      case "file":
        return this.#observer.onFile(message, () => this.#fetch(message));
      case "want":
        return this.#give(message.file, message.transfer, message.to);
    }
  }

  #fetch(file: FileAnnouncement): Transfer {
    const transfer = new Transfer(file.from, file.sizeBytes);
    const metadata = { kind: "fetch", key: this.#key, file: file.id };
    void receiveFile(transfer, file, this.#client.connect(this.#name, { metadata }));
    return transfer;
  }

  #give(fileId: string, transferId: string, to: string): void {
    const file = this.#files.get(fileId);
    if (file === undefined) return;
    const transfer = new Transfer(to, file.size);
    this.#observer.onSending(fileId, transfer);
    const metadata = { kind: "give", key: this.#key, transfer: transferId };
    void sendFile(transfer, file, this.#client.connect(this.#name, { metadata }));
  }

  #giveUp(): void {
    if (this.#id !== "") return;
    this.#life.end("no-answer");
    this.#stream.destroy();
  }
}
