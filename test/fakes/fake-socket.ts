import { create, toBinary } from "@bufbuild/protobuf";
import { LinkMessageSchema, type Packet } from "../../gen/streamserver/v1/link_pb.js";
import { decodeLinkMessage, encodePackets, type IncomingPacket } from "../../link/packet/link-message.js";

/** A browser's WebSocket to a relay that reads when the test does. */
export class FakeSocket {
  static last: FakeSocket;
  readonly sent: Uint8Array<ArrayBuffer>[] = [];
  onmessage: (event: { data: ArrayBuffer | string }) => void = () => {};
  bufferedAmount = 0;
  /** The code that it was closed with. */
  closeCode: number | undefined;

  constructor() {
    FakeSocket.last = this;
  }

  /** Copies the bytes, as a browser has when `send` returns. */
  send(bytes: Uint8Array): void {
    this.sent.push(new Uint8Array(bytes));
    this.bufferedAmount += bytes.byteLength;
  }

  /** The relay reads all that waits. */
  read(): IncomingPacket[] {
    this.bufferedAmount = 0;
    return this.sent.splice(0).flatMap((message) => decodeLinkMessage(message).packets);
  }

  /** The relay opens the link. */
  open(maxBatchBytes = 65_536, maxPacketBytes = 16_384): void {
    const opened = { maxChannels: 8, maxPacketBytes, maxBatchBytes, heartbeatIntervalMs: 15_000 };
    this.say(toBinary(LinkMessageSchema, create(LinkMessageSchema, { opened })));
  }

  say(message: Uint8Array | string): void {
    this.onmessage({ data: typeof message === "string" ? message : new Uint8Array(message).buffer });
  }

  answer(...packets: Packet[]): void {
    this.say(encodePackets(packets).joined);
  }

  close(code?: number): void {
    this.closeCode = code;
  }
}
