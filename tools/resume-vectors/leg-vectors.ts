import { Code } from "@connectrpc/connect";
import { Failure, Hop } from "../../gen/streamserver/v1/failure_pb.js";
import { initialCreditBytes } from "../../stream/endpoint/sender.js";
import type { ResumeVector } from "./resume-vector.js";
import { ack, data, name, vector } from "./scripted-stream.js";
import type { FrameInit } from "./vector-script.js";

/** Legs break, and everything is there in the end. */
export const legVectors: readonly ResumeVector[] = [
  vector(
    "the client's leg breaks",
    "A frame is lost with the client's leg. The client sends it again, with its old number, and what it wrote meanwhile.",
    (stream) => {
      const { client, listener } = stream;
      stream.begins();
      stream.says(1, "one");
      stream.loses("client", 2, "two");
      client.breaks();
      client.writes("three");
      stream.hearsOfBreak("listener");
      stream.attachesAgain("client");
      stream.goesOn("client", 1, data(2, ["two"]), data(3, ["three"]));
      stream.goesOn("listener", 0);
      stream.arrives("client");
      stream.arrives("listener");
      listener.reads("two", "three");
      listener.writes("four");
      stream.toClient(data(1, ["four"], ack(3)));
      client.reads("four");
      stream.ends(4, 2);
    },
  ),
  vector(
    "the listener's leg breaks, and the client sends again what the relay had",
    "The relay holds a frame for the listener, and the client cannot know. It comes twice, and is read once.",
    (stream) => {
      const { listener } = stream;
      stream.begins();
      stream.says(1, "one");
      stream.loses("client", 2, "two");
      listener.breaks();
      stream.hearsOfBreak("client");
      stream.attachesAgain("listener");
      stream.goesOn("listener", 0);
      listener.getsFrame(data(2, ["two"]));
      listener.reads("two");
      stream.goesOn("client", 1, data(2, ["two"]));
      stream.arrives("client");
      stream.arrives("listener");
      stream.says(3, "three");
      stream.ends(4, 1);
    },
  ),
  vector(
    "both legs break",
    "A frame is lost each way. The listener comes first and waits for the client.",
    (stream) => {
      const { client, listener } = stream;
      stream.begins();
      stream.says(1, "one");
      stream.loses("client", 2, "two");
      stream.loses("listener", 1, "zwei");
      client.breaks();
      listener.breaks();
      stream.attachesAgain("listener");
      stream.isSuspended("listener");
      stream.attachesAgain("client");
      stream.goesOn("client", 1, data(2, ["two"]));
      stream.goesOn("listener", 0, data(1, ["zwei"]));
      stream.arrives("client");
      listener.reads("two");
      stream.arrives("listener");
      client.reads("zwei");
      stream.ends(3, 2);
    },
  ),
  vector(
    "an attempt gets no answer, and another one breaks before the stream is resumed",
    "The generation is 1 more for each Open, and the newest token counts.",
    (stream) => {
      const { client, listener } = stream;
      stream.begins();
      stream.loses("client", 1, "one");
      client.breaks();
      stream.hearsOfBreak("listener");
      stream.triesAgain("client");
      client.add({ does: "breaks", leg: client.leg });
      stream.attachesAgain("client");
      client.add({ does: "breaks", leg: client.leg });
      stream.attachesAgain("client");
      stream.goesOn("client", 0, data(1, ["one"]));
      stream.goesOn("listener", 0);
      stream.arrives("client");
      stream.arrives("listener");
      listener.reads("one");
      listener.add({ does: "acknowledges" });
      stream.toClient(ack(1));
      stream.ends(2, 1);
    },
  ),
  vector(
    "the relay is restarted with its key",
    "For the endpoints it is the same as when both legs break. The client comes first.",
    (stream) => {
      const { client, listener } = stream;
      stream.begins();
      stream.says(1, "one");
      stream.tells(2, "two");
      stream.loses("client", 3, "three");
      client.breaks();
      listener.breaks();
      stream.attachesAgain("client");
      stream.isSuspended("client");
      stream.attachesAgain("listener");
      stream.goesOn("listener", 0);
      stream.goesOn("client", 2, data(3, ["three"]));
      stream.arrives("client");
      stream.arrives("listener");
      listener.reads("three");
      listener.add({ does: "acknowledges" });
      stream.toClient(ack(3));
      stream.ends(4, 1);
    },
  ),
  vector(
    "the new leg takes the place of one that looks alive",
    "The client has given its leg up, and the relay has not noticed. The end of the old leg with FAILURE_FENCED is expected.",
    (stream) => {
      const { client, listener } = stream;
      stream.begins();
      stream.says(1, "one");
      stream.loses("client", 2, "two");
      stream.loses("listener", 1, "zwei");
      client.breaks();
      stream.triesAgain("client");
      client.isRefused(Code.Aborted, { failure: Failure.FENCED, hop: Hop.CALLER }, 0);
      stream.isOpened("client");
      stream.goesOn("client", 1, data(2, ["two"]));
      stream.goesOn("listener", 0, data(1, ["zwei"]));
      stream.arrives("client");
      listener.reads("two");
      stream.arrives("listener");
      client.reads("zwei");
      stream.ends(3, 2);
    },
  ),
  vector(
    "a leg breaks between two parts of a message",
    "The listener has the first part of a message, and gets the second one on its next leg. The first one comes twice.",
    (stream) => {
      const { listener } = stream;
      const part = (sequence: number, said: string, more: boolean): FrameInit => ({
        sequence,
        messages: [{ data: new TextEncoder().encode(said), text: sequence === 1, more }],
      });
      stream.isOffered();
      stream.accepts();
      listener.getsFrame(part(1, "good", true));
      listener.breaks();
      stream.attachesAgain("listener");
      stream.goesOn("listener", 0);
      listener.getsFrame(part(1, "good", true));
      listener.getsFrame(part(2, "bye", false));
      listener.reads("goodbye");
      listener.add({ does: "acknowledges" });
      listener.sendsFrame(ack(2));
    },
  ),
  vector(
    "a grant is lost",
    "The listener's window is larger than the initial credit, so it grants at once. It says the same again on its next leg.",
    (stream) => {
      const { client, listener } = stream;
      const credit = { credit: 131_072 };
      stream.begins();
      listener.sendsFrame(credit);
      listener.breaks();
      stream.hearsOfBreak("client");
      stream.attachesAgain("listener");
      stream.goesOn("listener", 0);
      stream.goesOn("client", 0);
      stream.arrives("client");
      stream.arrives("listener");
      client.writes("one");
      stream.toListener(data(1, ["one"]));
      listener.reads("one");
    },
    { client: initialCreditBytes, listener: 131_072 },
  ),
  vector(
    "the client's leg breaks before the listener has accepted",
    "The client sets its name again, and gets accepted and resumed once the listener has taken the offer.",
    (stream) => {
      const { client, listener } = stream;
      stream.opens();
      stream.loses("client", 1, "one");
      client.breaks();
      stream.isOffered();
      stream.accepts();
      stream.hearsOfBreak("listener");
      stream.triesAgain("client", { name });
      stream.isOpened("client");
      stream.isAccepted();
      stream.goesOn("client", 0, data(1, ["one"]));
      stream.goesOn("listener", 0);
      stream.arrives("client");
      stream.arrives("listener");
      listener.reads("one");
      listener.add({ does: "acknowledges" });
      stream.toClient(ack(1));
      stream.ends(2, 1);
    },
  ),
];
