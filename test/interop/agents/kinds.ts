import { fileURLToPath } from "node:url";
import type { Browser } from "playwright-core";
import type { RelayProcess } from "../../relay-process.js";
import { findChromium } from "../../setup/chromium.js";
import {
  type ExamplePrograms,
  goPrograms,
  grpcJsPrograms,
  missingProgram,
  type ProgramRole,
  pythonPrograms,
  type Role,
} from "../../setup/example-programs.js";
import type { StartProgram } from "./agent.js";
import { startProcess } from "./process-agent.js";
import { startTab } from "./tab-agent.js";

/** The things that the programs of a run share. */
export interface Stage {
  readonly relay: RelayProcess;
  /** The browser that tabs are opened in, if there is one. */
  readonly browser: Browser | undefined;
}

/** One way to speak the protocol. */
export interface Kind {
  /** The name that its programs greet with. */
  readonly name: string;
  /** The words of the page about this kind. */
  readonly description: string;
  /** Returns the reason why it cannot run here; undefined if it can. */
  missing(): string | undefined;
  program(stage: Stage, role: ProgramRole, args: readonly string[]): StartProgram;
}

const packageProgram = fileURLToPath(new URL("package-program.ts", import.meta.url));

/** The package's programs resume by themselves. */
function packageRole(role: ProgramRole): Role {
  return role.endsWith("client") ? "client" : "listener";
}

function example(name: string, description: string, programs: ExamplePrograms): Kind {
  return {
    name,
    description,
    missing: () => missingProgram(programs),
    program(_, role, args) {
      const [program, ...programArgs] = programs.command(role);
      return startProcess(program, [...programArgs, ...args]);
    },
  };
}

/** The listeners and the clients, in the order of the matrix. */
export const kinds: readonly Kind[] = [
  {
    name: "tab",
    description: "the package in a tab of Chromium",
    missing: () => (findChromium() === undefined ? "there is no Chromium" : undefined),
    program({ browser, relay }, role, args) {
      if (browser === undefined) throw new Error("there is no Chromium");
      return startTab(browser, relay.origin, packageRole(role), args);
    },
  },
  {
    name: "package",
    description: "the package in Node",
    missing: () => undefined,
    program: (_, role, args) => startProcess(process.execPath, [packageProgram, packageRole(role), ...args]),
  },
  example("python", "[examples/python](../examples/python), on grpcio", pythonPrograms),
  example("go", "[examples/go](../examples/go), on connect-go", goPrograms),
  example("grpc-js", "[examples/node](../examples/node), on @grpc/grpc-js", grpcJsPrograms),
];
