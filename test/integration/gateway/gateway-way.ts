import type { GatewayOptions } from "browser-stream-server/server";
import type { HttpCase, Need } from "../../contract/http/http-case.js";
import { callCase, httpContract, isPlayable, nameOf } from "../../contract/http/http-contract.js";
import type { TestRelay } from "../relay-ports.js";
import { openCurlFetch } from "./curl-fetch.js";
import { failing, heldBytes } from "./gateway-fetch.js";
import { openHttp2Fetch } from "./http2-fetch.js";

/** A way on which programs that know only URLs call the servers of the contract. */
export interface GatewayWay {
  readonly name: string;
  readonly by: GatewayOptions["by"];
  /** The cases of the contract that it can play. */
  readonly cases: readonly HttpCase[];
  /**
   * The cases that it plays with a tab. A server in Node has shown already that hundreds of runs of curl at once are
   * served, and that a tab serves hundreds of calls at once is shown by a way that starts no program for each.
   */
  readonly casesOfTab: readonly HttpCase[];
  /** Calls go to a relay whose gateway has {@link gatewayOptions}. Whoever opens it closes it. */
  open(relay: TestRelay): GatewayCaller;
}

export interface GatewayCaller {
  /** Plays the caller's part of a case whose servers have a name. Rejects with what the case did not keep. */
  call(httpCase: HttpCase, name: string): Promise<void>;
  close(): Promise<void>;
}

const host = "relay.example";

/** The options of the gateways that the ways lead through. */
export const gatewayOptions: Readonly<Record<GatewayOptions["by"], GatewayOptions>> = {
  path: { by: "path" },
  host: { by: "host", host },
};

const playable = (has: readonly Need[]) => httpContract.filter((httpCase) => isPlayable(httpCase, has));

const byPath = playable([]);
const byHost = playable(["duplex", "trailers", "any head", "cookies"]);

const urlByPath = ({ origin }: TestRelay, httpCase: HttpCase, name: string) =>
  `${origin}/~/${encodeURIComponent(nameOf(httpCase, name))}`;

export const gatewayWays: readonly GatewayWay[] = [
  {
    name: "by path over HTTP/1.1",
    by: "path",
    cases: byPath,
    casesOfTab: byPath,
    open: (relay) => ({
      call: (httpCase, name) => callCase(httpCase, failing(fetch), urlByPath(relay, httpCase, name), heldBytes),
      close: async () => {},
    }),
  },
  {
    name: "by path, called by curl",
    by: "path",
    cases: byPath,
    casesOfTab: byPath.filter(({ calls }) => calls !== "hundreds"),
    open(relay) {
      const curl = openCurlFetch();
      return {
        call: (httpCase, name) => callCase(httpCase, failing(curl.fetch), urlByPath(relay, httpCase, name), heldBytes),
        close: async () => curl.close(),
      };
    },
  },
  {
    name: "by host over HTTP/2",
    by: "host",
    cases: byHost,
    casesOfTab: byHost,
    open(relay) {
      const client = openHttp2Fetch(relay.origin);
      return {
        call: (httpCase, name) =>
          callCase(httpCase, failing(client.fetch), `http://${nameOf(httpCase, name)}.${host}`, heldBytes),
        close: () => client.close(),
      };
    },
  },
];
