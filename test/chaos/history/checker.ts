import { Failure, Hop, type StreamError } from "browser-stream-server";
import { resetCode, type Side } from "../parties/side.ts";
import { type History, isSurvivable } from "./history.ts";

/** The failures of a stream whose client was never told that it is open, while something was broken or reset. */
const failuresOfOpening = new Set([
  Failure.LEG_LOST,
  Failure.DRAINING,
  Failure.NO_SUCH_NAME,
  Failure.NOT_ACCEPTED_IN_TIME,
  Failure.LISTENER_GONE,
  Failure.OFFER_GONE,
]);

/** The failures of a stream that one of its parties could not take up again in time. */
const failuresOfLoss = new Set([Failure.LEG_LOST, Failure.STREAM_GONE]);

/** Returns everything that is wrong with how a stream ended for its two sides, of whom both have settled. */
export function problemsOf(client: Side, listener: Side, history: History): string[] {
  return [client, listener].flatMap((side) => {
    const problems = [...side.problems, ...endProblems(side, client, history)];
    return problems.map((problem) => `${side.party}: ${problem}`);
  });
}

function endProblems(side: Side, client: Side, history: History): string[] {
  const { outcome, peer } = side;
  if (!side.hasStream && outcome.kind === "pending") {
    return peer.outcome.kind === "clean" ? ["the peer ended well, and there never was a stream here"] : [];
  }
  switch (outcome.kind) {
    case "pending":
      return [`waits for ever, ${side.state}, with ${side.received} of ${peer.written.length} messages`];
    case "clean":
      return cleanProblems(side);
    case "failed":
      return [
        ...(isFitting(outcome.error, side, client, history)
          ? []
          : [`failed with ${describe(outcome.error)} after ${side.received} of ${peer.written.length} messages`]),
        ...accountProblems(outcome.error, side),
      ];
  }
}

function cleanProblems(side: Side): string[] {
  const problems: string[] = [];
  if (!side.hasEnded || !side.peer.hasEnded) problems.push("closed well, though one side did not end");
  // A stream that is destroyed after it was closed well drops what was not read.
  if (side.hasReset) return problems;
  if (side.received !== side.peer.written.length) {
    problems.push(`closed well with ${side.received} of ${side.peer.written.length} messages`);
  }
  if (!side.isToldEnd) problems.push("closed well and was not told the end");
  return problems;
}

function isFitting(error: StreamError, side: Side, client: Side, history: History): boolean {
  const hasReset = side.hasReset || side.peer.hasReset;
  if (error.code === resetCode) return hasReset;
  if (!client.isOpened && hasReset && error.failure === Failure.OFFER_GONE) return true;
  const hasFault = history.steps.some(({ kind }) => kind === "cut" || kind === "spell" || kind === "relay");
  if (!hasFault) return false;
  if (!client.isOpened && failuresOfOpening.has(error.failure)) return true;
  // A reset may be lost with the connection that it was handed to, or find no relay.
  return (side.peer.hasReset || !isSurvivable(history)) && failuresOfLoss.has(error.failure);
}

/** The account is at most what was received, and exactly that if it is final. A side that paused may hold more. */
function accountProblems({ delivery }: StreamError, { written, peer }: Side): string[] {
  if (delivery === undefined) return [];
  const { messages, isFinal } = delivery;
  const told = `the account says ${messages}${isFinal ? ", finally," : ""}`;
  if (messages > written.length) return [`${told} of ${written.length} messages written`];
  if (peer.hasPaused) return [];
  if (messages > peer.received) return [`${told} and the peer received ${peer.received}`];
  if (isFinal && messages < peer.received) return [`${told} and the peer received ${peer.received}`];
  return [];
}

export function describe({ failure, code, hop, message }: StreamError): string {
  return `${Failure[failure]} (code ${code}, hop ${Hop[hop]}): ${message}`;
}
