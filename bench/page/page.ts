import type { AnswerNames, Endpoints } from "../contender.ts";
import { httpAnswers, streamAnswers } from "../contenders/ours/http-answers.ts";
import { ourEndpoints } from "../contenders/ours/our-endpoints.ts";
import { socketIoEndpoints } from "../contenders/yardsticks/socket-io-endpoints.ts";
import type { HttpProduct, Product } from "../product.ts";
import { answer } from "../traffic/answer.ts";
import { type FlowOrder, type FlowResult, Question } from "../traffic/question.ts";
import { wsEndpoints } from "./ws-endpoints.ts";

/** Loads a module that is served beside this one: an entry of the bundled package, or Socket.IO's client. */
const load = (path: string) => import(/* @vite-ignore */ new URL(path, location.origin).href);
const loadPackage = () => load("/package.js") as Promise<Product>;

const endpoints: Record<string, Endpoints> = {
  // In a page the package opens a WebSocket link where it gets a base URL alone.
  websocket: ourEndpoints(loadPackage, (_, baseUrl) => baseUrl),
  ws: wsEndpoints,
  "socket.io": socketIoEndpoints(async () => (await load("/socket.io.js")).io),
};

const answers: Record<string, AnswerNames> = {
  "gateway-tab": httpAnswers(() => load("/http.js") as Promise<HttpProduct>),
  "stream-tab": streamAnswers(loadPackage),
};

const name = "tab";
let question: Question | undefined;

/** The calls that the bench evaluates in a tab. */
const tab = {
  async listen(contender: string, port: number): Promise<void> {
    const connection = await endpoints[contender]?.listener(port, 0);
    await connection?.listen(name, (stream) => answer(stream, true));
  },
  async connect(contender: string, port: number): Promise<void> {
    const connection = await endpoints[contender]?.client(port, 0);
    if (connection === undefined) throw new Error(`no ${contender} in a page`);
    question = new Question(await connection.open(name));
    await question.echo();
  },
  async answer(contender: string, port: number, names: readonly string[]): Promise<void> {
    await answers[contender]?.(port, names);
  },
  flow: async (order: FlowOrder): Promise<FlowResult | undefined> => question?.flow(order),
  pings: async (durationMs: number): Promise<number[] | undefined> => question?.pings(durationMs),
};

export type TabCalls = typeof tab;

Object.assign(globalThis, { tab });
