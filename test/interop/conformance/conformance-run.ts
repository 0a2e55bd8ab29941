import { spawn } from "node:child_process";
import { once } from "node:events";
import { mkdtemp, rm, writeFile } from "node:fs/promises";
import { tmpdir } from "node:os";
import { join } from "node:path";
import { create, toBinary } from "@bufbuild/protobuf";
import { goToolsFolder } from "../../setup/example-programs.js";
import { ServerCompatResponseSchema } from "./gen/connectrpc/conformance/v1/server_compat_pb.js";

const configPath = join(import.meta.dirname, "config.yaml");

/** The end of a run of the conformance suite, with all that it has printed. */
export interface ConformanceEnd {
  code: number | null;
  output: string;
}

/**
 * Runs the conformance suite of Connect against the server on a port of this machine. The program of the suite wants to
 * start the server itself, once for each combination of protocol and version; it is told each time that it is there.
 */
export async function runConformance(port: number, ...options: string[]): Promise<ConformanceEnd> {
  const folder = await mkdtemp(join(tmpdir(), "conformance-"));
  try {
    const message = toBinary(
      ServerCompatResponseSchema,
      create(ServerCompatResponseSchema, { host: "127.0.0.1", port }),
    );
    const length = new Uint8Array(4);
    new DataView(length.buffer).setUint32(0, message.byteLength);
    const answer = join(folder, "answer");
    await writeFile(answer, [length, message]);
    // It asks in the same way, and ends the server with a signal.
    const server = ["sh", "-c", 'cat "$0"; exec sleep 600', answer];
    const suite = join(goToolsFolder, "connectconformance");
    const args = ["--mode", "server", "--conf", configPath, ...options, "--", ...server];
    const child = spawn(suite, args, { stdio: ["ignore", "pipe", "pipe"] });
    let output = "";
    for (const stream of [child.stdout, child.stderr]) {
      stream.setEncoding("utf8").on("data", (text: string) => {
        output += text;
      });
    }
    const [code] = (await once(child, "close")) as [number | null];
    return { code, output };
  } finally {
    await rm(folder, { recursive: true });
  }
}
