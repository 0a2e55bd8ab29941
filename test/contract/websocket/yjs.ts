import { StreamServer } from "browser-stream-server";
import { asWebSocket, type StreamWebSocket } from "browser-stream-server/websocket";
import { createDecoder, readVarUint } from "lib0/decoding";
import { createEncoder, type Encoder, length, toUint8Array, writeVarUint } from "lib0/encoding";
import { readSyncMessage, writeSyncStep1, writeUpdate } from "y-protocols/sync";
import { messageSync, WebsocketProvider } from "y-websocket";
import { Doc } from "yjs";
import type { Library } from "./library.js";

/** Keeps a document equal with that of a provider: the part of a server of y-websocket that is not about files. */
function shareDocument(doc: Doc, socket: StreamWebSocket): void {
  socket.binaryType = "arraybuffer";
  const send = (write: (encoder: Encoder) => void) => {
    const encoder = createEncoder();
    writeVarUint(encoder, messageSync);
    write(encoder);
    if (length(encoder) > 1) socket.send(toUint8Array(encoder));
  };
  const onUpdate = (update: Uint8Array, origin: unknown) => {
    if (origin !== socket) send((encoder) => writeUpdate(encoder, update));
  };
  socket.onmessage = ({ data }) => {
    const decoder = createDecoder(new Uint8Array(data));
    if (readVarUint(decoder) === messageSync) send((encoder) => readSyncMessage(decoder, encoder, doc, socket));
  };
  socket.onclose = () => doc.off("update", onUpdate);
  doc.on("update", onUpdate);
  send((encoder) => writeSyncStep1(encoder, doc));
}

const steps = (doc: Doc) => doc.getArray<number>("steps");
/** The numbers that the server has written in answer. */
const answers = (doc: Doc) => doc.getArray<number>("answers");

export const yjs: Library = {
  name: "Yjs",
  async serve(relayUrl, name) {
    let sockets = 0;
    const doc = new Doc();
    steps(doc).observe(({ changes }) => {
      for (const { insert } of changes.delta) answers(doc).push((insert as number[] | undefined) ?? []);
    });
    const server = StreamServer(relayUrl, (stream) => {
      sockets += 1;
      shareDocument(doc, asWebSocket(stream));
    }).listen(name);
    await server.ready;
    return { sockets: () => sockets, end: () => server.end() };
  },
  async connect(WebSocketPolyfill, url) {
    const doc = new Doc();
    // Tabs of one browser would also talk without the server.
    const provider = new WebsocketProvider(url, "room", doc, { WebSocketPolyfill, disableBc: true });
    return {
      async exchange(step) {
        const answered = new Promise<void>((resolve) => {
          answers(doc).observe(() => answers(doc).toArray().includes(step) && resolve());
        });
        steps(doc).push([step]);
        await answered;
        return answers(doc).toArray();
      },
      async close() {
        provider.destroy();
        doc.destroy();
      },
    };
  },
};
