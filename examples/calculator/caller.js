import { createClient } from "@connectrpc/connect";
import { createStreamTransport } from "browser-stream-server/connect";
import { CalculatorService } from "./gen/calculator_pb.js";

/** Calls a calculator in another tab. The same code runs in a page. */
const [relay = "http://localhost:5173", name = "calculator"] = process.argv.slice(2);
const transport = createStreamTransport(relay, name);
const calculator = createClient(CalculatorService, transport);

console.log("add:", (await calculator.add({ a: 1, b: 2 })).sum);

for await (const { sum } of calculator.subscribe({ step: 5 })) {
  console.log("subscribe:", sum);
  if (sum === 15) break;
}

async function* numbers() {
  for (const number of [1, 2, 3]) yield { number };
}
console.log("sum:", (await calculator.sum(numbers())).sum);

for await (const { sum } of calculator.accumulate(numbers())) console.log("accumulate:", sum);
await transport.close();
