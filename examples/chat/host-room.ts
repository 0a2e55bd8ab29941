import { Code, Failure, StreamError, StreamServer } from "browser-stream-server";
import { refusals } from "./ending.js";
import { receiveFile, sendFile } from "./file-stream.js";
import { Guest, labelFor } from "./guest.js";
import { announcement, type FileAnnouncement, type Message, type RoomStream, randomKey } from "./message.js";
import { hostLabel, type Room, RoomLife, type RoomObserver } from "./room.js";
import { Transfer } from "./transfer.js";

const maxGuests = 20;
const maxFilesPerGuest = 1_000;

/** Somebody wants a guest's file; the guest was asked to open a stream with it. */
interface Request {
  owner: Guest;
  take(stream: RoomStream): void;
  fail(): void;
}

/** A room that this tab holds: it passes on what guests say and announce, and knows who has which file. */
export class HostRoom implements Room {
  readonly role = "host";
  locked = false;
  readonly #observer: RoomObserver;
  readonly #life: RoomLife;
  readonly #server: StreamServer;
  readonly #guests = new Map<string, Guest>();
  readonly #ownFiles = new Map<string, File>();
  readonly #owners = new Map<string, Guest>();
  readonly #requests = new Map<string, Request>();

  constructor(
    relay: URL,
    readonly name: string,
    observer: RoomObserver,
  ) {
    this.#observer = observer;
    this.#life = new RoomLife(observer);
    let failure: StreamError | undefined;
    this.#server = StreamServer(relay, (stream) => this.#onStream(stream))
      .on("ready", () => {
        this.#life.enter("open");
        this.#onPeople();
      })
      .on("error", (error) => {
        failure = error;
      })
      .on("close", () => {
        this.#life.end(failure ?? "left");
        this.#dismissAll();
      })
      .listen(name);
  }

  say(text: string): void {
    this.#tell({ type: "chat", from: hostLabel, text });
  }

  offer(file: File): FileAnnouncement {
    const announced = announcement(hostLabel, file);
    this.#ownFiles.set(announced.id, file);
    this.#tell(announced);
    return announced;
  }

  fetch(file: FileAnnouncement): Transfer {
    const transfer = new Transfer(file.from, file.sizeBytes);
    this.#ask(file.id, hostLabel, {
      take: (stream) => void receiveFile(transfer, file, stream),
      fail: () => transfer.fail(noSuchFile()),
    });
    return transfer;
  }

  remove(label: string): void {
    const guest = [...this.#guests.values()].find((each) => each.label === label);
    const [code, reason] = refusals.removed;
    guest?.dismiss(new StreamError(reason, { failure: Failure.DECLINED, code }));
  }

  leave(): void {
    this.#life.end("left");
    void this.#server.end();
    this.#dismissAll();
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
    if (this.locked) return stream.reject(...refusals.locked);
    if (this.#guests.size >= maxGuests) return stream.reject(...refusals.full);
    const taken = new Set([...this.#guests.values()].map(({ label }) => label));
    const guest = new Guest(labelFor(taken), stream);
    this.#guests.set(guest.key, guest);
    guest.onMessage = (message) => this.#onMessage(guest, message);
    guest.onGone = () => this.#onGone(guest);
    guest.tell({ type: "welcome", you: guest.label, key: guest.key });
    this.#onPeople();
  }

  #onMessage(guest: Guest, message: Message): void {
    if (message.type === "chat") {
      this.#tell({ ...message, from: guest.label }, guest);
      this.#observer.onChat(guest.label, message.text);
    }
    if (message.type === "file" && guest.announcedFiles < maxFilesPerGuest && !this.#owners.has(message.id)) {
      guest.announcedFiles += 1;
      this.#owners.set(message.id, guest);
      const announced = { ...message, from: guest.label };
      this.#tell(announced, guest);
      this.#observer.onFile(announced);
    }
  }

  #onGone(guest: Guest): void {
    this.#guests.delete(guest.key);
    for (const [id, owner] of this.#owners) if (owner === guest) this.#owners.delete(id);
    for (const [id, request] of this.#requests) {
      if (request.owner !== guest) continue;
      this.#requests.delete(id);
      request.fail();
    }
    if (!this.#life.isOver) this.#onPeople();
  }

  #onFetch(guest: Guest, fileId: string, stream: RoomStream): void | Promise<void> {
    const file = this.#ownFiles.get(fileId);
    if (file !== undefined) {
      const transfer = new Transfer(guest.label, file.size);
      this.#observer.onSending(fileId, transfer);
      return void sendFile(transfer, file, stream);
    }
    return new Promise((decided) => {
      const forget = this.#ask(fileId, guest.label, {
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
    const labels = [hostLabel, ...[...this.#guests.values()].map(({ label }) => label)];
    this.#tell({ type: "people", labels });
    this.#observer.onPeople(labels, hostLabel);
  }

  #dismissAll(): void {
    for (const guest of this.#guests.values()) guest.dismiss();
  }
}

function noSuchFile(): StreamError {
  return new StreamError("the file is not offered any more", { failure: Failure.DECLINED, code: Code.NotFound });
}
