import { spawn } from "node:child_process";
import { once } from "node:events";
import { mkdtemp, rm, writeFile } from "node:fs/promises";
import { type AddressInfo, createServer, type Socket } from "node:net";
import { tmpdir } from "node:os";
import { join } from "node:path";
import { create, fromBinary, toBinary } from "@bufbuild/protobuf";
import { goToolsFolder } from "../../setup/example-programs.js";
import {
  type ClientCompatRequest,
  ClientCompatRequestSchema,
  ClientCompatResponseSchema,
  type ClientResponseResult,
} from "./gen/connectrpc/conformance/v1/client_compat_pb.js";
import { ServerCompatResponseSchema } from "./gen/connectrpc/conformance/v1/server_compat_pb.js";

/** The end of a run of the conformance suite, with all that it has printed. */
export interface ConformanceEnd {
  code: number | null;
  output: string;
}

/**
 * Runs the conformance suite of Connect against the server on a port of this machine. The program of the suite wants to
 * start the server itself, once for each combination of protocol and version; it is told each time that it is there.
 */
export async function runServerConformance(port: number): Promise<ConformanceEnd> {
  const folder = await mkdtemp(join(tmpdir(), "conformance-"));
  try {
    const message = toBinary(
      ServerCompatResponseSchema,
      create(ServerCompatResponseSchema, { host: "127.0.0.1", port }),
    );
    const answer = join(folder, "answer");
    await writeFile(answer, delimited(message));
    // It asks in the same way, and ends the server with a signal.
    return await run("server", "sh", "-c", 'cat "$0"; exec sleep 600', answer);
  } finally {
    await rm(folder, { recursive: true });
  }
}

/**
 * Runs the conformance suite of Connect with the calls of a client in this process. The program of the suite wants to
 * start the client itself; it starts a program that connects its standard input and output with this process.
 */
export async function runClientConformance(
  call: (request: ClientCompatRequest) => Promise<ClientResponseResult>,
): Promise<ConformanceEnd> {
  const server = createServer((socket) => void answerCalls(socket, call));
  server.listen(0, "127.0.0.1");
  await once(server, "listening");
  const { port } = server.address() as AddressInfo;
  const program = `const s = net.connect(${port}, "127.0.0.1"); process.stdin.pipe(s); s.pipe(process.stdout);`;
  const end = await run("client", process.execPath, "-e", program);
  server.close();
  return end;
}

/** Makes each call when it comes, and ends when all have ended. */
async function answerCalls(
  socket: Socket,
  call: (request: ClientCompatRequest) => Promise<ClientResponseResult>,
): Promise<void> {
  const calls: Promise<void>[] = [];
  for await (const bytes of messagesOf(socket)) {
    const request = fromBinary(ClientCompatRequestSchema, bytes);
    const answered = call(request).then(
      (value) => ({ case: "response" as const, value }),
      (reason: unknown) => ({ case: "error" as const, value: { message: String(reason) } }),
    );
    calls.push(
      answered.then((result) => {
        const response = create(ClientCompatResponseSchema, { testName: request.testName, result });
        socket.write(delimited(toBinary(ClientCompatResponseSchema, response)));
      }),
    );
  }
  await Promise.all(calls);
  socket.end();
}

/** The messages of a stream, each of which follows its length. */
async function* messagesOf(socket: Socket): AsyncGenerator<Uint8Array, void, undefined> {
  let unread = Buffer.alloc(0);
  for await (const chunk of socket.iterator({ destroyOnReturn: false })) {
    unread = Buffer.concat([unread, chunk as Buffer]);
    while (unread.byteLength >= 4 && unread.byteLength >= 4 + unread.readUInt32BE()) {
      const end = 4 + unread.readUInt32BE();
      yield unread.subarray(4, end);
      unread = unread.subarray(end);
    }
  }
}

function delimited(message: Uint8Array): Buffer {
  const length = Buffer.alloc(4);
  length.writeUInt32BE(message.byteLength);
  return Buffer.concat([length, message]);
}

async function run(mode: "server" | "client", ...program: string[]): Promise<ConformanceEnd> {
  const suite = join(goToolsFolder, "connectconformance");
  const config = join(import.meta.dirname, `${mode}-config.yaml`);
  const child = spawn(suite, ["--mode", mode, "--conf", config, "--", ...program], {
    stdio: ["ignore", "pipe", "pipe"],
  });
  let output = "";
  for (const stream of [child.stdout, child.stderr]) {
    stream.setEncoding("utf8").on("data", (text: string) => {
      output += text;
    });
  }
  const [code] = (await once(child, "close")) as [number | null];
  return { code, output };
}
