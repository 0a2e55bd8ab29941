import type { JsonRpcMessage } from "../../mcp/json-rpc.js";
import type { JsonRpcText } from "./mcp-tab.js";

/** The messages by which a client has opened its session. They are sent again to a tab that came back. */
export interface Greeting {
  initialize: JsonRpcText;
  initialized: JsonRpcText | undefined;
}

type State = { kind: "none" } | { kind: "asked"; initialize: JsonRpcText } | ({ kind: "answered" } & Greeting);

/** The handshake by which a client of MCP opens its session. */
export class ClientHandshake {
  #state: State = { kind: "none" };

  /** Undefined before a tab has answered the client. */
  get greeting(): Greeting | undefined {
    return this.#state.kind === "answered" ? this.#state : undefined;
  }

  /** Notes a message of the client, if it belongs to the handshake. */
  note(given: JsonRpcText): void {
    const { method } = given.message;
    if (method === "initialize") this.#state = { kind: "asked", initialize: given };
    if (method === "notifications/initialized" && this.#state.kind === "answered") {
      this.#state = { ...this.#state, initialized: given };
    }
  }

  /** Whether a request is the one by which the client has opened its session, and is not answered yet. */
  isPending(given: JsonRpcText): boolean {
    return this.#state.kind === "asked" && this.#state.initialize === given;
  }

  /** Notes the tab's response to the pending request. One that is an error opens no session. */
  answer({ result }: JsonRpcMessage): void {
    if (this.#state.kind !== "asked" || result === undefined) return;
    this.#state = { kind: "answered", initialize: this.#state.initialize, initialized: undefined };
  }
}
