import { Code, Failure, type Stream } from "browser-stream-server";
import { checkEqual, checkRejects } from "./check.js";
import type { ContractCase } from "./contract-case.js";
import { readAll } from "./message-cases.js";

const rounds = ["again", "and again", "and once more"];
const metadata = { from: "the client", empty: "", "имя \u{1F600}": "Zoë\n" };

async function greet(stream: Stream, greeting: string): Promise<void> {
  stream.end(greeting);
  checkEqual("the greeting", await readAll(stream), [greeting]);
  await stream.closed;
}

export const nameCases: readonly ContractCase[] = [
  {
    name: "a client's metadata arrives as it was given",
    async listen(party, server) {
      for (const given of [metadata, {}]) {
        const stream = await party.next(server);
        checkEqual("the metadata at the listener", { ...stream.metadata }, given);
        await greet(stream, "hello");
      }
    },
    async connect(party) {
      for (const given of [metadata, undefined]) {
        const stream = party.connect(given === undefined ? {} : { metadata: given });
        checkEqual("the metadata at the client", { ...stream.metadata }, given ?? {});
        await greet(stream, "hello");
      }
    },
  },
  {
    name: "a listener can decline, with a code and a reason",
    async listen(party, server) {
      const declined = { code: Code.ResourceExhausted, failure: Failure.DECLINED, message: "the room is full" };
      const offered = await party.next(server);
      offered.reject(declined.code, declined.message);
      await checkRejects("closed, at the listener", offered.closed, declined);
      await greet(await party.next(server), "there is room again");
    },
    async connect(party) {
      const declined = { code: Code.ResourceExhausted, failure: Failure.DECLINED, message: "the room is full" };
      const stream = party.connect();
      await checkRejects("opened", stream.opened, declined);
      await checkRejects("closed", stream.closed, declined);
      await greet(party.connect(), "there is room again");
    },
  },
  {
    name: "a name that nobody listens on, and a name that is taken",
    async listen(party, server) {
      await greet(await party.next(server), "still here");
    },
    async connect(party) {
      const lost = party.connect({}, `${party.name}, which is nobody's`);
      const notFound = { code: Code.NotFound, failure: Failure.NO_SUCH_NAME };
      await checkRejects("opened", lost.opened, notFound);
      await checkRejects("closed", lost.closed, notFound);
      const rival = party.listen();
      const taken = { code: Code.AlreadyExists, failure: Failure.NAME_TAKEN };
      await checkRejects("the rival's ready", rival.ready, taken);
      await checkRejects("the rival's closed", rival.closed, taken);
      await greet(party.connect(), "still here");
    },
  },
  {
    name: "a name is free again when its server has ended, for anybody",
    async listen(party, server) {
      await server.end();
      for (const round of rounds) {
        const next = party.listen();
        await next.ready;
        await party.together(round);
        await greet(await party.next(next), round);
        await next.end();
      }
      await party.together("free");
      await party.together("taken");
      await greet(party.connect(), "the other way round");
    },
    async connect(party) {
      for (const round of rounds) {
        await party.together(round);
        await greet(party.connect(), round);
      }
      await party.together("free");
      const server = party.listen();
      await server.ready;
      await party.together("taken");
      await greet(await party.next(server), "the other way round");
    },
  },
  {
    name: "a stream outlives the name that it was made under",
    async listen(party, server) {
      const stream = await party.next(server);
      stream.write("accepted");
      // An offer that is still on its way to be accepted goes with the name.
      await party.together("the stream is open");
      await server.end();
      await party.together("the name is free");
      await party.together("the client has seen it");
      stream.end("the listener, still here");
      checkEqual("what the client says", await readAll(stream), ["the client, still here"]);
      await stream.closed;
    },
    async connect(party) {
      const stream = party.connect();
      await stream.opened;
      await party.together("the stream is open");
      await party.together("the name is free");
      await checkRejects("opened", party.connect().opened, { failure: Failure.NO_SUCH_NAME });
      await party.together("the client has seen it");
      stream.end("the client, still here");
      checkEqual("what the listener says", await readAll(stream), ["accepted", "the listener, still here"]);
      await stream.closed;
    },
  },
];
