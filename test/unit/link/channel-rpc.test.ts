import { create } from "@bufbuild/protobuf";
import { Code, ConnectError, createClient, createConnectRouter, type ServiceImpl } from "@connectrpc/connect";
import { createTransport } from "@connectrpc/connect/protocol-connect";
import { expect, test } from "vitest";
import { Failure, Hop } from "../../../gen/streamserver/v1/failure_pb.js";
import { ChannelResponseSchema } from "../../../gen/streamserver/v1/link_pb.js";
import { ConnectRequestSchema, RelayService } from "../../../gen/streamserver/v1/relay_pb.js";
import { createChannelHandler } from "../../../link/channel/channel-handler.js";
import { createChannelClient, createChannelOpener } from "../../../link/channel-client.js";
import type { Link } from "../../../link/link.js";
import { fromConnectError, toConnectError } from "../../../stream/error/failure-detail.js";
import { StreamError } from "../../../stream/error/stream-error.js";
import { Deferred } from "../../../stream/platform/deferred.js";
import { body, joinedLinks, request } from "../../fakes/links.js";
import { promiseState, rejection, settled } from "../../fakes/outcome.js";

type Service = Partial<ServiceImpl<typeof RelayService>>;

/** A client whose RPCs are channels on a link to `service`. */
function overLink(service: Service) {
  const router = createConnectRouter({}).service(RelayService, service);
  const links = joinedLinks(createChannelHandler(router.handlers));
  return { client: clientOf(async () => links[0]), links };
}

function clientOf(openLink: () => Promise<Link>) {
  const transport = createTransport({
    httpClient: createChannelClient(createChannelOpener(openLink)),
    baseUrl: "http://link",
    useBinaryFormat: true,
    interceptors: [],
    acceptCompression: [],
    sendCompression: null,
    compressMinBytes: Number.MAX_SAFE_INTEGER,
    readMaxBytes: 0xffffffff,
    writeMaxBytes: 0xffffffff,
  });
  return createClient(RelayService, transport);
}

const first = create(ConnectRequestSchema, { message: { case: "open", value: { name: "n" } } });

test("a unary call goes over a channel, and closes it", async () => {
  const { client, links } = overLink({ list: ({ prefix }) => ({ names: [`${prefix}1`] }) });
  expect((await client.list({ prefix: "room" })).names).toEqual(["room1"]);
  await settled();
  expect(links.map(({ size }) => size)).toEqual([0, 0]);
});

test("a channel is served until its RPC has ended, which may be after the channel", async () => {
  const ending = new Deferred<void>();
  const service: Service = {
    async *connect() {
      await ending.promise;
      yield* [];
    },
  };
  const router = createConnectRouter({}).service(RelayService, service);
  const handle = createChannelHandler(router.handlers);
  const served: Promise<void>[] = [];
  const [client] = joinedLinks((channel, request) => {
    served.push(handle(channel, request));
  });
  const abort = new AbortController();
  const requests = (async function* () {
    yield first;
  })();
  const responses = clientOf(async () => client).connect(requests, { signal: abort.signal });
  const call = rejection(responses[Symbol.asyncIterator]().next());
  await settled();
  abort.abort();
  await call;
  expect(await promiseState(served[0] as Promise<void>)).toBe("pending");
  ending.resolve();
  await served[0];
});

test("a bidi call is full duplex: each request is answered before the next", async () => {
  const { client } = overLink({
    async *connect(requests) {
      let sequence = 0n;
      for await (const _request of requests) {
        sequence += 1n;
        yield { message: { case: "frame", value: { sequence } } };
      }
    },
  });
  let answered = () => {};
  async function* requests() {
    for (let at = 0; at < 3; at++) {
      yield first;
      await new Promise<void>((resolve) => {
        answered = resolve;
      });
    }
  }
  const sequences: bigint[] = [];
  for await (const { message } of client.connect(requests())) {
    if (message.case === "frame") sequences.push(message.value.sequence);
    answered();
  }
  expect(sequences).toEqual([1n, 2n, 3n]);
});

test("an answer with a header that HTTP does not know fails its call, and leaves no channel open", async () => {
  const headers = [{ name: "not a name", value: "" }];
  const links = joinedLinks((channel) => channel.respond(create(ChannelResponseSchema, { status: 200, headers })));
  const call = clientOf(async () => links[0]).list({});
  expect((await rejection(call)).failure).toBe(Failure.PROTOCOL_VIOLATION);
  await settled();
  expect(links.map(({ size }) => size)).toEqual([0, 0]);
});

test("an error arrives with its code, its failure and its hop", async () => {
  const reason = new StreamError("taken", { failure: Failure.NAME_TAKEN });
  const { client } = overLink({
    list() {
      throw toConnectError(reason);
    },
  });
  expect(await rejection(client.list({}))).toMatchObject({
    code: Code.AlreadyExists,
    failure: Failure.NAME_TAKEN,
    hop: Hop.RELAY,
    message: "taken",
  });
});

test("a call that is cancelled is cancelled for the handler, which runs to its end", async () => {
  const events: string[] = [];
  const { client, links } = overLink({
    async *listen(_request, { signal }) {
      try {
        yield { event: { case: "ping", value: {} } };
        await new Promise<void>((resolve) => signal.addEventListener("abort", () => resolve()));
        events.push(Code[ConnectError.from(signal.reason).code] ?? "");
      } finally {
        events.push("ended");
      }
    },
  });
  const abort = new AbortController();
  const call = (async () => {
    for await (const _event of client.listen({}, { signal: abort.signal })) abort.abort();
  })();
  expect((await rejection(call)).code).toBe(Code.Canceled);
  await settled();
  expect(events).toEqual(["Canceled", "ended"]);
  expect(links.map(({ size }) => size)).toEqual([0, 0]);
});

test.each<[string, (link: Link, abort: AbortController) => void]>([
  ["is cancelled", (_link, abort) => abort.abort()],
  ["loses its link", (link) => link.close(new StreamError("cut", { failure: Failure.LEG_LOST }))],
])("a call that %s while its answer waits for credit ends its handler", async (_how, end) => {
  const events: string[] = [];
  const { client, links } = overLink({
    async *connect(_requests, { signal }) {
      signal.addEventListener("abort", () => events.push("aborted"));
      try {
        for (;;) yield { message: { case: "frame", value: { messages: [{ data: new Uint8Array(100_000) }] } } };
      } finally {
        events.push("ended");
      }
    },
  });
  const abort = new AbortController();
  const responses = client.connect(body(0, 0) as never, { signal: abort.signal })[Symbol.asyncIterator]();
  await responses.next();
  await settled();
  expect(events).toEqual([]);
  for (const link of links) end(link, abort);
  await settled();
  expect(events).toEqual(["aborted", "ended"]);
  expect(links.map(({ size }) => size)).toEqual([0, 0]);
});

test("a path that nobody serves is not found", async () => {
  const { links } = overLink({});
  const channel = links[0].open(request("/no.such.Service/Method"));
  expect((await channel.response.promise).status).toBe(404);
});

test("a link that cannot be opened fails the call with its reason", async () => {
  const client = clientOf(() => Promise.reject(new StreamError("no", { failure: Failure.LIMIT_REACHED })));
  expect(await rejection(client.list({}))).toMatchObject({
    code: Code.ResourceExhausted,
    failure: Failure.LIMIT_REACHED,
  });
});

test("a link that is full, or over, fails the call with its reason", async () => {
  const { client, links } = overLink({ list: () => new Promise<never>(() => {}) });
  const waiting = rejection(client.list({}));
  await settled();
  for (const link of links) link.close(new StreamError("cut", { failure: Failure.LEG_LOST }));
  expect((await waiting).failure).toBe(Failure.LEG_LOST);
  expect((await rejection(client.list({}))).failure).toBe(Failure.LEG_LOST);
});

test("a call that was cancelled before the link was there opens no channel", async () => {
  const { links } = overLink({ list: () => new Promise<never>(() => {}) });
  const abort = new AbortController();
  const client = clientOf(async () => {
    abort.abort();
    return links[0];
  });
  expect((await rejection(client.list({}, { signal: abort.signal }))).code).toBe(Code.Canceled);
  await settled();
  expect(links[0].size).toBe(0);
});

test("a call that is cancelled while its channel opens is cancelled", async () => {
  const { links } = overLink({ list: () => new Promise<never>(() => {}) });
  const abort = new AbortController();
  const open = links[0].open.bind(links[0]);
  links[0].open = (request) => {
    abort.abort();
    return open(request);
  };
  const client = createChannelClient(createChannelOpener(async () => links[0]));
  const { signal } = abort;
  const call = client({ url: "http://link/test", method: "POST", header: new Headers(), signal });
  expect((await rejection(call)).code).toBe(Code.Canceled);
  await settled();
  expect(links.map(({ size }) => size)).toEqual([0, 0]);
});

test("an error that is the transport's own has a code and no failure", () => {
  const error = fromConnectError(new ConnectError("no route", Code.Unavailable));
  expect(error).toMatchObject({ code: Code.Unavailable, failure: Failure.UNSPECIFIED, message: "no route" });
  const own = new StreamError("own", { failure: Failure.DRAINING });
  expect(fromConnectError(toConnectError(own))).toMatchObject({ code: own.code, failure: own.failure, hop: own.hop });
});
