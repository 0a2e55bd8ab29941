import { StreamServer } from "browser-stream-server";
import { asWebSocket } from "browser-stream-server/websocket";
import {
  execute,
  GraphQLInt,
  GraphQLList,
  GraphQLNonNull,
  GraphQLObjectType,
  GraphQLSchema,
  subscribe,
  validate,
} from "graphql";
import { createClient } from "graphql-ws";
import { makeHandler } from "graphql-ws/use/deno";
import type { Library } from "./library.js";

const int = new GraphQLNonNull(GraphQLInt);
const args = { step: { type: int } };
const steps: number[] = [];

const schema = new GraphQLSchema({
  query: new GraphQLObjectType({
    name: "Query",
    fields: { steps: { type: new GraphQLList(int), resolve: () => steps } },
  }),
  mutation: new GraphQLObjectType({
    name: "Mutation",
    fields: {
      count: {
        type: int,
        args,
        resolve(_, { step }) {
          steps.push(step);
          return step + 1;
        },
      },
    },
  }),
});

export const graphql: Library = {
  name: "graphql-ws",
  async serve(relayUrl, name) {
    let sockets = 0;
    steps.length = 0;
    // Of the package's handlers the one for Deno takes a socket as browsers have it. Vitest gives this file another
    // copy of graphql than the package gets.
    const onSocket = makeHandler({ schema, execute, subscribe, validate });
    const server = StreamServer(relayUrl, (stream) => {
      sockets += 1;
      onSocket(asWebSocket(stream));
    }).listen(name);
    await server.ready;
    return { sockets: () => sockets, end: () => server.end() };
  },
  async connect(webSocketImpl, url) {
    const client = createClient({ url, webSocketImpl, lazy: false, retryAttempts: 0 });
    const ask = async (query: string, variables: Record<string, unknown>) => {
      for await (const { data, errors } of client.iterate<Record<string, unknown>>({ query, variables })) {
        if (errors !== undefined) throw errors[0];
        return data as Record<string, never>;
      }
      throw new Error("no answer");
    };
    return {
      async exchange(step) {
        const { count } = await ask("mutation ($step: Int!) { count(step: $step) }", { step });
        if (count !== step + 1) throw new Error(`the answer is ${count}`);
        return (await ask("{ steps }", {})).steps as unknown as number[];
      },
      close: async () => client.dispose(),
    };
  },
};
