import type { MessageInitShape } from "@bufbuild/protobuf";
import { StringValueSchema } from "@bufbuild/protobuf/wkt";
import { type Client, Code, ConnectError, createClient, type Transport } from "@connectrpc/connect";
import { Health, HealthCheckResponse_ServingStatus as ServingStatus } from "../../../gen/grpc/health/v1/health_pb.js";
import { ServerReflection } from "../../../gen/grpc/reflection/v1/reflection_pb.js";
import { checkEqual } from "../check.js";
import type { EchoService } from "./echo-service.js";

/** Something that a typed service in a tab promises to its caller, whatever protocol it speaks. */
export interface ServiceCase {
  readonly name: string;
  /** `run` is a word that no other run has. The transport is that of the client. */
  call(client: Client<typeof EchoService>, run: string, transport: Transport): Promise<void>;
}

type Text = MessageInitShape<typeof StringValueSchema>;

/** Requests that are sent one at a time, when they are pushed. */
export class Requests {
  readonly #queue: Text[] = [];
  #wake = () => {};
  #isOver = false;

  push(value: string): void {
    this.#queue.push({ value });
    this.#wake();
  }

  end(): void {
    this.#isOver = true;
    this.#wake();
  }

  async *[Symbol.asyncIterator](): AsyncGenerator<Text, void, undefined> {
    for (;;) {
      for (let next = this.#queue.shift(); next !== undefined; next = this.#queue.shift()) yield next;
      if (this.#isOver) return;
      await new Promise<void>((resolve) => {
        this.#wake = resolve;
      });
    }
  }
}

async function valuesOf(responses: AsyncIterable<{ value: string }>, values: string[] = []): Promise<string[]> {
  for await (const { value } of responses) values.push(value);
  return values;
}

async function errorOf(call: Promise<unknown>): Promise<ConnectError> {
  const error = await call.then(
    () => new Error("it should have failed"),
    (reason: unknown) => reason,
  );
  if (error instanceof ConnectError) return error;
  throw error;
}

/** Resolves with what the service has noted of a run, when there is so much of it. */
async function notesOf(client: Client<typeof EchoService>, run: string): Promise<string> {
  for (;;) {
    const { value } = await client.unary({ value: `notes ${run}` });
    if (value !== "") return value;
  }
}

function checkFailure(error: ConnectError): void {
  checkEqual("code", Code[error.code], Code[Code.FailedPrecondition]);
  checkEqual("message", error.rawMessage, "no such luck");
  checkEqual("metadata", error.metadata.get("x-why"), "because");
  checkEqual(
    "details",
    error.findDetails(StringValueSchema).map(({ value }) => value),
    ["in detail"],
  );
}

function metadataTaker() {
  const seen = { header: new Headers(), trailer: new Headers() };
  return {
    options: {
      headers: { "x-asked": "plainly", "x-asked-bin": "AAEC/w" },
      onHeader: (header: Headers) => {
        seen.header = header;
      },
      onTrailer: (trailer: Headers) => {
        seen.trailer = trailer;
      },
    },
    check(answer: string) {
      checkEqual("the headers that came", answer, "plainly AAEC/w");
      checkEqual("header", seen.header.get("x-head"), "early");
      checkEqual("binary header", seen.header.get("x-head-bin"), "AAEC/w");
      checkEqual("trailer", seen.trailer.get("x-tail"), "late");
    },
  };
}

export const serviceCases: readonly ServiceCase[] = [
  {
    name: "a unary call is answered",
    async call(client) {
      checkEqual("answer", (await client.unary({ value: "hello" })).value, "hello");
      checkEqual("an empty message", (await client.unary({})).value, "");
    },
  },
  {
    name: "metadata and trailers of a unary call arrive both ways",
    async call(client) {
      const { options, check } = metadataTaker();
      check((await client.unary({ value: "metadata" }, options)).value);
    },
  },
  {
    name: "metadata and trailers of a stream arrive both ways",
    async call(client) {
      const { options, check } = metadataTaker();
      check((await valuesOf(client.serverStream({ value: "metadata" }, options))).join());
    },
  },
  {
    name: "an error of a unary call arrives with code, message, metadata and details",
    async call(client) {
      checkFailure(await errorOf(client.unary({ value: "fail" })));
    },
  },
  {
    name: "an error of a stream arrives after the messages before it",
    async call(client) {
      const values: string[] = [];
      checkFailure(await errorOf(valuesOf(client.serverStream({ value: "fail" }), values)));
      checkEqual("messages", values, ["fail 0", "fail 1", "fail 2"]);
    },
  },
  {
    name: "what an implementation throws by mistake is told to nobody else",
    async call(client) {
      const { code, rawMessage } = await errorOf(client.unary({ value: "throw" }));
      checkEqual("error", [Code[code], rawMessage], ["Internal", "internal error"]);
    },
  },
  {
    name: "a method without an implementation is unimplemented",
    async call(client) {
      const { code } = await errorOf(client.missing({}));
      checkEqual("code", Code[code], "Unimplemented");
    },
  },
  {
    name: "a stream of responses arrives whole",
    async call(client) {
      checkEqual("messages", await valuesOf(client.serverStream({ value: "so" })), ["so 0", "so 1", "so 2"]);
    },
  },
  {
    name: "a stream of requests arrives whole",
    async call(client) {
      const requests = new Requests();
      for (const value of ["one", "two", "three"]) requests.push(value);
      requests.end();
      checkEqual("answer", (await client.clientStream(requests)).value, "one two three");
    },
  },
  {
    name: "a stream of requests may be answered before it ends",
    async call(client) {
      const requests = new Requests();
      requests.push("enough");
      checkEqual("answer", (await client.clientStream(requests)).value, "enough");
    },
  },
  {
    name: "both streams of a call run at once, and either ends by itself",
    async call(client) {
      const requests = new Requests();
      const responses = client.bidiStream(requests)[Symbol.asyncIterator]();
      for (const value of ["one", "two", "three"]) {
        requests.push(value);
        checkEqual("answer", (await responses.next()).value?.value, `${value}!`);
      }
      requests.end();
      checkEqual("answer to the end", (await responses.next()).value?.value, "after your end");
      checkEqual("end", (await responses.next()).done, true);
    },
  },
  {
    name: "a deadline ends a unary call on both sides",
    async call(client, run) {
      checkEqual("without", (await client.unary({ value: "timeout" })).value, "false");
      checkEqual("with", (await client.unary({ value: "timeout" }, { timeoutMs: 20_000 })).value, "true");
      const { code } = await errorOf(client.unary({ value: `wait ${run}` }, { timeoutMs: 300 }));
      checkEqual("code", Code[code], "DeadlineExceeded");
      checkEqual("at the service", await notesOf(client, run), "over: DeadlineExceeded");
    },
  },
  {
    name: "a deadline ends a stream on both sides",
    async call(client, run) {
      const values: string[] = [];
      const call = valuesOf(client.serverStream({ value: `wait ${run}` }, { timeoutMs: 1_000 }), values);
      checkEqual("code", Code[(await errorOf(call)).code], "DeadlineExceeded");
      checkEqual("messages", values.length, 3);
      checkEqual("at the service", (await notesOf(client, run)).split("\n")[0], "over: DeadlineExceeded");
    },
  },
  {
    name: "a caller that cancels ends its call at the service",
    async call(client, run) {
      const abort = new AbortController();
      const responses = client.serverStream({ value: `wait ${run}` }, { signal: abort.signal });
      const iterator = responses[Symbol.asyncIterator]();
      for (let count = 0; count < 3; count += 1) await iterator.next();
      abort.abort();
      checkEqual("code", Code[(await errorOf(iterator.next())).code], "Canceled");
      checkEqual("at the service", (await notesOf(client, run)).split("\n")[0], "over: Canceled");
    },
  },
  {
    name: "a caller that reads no further ends the responses at the service",
    async call(client, run) {
      for await (const { value } of client.serverStream({ value: `endless ${run}` })) {
        if (value === "endless 2") break;
      }
      checkEqual("at the service", await notesOf(client, run), "left");
    },
  },
  {
    name: "gRPC's health of the services is served",
    async call(_client, _run, transport) {
      const health = createClient(Health, transport);
      for (const service of ["", "echo.v1.EchoService"]) {
        checkEqual(`the status of ${service}`, (await health.check({ service })).status, ServingStatus.SERVING);
      }
      checkEqual("code", Code[(await errorOf(health.check({ service: "other" }))).code], "NotFound");
      for await (const { status } of health.watch({})) {
        checkEqual("the status that is watched", status, ServingStatus.SERVING);
        break;
      }
    },
  },
  {
    name: "gRPC's reflection names the services",
    async call(_client, _run, transport) {
      async function* requests() {
        yield { messageRequest: { case: "listServices" as const, value: "" } };
      }
      const names: string[] = [];
      for await (const { messageResponse } of createClient(ServerReflection, transport).serverReflectionInfo(
        requests(),
      )) {
        if (messageResponse.case !== "listServicesResponse")
          throw new Error(`an answer of the kind ${messageResponse.case}`);
        names.push(...messageResponse.value.service.map(({ name }) => name));
      }
      checkEqual("services", names, [
        "echo.v1.EchoService",
        "grpc.health.v1.Health",
        "grpc.reflection.v1.ServerReflection",
      ]);
    },
  },
  {
    name: "a message of 1 MiB arrives whole, and one of more than 4 MiB is refused",
    async call(client) {
      const large = "é".repeat(524_288);
      checkEqual("answer", (await client.unary({ value: large })).value === large, true);
      const { code } = await errorOf(client.unary({ value: "x".repeat(4_194_400) }));
      checkEqual("code", Code[code], "ResourceExhausted");
    },
  },
];
