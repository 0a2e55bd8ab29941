// The package as a process: `node package-program.ts listener RELAY NAME [PASSWORD]`, or `client`, which takes --binary
// too.
import { client } from "./echo-client.ts";
import { listener } from "./echo-listener.ts";

const [role, ...args] = process.argv.slice(2);
const interruption = new AbortController();
process.once("SIGINT", () => interruption.abort());

// The program sets the exit code and does not call `process.exit()`, because bytes written to a pipe, or to the relay,
// must get there first.
process.exitCode = await (role === "listener" ? listener : client)({
  language: "package",
  args,
  input: process.stdin,
  interrupted: interruption.signal,
  stdout: (data) => void process.stdout.write(data),
  stderr: (text) => void process.stderr.write(text),
});
process.stdin.destroy();
