import type { Contender } from "../contender.ts";
import { answer } from "../traffic/answer.ts";
import type { ListenerCalls } from "./calls.ts";
import { partyCalls } from "./usage.ts";

/** Names that are claimed at the same time, as many as streams are opened at the same time. */
const listenAtOnce = 32;

/** The calls of the process that listens. */
export function createListener(contender: Contender): ListenerCalls {
  return {
    ...partyCalls,
    async listen(port, { name, count, firstConnection, perConnection }) {
      const connections = await Promise.all(
        Array.from({ length: Math.ceil(count / perConnection) }, (_, ordinal) =>
          contender.listener(port, firstConnection + ordinal),
        ),
      );
      let next = 0;
      const listenSome = async () => {
        while (next < count) {
          const ordinal = next++;
          await connections[Math.floor(ordinal / perConnection)]?.listen(
            `${name}${firstConnection + ordinal}`,
            (stream) => answer(stream, contender.keepsMessages),
          );
        }
      };
      await Promise.all(Array.from({ length: Math.min(count, listenAtOnce) }, listenSome));
    },
  };
}
