import { connectHandler } from "browser-stream-server/connect";
import { serve } from "browser-stream-server/http";
import { CalculatorService } from "./gen/calculator_pb.js";

const calls = document.body.appendChild(document.createElement("ol"));

/** Shows a call, with the program that made it. */
function show(what, { requestHeader }) {
  const line = document.createElement("li");
  line.textContent = `${what}, for ${requestHeader.get("user-agent") ?? "another tab"}`;
  calls.prepend(line);
  if (calls.childElementCount > 20) calls.lastElementChild?.remove();
}

/** @type {Partial<import("@connectrpc/connect").ServiceImpl<typeof CalculatorService>>} */
const calculator = {
  add({ a, b }, context) {
    show(`${a} + ${b}`, context);
    return { sum: a + b };
  },
  async *subscribe({ step }, context) {
    show(`multiples of ${step}`, context);
    for (let sum = step; ; sum += step) yield { sum };
  },
  async sum(requests, context) {
    let sum = 0;
    for await (const { number } of requests) sum += number;
    show(`a sum of ${sum}`, context);
    return { sum };
  },
  async *accumulate(requests, context) {
    let sum = 0;
    for await (const { number } of requests) {
      sum += number;
      show(`${number} more: ${sum}`, context);
      yield { sum };
    }
  },
};

const server = serve(
  location.origin,
  "calculator",
  connectHandler((router) => router.service(CalculatorService, calculator)),
);
server.ready.catch((error) => document.body.append(error.message));
