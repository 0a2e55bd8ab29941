import { setTimeout as sleep } from "node:timers/promises";
import type { ClientConnection, Contender } from "../contender.ts";
import { pairings } from "../traffic/pairings.ts";
import { Question } from "../traffic/question.ts";
import type { ClientCalls, ConnectionLayout } from "./calls.ts";
import { partyCalls } from "./usage.ts";

/** Streams that are opened at the same time. A relay limits the offers that wait at a listener. */
const openAtOnce = 32;
/** A stream counts as full when it has had no room for this long. */
const fullAfterMs = 500;

/** The calls of the process that connects. */
export function createClient(contender: Contender): ClientCalls {
  const connections = new Map<number, Promise<ClientConnection>>();
  const groups = new Map<number, Question[]>();
  let lastGroup = 0;

  const connection = (port: number, ordinal: number) => {
    let made = connections.get(ordinal);
    made ??= contender.client(port, ordinal);
    connections.set(ordinal, made);
    return made;
  };
  const group = (number: number): Question[] => groups.get(number) ?? [];

  return {
    ...partyCalls,
    async open(port, { name, count, firstConnection, perConnection }: ConnectionLayout) {
      const questions: Question[] = [];
      let next = 0;
      const openSome = async () => {
        while (next < count) {
          const ordinal = firstConnection + Math.floor(next++ / perConnection);
          const question = new Question(await (await connection(port, ordinal)).open(`${name}${ordinal}`));
          await question.echo();
          questions.push(question);
        }
      };
      await Promise.all(Array.from({ length: Math.min(count, openAtOnce) }, openSome));
      groups.set(++lastGroup, questions);
      return lastGroup;
    },
    async close(number) {
      const questions = group(number);
      groups.delete(number);
      for (const { stream } of questions) stream.end();
      await Promise.all(questions.map(({ stream }) => stream.closed));
    },
    flow: (number, order) => Promise.all(group(number).map((question) => question.flow(order))),
    pings: async (number, durationMs) =>
      (await Promise.all(group(number).map((question) => question.pings(durationMs)))).flat(),
    async pairings(port, name, atOnce, durationMs) {
      const { open } = await connection(port, 0);
      return pairings(() => open(name), atOnce, durationMs);
    },
    async fill(number, messageBytes, maxBytesPerStream) {
      const isFull = () => sleep(fullAfterMs);
      const taken = group(number).map((question) => question.fill(messageBytes, maxBytesPerStream, isFull));
      return (await Promise.all(taken)).reduce((sum, bytes) => sum + bytes, 0);
    },
  };
}
