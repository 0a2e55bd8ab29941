import { createTRPCClient, createWSClient, wsLink } from "@trpc/client";
import { initTRPC } from "@trpc/server";
import { getWSConnectionHandler } from "@trpc/server/adapters/ws";
import { StreamServer } from "browser-stream-server";
import { asWebSocket } from "browser-stream-server/websocket";
import { Buffer } from "buffer/";
import type { Library } from "./library.js";

// The adapter for the package ws asks for Node's class, which a page does not have.
(globalThis as { Buffer?: unknown }).Buffer ??= Buffer;

const { router, procedure } = initTRPC.create({ allowOutsideOfServer: true });
const step = (value: unknown) => value as number;
/** Called with each step that a client has counted. */
const listeners = new Set<(step: number) => void>();

const counter = router({
  count: procedure.input(step).mutation(({ input }) => {
    for (const tell of listeners) tell(input);
    return input + 1;
  }),
  steps: procedure.subscription(async function* ({ signal }) {
    const waiting: number[] = [];
    let wake = () => {};
    const tell = (each: number) => {
      waiting.push(each);
      wake();
    };
    listeners.add(tell);
    signal?.addEventListener("abort", () => wake());
    try {
      while (!signal?.aborted) {
        yield* waiting.splice(0);
        await new Promise<void>((resolve) => {
          wake = resolve;
        });
      }
    } finally {
      listeners.delete(tell);
    }
  }),
});

type HandlerOptions = Parameters<typeof getWSConnectionHandler>[0];
type SocketOfTrpc = Parameters<ReturnType<typeof getWSConnectionHandler>>;

export const trpc: Library = {
  name: "tRPC",
  async serve(relayUrl, name) {
    let sockets = 0;
    // The adapter asks of a server of the package ws no more than its sockets have.
    const onConnection = getWSConnectionHandler({ router: counter } as unknown as HandlerOptions);
    const server = StreamServer(relayUrl, (stream) => {
      sockets += 1;
      const request = { url: stream.metadata.path, headers: {} };
      onConnection(asWebSocket(stream) as unknown as SocketOfTrpc[0], request as SocketOfTrpc[1]);
    }).listen(name);
    await server.ready;
    return { sockets: () => sockets, end: () => server.end() };
  },
  async connect(WebSocket, url) {
    const wsClient = createWSClient({ url, WebSocket });
    const client = createTRPCClient<typeof counter>({ links: [wsLink({ client: wsClient })] });
    const told: number[] = [];
    const starts: unknown[] = [];
    let onTold = () => {};
    await new Promise<void>((resolve, reject) => {
      client.steps.subscribe(undefined, {
        onStarted: () => {
          starts.push("started");
          resolve();
        },
        onData: (each) => {
          told.push(each as number);
          onTold();
        },
        onError: reject,
      });
    });
    return {
      async exchange(step) {
        const isTold = new Promise<void>((resolve) => {
          onTold = () => told.includes(step) && resolve();
        });
        const answer = await client.count.mutate(step);
        if (answer !== step + 1) throw new Error(`the answer is ${answer}`);
        await isTold;
        if (starts.length !== 1) throw new Error("the subscription was started again");
        return told;
      },
      close: () => wsClient.close(),
    };
  },
};
