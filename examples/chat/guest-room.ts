import { StreamClient, type StreamError } from "browser-stream-server";
import { receiveFile, sendFile } from "./file-stream.js";
import {
  announcement,
  type FileAnnouncement,
  type Message,
  parseMessage,
  type RoomStream,
  sendMessage,
} from "./message.js";
import { type Room, RoomLife, type RoomObserver } from "./room.js";
import { Transfer } from "./transfer.js";

/** What listens on the name may be no room at all, and then never says welcome. */
const welcomeTimeoutMs = 10_000;

/** A room that another tab holds. */
export class GuestRoom implements Room {
  readonly role = "guest";
  readonly #client: StreamClient;
  readonly #observer: RoomObserver;
  readonly #life: RoomLife;
  readonly #stream: RoomStream;
  readonly #files = new Map<string, File>();
  #self = "";
  #key = "";

  constructor(
    relay: URL,
    readonly name: string,
    observer: RoomObserver,
  ) {
    this.#observer = observer;
    this.#life = new RoomLife(observer);
    this.#client = StreamClient(relay);
    this.#stream = this.#client.connect(name, { metadata: { kind: "join" } });
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
      .on("end", () => {
        this.#life.end("gone");
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
    sendMessage(this.#stream, { type: "chat", from: this.#self, text });
  }

  offer(file: File): FileAnnouncement {
    const announced = announcement(this.#self, file);
    this.#files.set(announced.id, file);
    sendMessage(this.#stream, announced);
    return announced;
  }

  fetch(file: FileAnnouncement): Transfer {
    const transfer = new Transfer(file.from, file.sizeBytes);
    const metadata = { kind: "fetch", key: this.#key, file: file.id };
    void receiveFile(transfer, file, this.#client.connect(this.name, { metadata }));
    return transfer;
  }

  leave(): void {
    this.#life.end("left");
    this.#stream.end();
  }

  #onMessage(message: Message): void {
    switch (message.type) {
      case "welcome":
        this.#self = message.you;
        this.#key = message.key;
        return this.#life.enter("joined");
      case "people":
        return this.#observer.onPeople(message.labels, this.#self);
      case "chat":
        return this.#observer.onChat(message.from, message.text);
      case "file":
        return this.#observer.onFile(message);
      case "want":
        return this.#give(message.file, message.transfer, message.to);
    }
  }

  #give(fileId: string, transferId: string, to: string): void {
    const file = this.#files.get(fileId);
    if (file === undefined) return;
    const transfer = new Transfer(to, file.size);
    this.#observer.onSending(fileId, transfer);
    const metadata = { kind: "give", key: this.#key, transfer: transferId };
    void sendFile(transfer, file, this.#client.connect(this.name, { metadata }));
  }

  #giveUp(): void {
    if (this.#self !== "") return;
    this.#life.end("no-answer");
    this.#stream.destroy();
  }
}
