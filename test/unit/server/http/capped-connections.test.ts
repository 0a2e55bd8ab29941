import { EventEmitter } from "node:events";
import type { Server } from "node:net";
import { describe, expect, test } from "vitest";
import { capConnections } from "../../../../server/http/port/capped-connections.js";
import { TrustedProxies } from "../../../../server/http/request/trusted-proxies.js";
import { newRelay } from "../../../fakes/relays.js";

/** A connection from an address that a test on one machine cannot have. */
class FarSocket extends EventEmitter {
  readonly remoteAddress: string;
  state: "open" | "destroyed" = "open";

  constructor(remoteAddress: string) {
    super();
    this.remoteAddress = remoteAddress;
  }

  destroy(): void {
    this.state = "destroyed";
    this.emit("close");
  }
}

/** A port that takes two connections from one address. */
function cappedPort() {
  const { relay, told } = newRelay({ maxConnectionsPerCaller: 2 });
  const listener = new EventEmitter();
  const stop = capConnections(listener as unknown as Server, relay.admission, TrustedProxies.from(["192.0.2.9"]));
  const connect = (address: string) => {
    const socket = new FarSocket(address);
    listener.emit("connection", socket);
    return socket;
  };
  return { relay, told, listener, stop, connect };
}

describe("capConnections", () => {
  test("closes one more connection from an address, and tells the operator, until one is over", () => {
    const { told, connect } = cappedPort();
    const [first, , third, other] = ["192.0.2.1", "::ffff:192.0.2.1", "192.0.2.1", "192.0.2.2"].map(connect);
    expect([first?.state, third?.state, other?.state]).toEqual(["open", "destroyed", "open"]);
    expect(told).toMatchObject([{ kind: "limit-reached", limit: "maxConnectionsPerCaller" }]);
    first?.destroy();
    expect([connect("192.0.2.1").state, connect("192.0.2.1").state]).toEqual(["open", "destroyed"]);
  });

  test("lets a trusted proxy and this machine have any number, and everybody once it is stopped", () => {
    const { relay, listener, stop, connect } = cappedPort();
    for (const address of ["192.0.2.9", "127.0.0.1", "::1"]) {
      expect([1, 2, 3].map(() => connect(address).state)).toEqual(["open", "open", "open"]);
    }
    stop();
    expect(listener.listenerCount("connection")).toBe(0);
    expect(relay.admission.count("connection")).toBe(6);
  });
});
