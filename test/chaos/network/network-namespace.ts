import { execFile } from "node:child_process";
import { promisify } from "node:util";

const run = promisify(execFile);

/** Addresses for private networks, of which this machine has no other. */
const [hereAddress, thereAddress] = ["10.231.7.1", "10.231.7.2"];

/** A network namespace beside this one, with a link between them that can be cut and lose packets. Takes root. */
export class NetworkNamespace {
  readonly name = `chaos${process.pid}`;
  readonly address = thereAddress;
  readonly #link = `chaos${process.pid % 100_000}`;

  /** Returns the reason why this machine has none; undefined if it can have one. */
  static async obstacle(): Promise<string | undefined> {
    if (process.getuid?.() !== 0) return "network namespaces take root";
    for (const program of ["ip", "iptables"]) {
      const isThere = await run("which", [program]).then(
        () => true,
        () => false,
      );
      if (!isThere) return `there is no ${program}`;
    }
    return undefined;
  }

  /** The caller must close it. */
  static async open(): Promise<NetworkNamespace> {
    const namespace = new NetworkNamespace();
    const { name } = namespace;
    const link = namespace.#link;
    await run("ip", ["netns", "add", name]);
    await run("ip", ["link", "add", link, "type", "veth", "peer", "name", "there", "netns", name]);
    await run("ip", ["addr", "add", `${hereAddress}/24`, "dev", link]);
    await run("ip", ["link", "set", link, "up"]);
    for (const args of [
      ["addr", "add", `${thereAddress}/24`, "dev", "there"],
      ["link", "set", "there", "up"],
      ["link", "set", "lo", "up"],
    ]) {
      await namespace.inside("ip", args);
    }
    return namespace;
  }

  /** Runs a program inside. */
  async inside(program: string, args: readonly string[]): Promise<void> {
    await run("ip", ["netns", "exec", this.name, program, ...args]);
  }

  async setLink(state: "up" | "down"): Promise<void> {
    await run("ip", ["link", "set", this.#link, state]);
  }

  /** Drops this share of the packets that come in, from 0 to 1. */
  async drop(share: number): Promise<void> {
    await this.inside("iptables", ["--flush"]);
    if (share === 0) return;
    const random = ["-m", "statistic", "--mode", "random", "--probability", String(share)];
    await this.inside("iptables", ["-A", "INPUT", "-i", "there", ...random, "-j", "DROP"]);
  }

  async close(): Promise<void> {
    await run("ip", ["netns", "del", this.name]);
  }
}
