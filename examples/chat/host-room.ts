import { Code, Failure, StreamError, StreamServer } from "browser-stream-server";
import { cleanName } from "./clean-text.js";
import type { Door } from "./door.js";
import { refusals } from "./ending.js";
import { receiveFile, sendFile } from "./file-stream.js";
import { Guest } from "./guest.js";
import {
  announcement,
  type FileAnnouncement,
  hostId,
  type Message,
  maxPeople,
  type Person,
  type RoomStream,
  randomKey,
} from "./message.js";
import { distinctName, suggestPersonName } from "./own-name.js";
import { type Room, type RoomInit, RoomLife, type RoomObserver } from "./room.js";
import { Transfer } from "./transfer.js";

const maxFilesPerGuest = 1_000;
/** Everyone is told who is here, so what happens within this time is told at once: when a room fills, it is many. */
const peopleDelayMs = 50;

/** Somebody wants a guest's file; the guest was asked to open a stream with it. */
interface Request {
  owner: Guest;
  take(stream: RoomStream): void;
  fail(): void;
}

/** A room that this tab holds: it passes on what guests say and announce, and knows who has which file. */
export class HostRoom implements Room {
  readonly role = "host";
  readonly door: Door;
  readonly #observer: RoomObserver;
  readonly #life: RoomLife;
  readonly #server: StreamServer;
  readonly #guests = new Map<string, Guest>();
  readonly #ownFiles = new Map<string, File>();
  readonly #owners = new Map<string, Guest>();
  readonly #requests = new Map<string, Request>();
  #ownName: string;
  #guestCount = 0;
  #peopleTimer: ReturnType<typeof setTimeout> | undefined;

  constructor({ relay, name, ownName }: RoomInit, door: Door, observer: RoomObserver) {
    this.door = door;
    this.#ownName = ownName;
    this.#observer = observer;
    this.#life = new RoomLife(observer);
    let failure: StreamError | undefined;
    this.#server = StreamServer(relay, (stream) => this.#onStream(stream))
      .on("ready", () => {
        this.#life.enter("open");
        this.#tellPeople();
      })
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
    this.#ownFiles.set(announced.id, file);
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
    if (kind === "fetch") return this.#onFetch(guest, file, stream);
    if (kind === "give") return this.#onGive(guest, transfer, stream);
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
    if (message.type === "file" && guest.announcedFiles < maxFilesPerGuest && !this.#owners.has(message.id)) {
      guest.announcedFiles += 1;
      this.#owners.set(message.id, guest);
      const announced = { ...message, from: guest.name };
      this.#tell(announced, guest);
      this.#observer.onFile(announced, () => this.#fetch(announced));
    }
  }

  #onGone(guest: Guest, how: "for good" | "lost"): void {
    this.#guests.delete(guest.key);
    if (how === "for good") this.door.forgetKey(guest.key);
    for (const [id, owner] of this.#owners) if (owner === guest) this.#owners.delete(id);
    for (const [id, request] of this.#requests) {
      if (request.owner !== guest) continue;
      this.#requests.delete(id);
      request.fail();
    }
    this.#onPeople();
  }

  #fetch(file: FileAnnouncement): Transfer {
    const transfer = new Transfer(file.from, file.sizeBytes);
    this.#ask(file.id, this.#ownName, {
      take: (stream) => void receiveFile(transfer, file, stream),
      fail: () => transfer.fail(noSuchFile()),
    });
    return transfer;
  }

  #onFetch(guest: Guest, fileId: string, stream: RoomStream): void | Promise<void> {
    const file = this.#ownFiles.get(fileId);
    if (file !== undefined) {
      const transfer = new Transfer(guest.name, file.size);
      this.#observer.onSending(fileId, transfer);
      return void sendFile(transfer, file, stream);
    }
    return new Promise((decided) => {
      const forget = this.#ask(fileId, guest.name, {
        take: (source) => {
          decided();
          source.end();
          // Either's failure ends the other, and each has its own way to tell.
          source.readable.pipeTo(stream.writable).catch(() => {});
        },
        fail: () => {
          stream.reject(Code.NotFound, noSuchFile().message);
          decided();
        },
      });
      const onClosed = () => {
        forget();
        decided();
      };
      stream.closed.then(onClosed, onClosed);
    });
  }

  #onGive(guest: Guest, transferId: string, stream: RoomStream): void {
    const request = this.#requests.get(transferId);
    if (request?.owner !== guest) return stream.reject(Code.Canceled, "nobody wants it any more");
    this.#requests.delete(transferId);
    request.take(stream);
  }

  /** Asks a file's owner to give it. Returns what forgets the request. */
  #ask(fileId: string, to: string, request: Omit<Request, "owner">): () => void {
    const owner = this.#owners.get(fileId);
    const id = randomKey();
    if (owner === undefined) queueMicrotask(() => request.fail());
    else {
      this.#requests.set(id, { ...request, owner });
      owner.tell({ type: "want", file: fileId, transfer: id, to });
    }
    return () => this.#requests.delete(id);
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

function noSuchFile(): StreamError {
  return new StreamError("the file is not offered any more", { failure: Failure.DECLINED, code: Code.NotFound });
}
