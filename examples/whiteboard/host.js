import { StreamServer } from "browser-stream-server";
import { asWebSocket } from "browser-stream-server/websocket";
import { createDecoder, readVarUint, readVarUint8Array } from "lib0/decoding";
import { createEncoder, length, toUint8Array, writeVarUint, writeVarUint8Array } from "lib0/encoding";
import { Awareness, applyAwarenessUpdate, encodeAwarenessUpdate, removeAwarenessStates } from "y-protocols/awareness";
import { readSyncMessage, writeSyncStep1, writeUpdate } from "y-protocols/sync";
import { messageAwareness, messageSync } from "y-websocket";
import { Doc } from "yjs";

/**
 * The board of this tab, which serves it to all others: a server of y-websocket. A tab that is loaded again has its
 * name back, and gets the drawing from its guests.
 */
export function hostBoard(name, onStatus) {
  const doc = new Doc();
  const awareness = new Awareness(doc);
  const server = StreamServer(location.origin, (stream) => shareBoard(asWebSocket(stream), doc, awareness));
  server.on("ready", () => onStatus("connected"));
  server.on("suspended", () => onStatus("away"));
  server.on("resumed", () => onStatus("connected"));
  server.on("error", ({ message }) => onStatus("failed", message));
  server.listen(name);
  return { doc, awareness };
}

/** Keeps the documents of a guest and of this tab equal, and passes on who is where. */
function shareBoard(socket, doc, awareness) {
  const send = (type, write) => {
    const encoder = createEncoder();
    writeVarUint(encoder, type);
    write(encoder);
    // A message that has nothing but its type answers nothing.
    if (length(encoder) > 1) socket.send(toUint8Array(encoder));
  };
  const sendAwareness = (clients) =>
    send(messageAwareness, (encoder) => writeVarUint8Array(encoder, encodeAwarenessUpdate(awareness, clients)));

  const guests = new Set();
  const onUpdate = (update, origin) => {
    if (origin !== socket) send(messageSync, (encoder) => writeUpdate(encoder, update));
  };
  // A provider takes silence for a connection that is lost, so it hears its own words too.
  const onAwareness = ({ added, updated, removed }, origin) => {
    if (origin === socket) for (const client of added) guests.add(client);
    sendAwareness([...added, ...updated, ...removed]);
  };

  socket.binaryType = "arraybuffer";
  socket.onmessage = ({ data }) => {
    const decoder = createDecoder(new Uint8Array(data));
    const type = readVarUint(decoder);
    if (type === messageSync) send(messageSync, (encoder) => readSyncMessage(decoder, encoder, doc, socket));
    if (type === messageAwareness) applyAwarenessUpdate(awareness, readVarUint8Array(decoder), socket);
  };
  socket.onclose = () => {
    doc.off("update", onUpdate);
    awareness.off("update", onAwareness);
    removeAwarenessStates(awareness, [...guests], socket);
  };
  doc.on("update", onUpdate);
  awareness.on("update", onAwareness);
  send(messageSync, (encoder) => writeSyncStep1(encoder, doc));
  sendAwareness([...awareness.getStates().keys()]);
}
