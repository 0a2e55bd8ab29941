import { Code, Failure, StreamError, StreamServer } from "browser-stream-server";
import { cleanName } from "../clean-text.js";
import { FileExchange } from "../file/file-exchange.js";
import type { Door } from "./door.js";
import { refusals } from "./ending.js";
import { Guest } from "./guest.js";
import {
  announcement,
  type FileAnnouncement,
  hostId,
  type Message,
  maxPeople,
  type Person,
  type RoomStream,
} from "./message.js";
import { distinctName, suggestPersonName } from "./own-name.js";
import { type Room, type RoomInit, RoomLife, type RoomObserver } from "./room.js";

/** Everyone is told who is here, once for all who come and go within this time: a room may fill with 200 at once. */
const peopleDelayMs = 50;

/** A room that this tab holds: it lets guests in, and passes their messages and announcements on. */
export class HostRoom implements Room {
  readonly role = "host";
  readonly door: Door;
  readonly #observer: RoomObserver;
  readonly #life: RoomLife;
  readonly #server: StreamServer;
  readonly #guests = new Map<string, Guest>();
  readonly #files: FileExchange;
  #ownName: string;
  #guestCount = 0;
  #peopleTimer: ReturnType<typeof setTimeout> | undefined;

  constructor({ relay, name, ownName }: RoomInit, door: Door, observer: RoomObserver) {
    this.door = door;
    this.#ownName = ownName;
    this.#observer = observer;
    this.#life = new RoomLife(observer);
    this.#files = new FileExchange((fileId, transfer) => observer.onSending(fileId, transfer));
    let failure: StreamError | undefined;
    this.#server = StreamServer(relay, (stream) => this.#onStream(stream))
      .on("ready", () => {
        this.#life.enter("open");
        this.#tellPeople();
      })
      .on("suspended", () => this.#life.suspend())
      .on("resumed", () => this.#life.resume())
      .on("error", (error) => {
        failure = error;
      })
      .on("close", () => this.#end(failure ?? "left"))
      .listen(name);
  }

  say(text: string): void {
    this.#tell({ type: "chat", from: this.#ownName, text });
  }

  offer(file: File): FileAnnouncement {
    const announced = announcement(this.#ownName, file);
    this.#files.offerOwn(announced.id, file);
    this.#tell(announced);
    return announced;
  }

  rename(name: string): void {
    this.#ownName = distinctName(name, this.#namesBeside(hostId));
    this.#onPeople();
  }

  /** Sends a guest away. */
  remove(id: string): void {
    const guest = [...this.#guests.values()].find((each) => each.id === id);
    const [code, reason] = refusals.removed;
    guest?.remove(new StreamError(reason, { failure: Failure.DECLINED, code }));
  }

  leave(): void {
    this.#end("left");
    void this.#server.end();
  }

  /** The stream is accepted when this, or its promise, is done; a rejected one is not. */
  #onStream(stream: RoomStream): void | Promise<void> {
    const { kind, key = "", file = "", transfer = "" } = stream.metadata;
    if (kind === "join") return this.#onJoin(stream);
    const guest = this.#guests.get(key);
    if (guest === undefined) return stream.reject(Code.PermissionDenied, "that is for guests of the room");
    guest.keep(stream);
    if (kind === "fetch") return this.#files.onFetch(guest, file, stream);
    if (kind === "give") return this.#files.onGive(guest, transfer, stream);
    stream.reject(Code.InvalidArgument, "a stream is there to join, to fetch or to give");
  }

  #onJoin(stream: RoomStream): void {
    const { key: former } = stream.metadata;
    if (!this.door.opensTo(former)) return stream.reject(...refusals.locked);
    if (this.#guests.size + 1 >= maxPeople) return stream.reject(...refusals.full);
    this.#guestCount += 1;
    const id = String(this.#guestCount);
    const name = cleanName(stream.metadata.name ?? "") || suggestPersonName();
    const guest = new Guest(id, distinctName(name, this.#namesBeside(id)), this.door.issueKey(former), stream);
    this.#guests.set(guest.key, guest);
    guest.onMessage = (message) => this.#onMessage(guest, message);
    guest.onGone = (how) => this.#onGone(guest, how);
    guest.tell({ type: "welcome", you: id, key: guest.key });
    guest.tell(this.#peopleMessage);
    this.#onPeople();
  }

  #onMessage(guest: Guest, message: Message): void {
    if (message.type === "name") {
      guest.name = distinctName(message.name, this.#namesBeside(guest.id));
      this.#onPeople();
    }
    if (message.type === "chat") {
      this.#tell({ ...message, from: guest.name }, guest);
      this.#observer.onChat(guest.name, message.text);
    }
    if (message.type === "file" && this.#files.offer(message.id, guest)) {
      const announced = { ...message, from: guest.name };
      this.#tell(announced, guest);
      this.#observer.onFile(announced, () => this.#files.receive(announced, this.#ownName));
    }
  }

  #onGone(guest: Guest, how: "for good" | "lost"): void {
    this.#guests.delete(guest.key);
    if (how === "for good") this.door.forgetKey(guest.key);
    this.#files.forget(guest);
    this.#onPeople();
  }

  #tell(message: Message, except?: Guest): void {
    for (const guest of this.#guests.values()) if (guest !== except) guest.tell(message);
  }

  #onPeople(): void {
    if (!this.#life.isOver) this.#peopleTimer ??= setTimeout(() => this.#tellPeople(), peopleDelayMs);
  }

  #tellPeople(): void {
    this.#peopleTimer = undefined;
    const message = this.#peopleMessage;
    this.#tell(message);
    this.#observer.onPeople(message.people, hostId);
  }

  get #peopleMessage() {
    return { type: "people", people: this.#people.map(({ id, name }) => ({ id, name })) } as const;
  }

  get #people(): Person[] {
    return [{ id: hostId, name: this.#ownName }, ...this.#guests.values()];
  }

  #namesBeside(id: string): string[] {
    return this.#people.filter((each) => each.id !== id).map(({ name }) => name);
  }

  #end(error: StreamError | "left"): void {
    this.#life.end(error);
    clearTimeout(this.#peopleTimer);
    for (const guest of this.#guests.values()) guest.dismiss();
  }
}
