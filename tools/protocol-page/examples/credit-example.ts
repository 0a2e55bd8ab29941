import { Endpoint } from "../../../stream/endpoint/endpoint.js";
import { costOf, takeFrames } from "../../../test/fakes/frames.js";
import { grouped, table } from "../tables/markdown.js";

const messageBytes = 20_000;
const messages = 6;
/** A small window makes the example short. */
const windowBytes = 65_536;

/** A table of the frames between an endpoint that writes more than its credit and a peer whose application reads. */
export function creditExample(): string {
  const [sender, receiver] = [new Endpoint({}, () => {}), new Endpoint({ windowBytes }, () => {})];
  sender.setPeer(receiver.capabilities);
  receiver.setPeer(sender.capabilities);
  const rows: string[][] = [];
  let [sentBytes, creditBytes, readMessages] = [0, windowBytes, 0];
  const row = (who: string, what: string) => rows.push([who, what, grouped(sentBytes), grouped(creditBytes)]);
  const say = (who: string, does: string) => {
    for (const frame of takeFrames(sender)) {
      sentBytes += costOf(frame);
      const parts = frame.messages.map(({ data, more }) => grouped(data.byteLength) + (more ? " and `more`" : ""));
      row(who, `${does}frame ${frame.sequence} with ${tally(parts)}, cost ${grouped(costOf(frame))}`);
      receiver.receive(frame);
    }
  };
  for (let at = 0; at < messages; at += 1) sender.write({ data: new Uint8Array(messageBytes), text: false });
  say("sender", `${messages} messages of ${grouped(messageBytes)} bytes are written; `);
  for (let message = receiver.read(); message !== undefined; message = receiver.read()) {
    readMessages += 1;
    for (const frame of takeFrames(receiver)) {
      creditBytes = Number(frame.credit);
      const unreadBytes = sentBytes + windowBytes - creditBytes;
      const sum = [sentBytes, "+", windowBytes, "−", unreadBytes].map((term) =>
        typeof term === "number" ? grouped(term) : term,
      );
      row("receiver", `its application has read ${readMessages} of them; a frame with credit ${sum.join(" ")}`);
      sender.receive(frame);
      say("sender", "");
    }
  }
  return table(["who", "what", "cost sent so far", "credit so far"], rows);
}

/** Counts equal neighbours, as in "3 × 10,000, 40". */
function tally(parts: string[]): string {
  const runs: { part: string; count: number }[] = [];
  for (const part of parts) {
    const last = runs.at(-1);
    if (last?.part === part) last.count += 1;
    else runs.push({ part, count: 1 });
  }
  return runs.map(({ part, count }) => (count === 1 ? part : `${count} × ${part}`)).join(", ");
}
