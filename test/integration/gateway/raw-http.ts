import { connect } from "node:net";

/** An answer of HTTP/1.1, or several behind each other, as they came. */
export interface RawAnswer {
  /** The statuses of all answers that came, those of 1xx included. */
  statuses: number[];
  text: string;
  /** Whether the server has ended the connection, and how. */
  end: "ended" | "reset" | "open";
}

/**
 * Sends bytes to the origin as they are. Resolves when the connection has ended, or when `isDone` is true for what has
 * come; then the connection is closed.
 */
export function exchange(origin: string, bytes: string, isDone = (_text: string) => false): Promise<RawAnswer> {
  const { hostname, port } = new URL(origin);
  const socket = connect(Number(port), hostname);
  return new Promise((resolve) => {
    let text = "";
    const settle = (end: RawAnswer["end"]) => {
      socket.destroy();
      const statuses = [...text.matchAll(/^HTTP\/1\.1 (\d{3})/gm)].map(([, status]) => Number(status));
      resolve({ statuses, text, end });
    };
    socket.setEncoding("latin1");
    socket.on("data", (chunk: string) => {
      text += chunk;
      if (isDone(text)) settle("open");
    });
    socket.on("end", () => settle("ended"));
    socket.on("error", () => settle("reset"));
    socket.write(bytes, "latin1");
  });
}

/** The head of a request, which asks for the end of the connection behind the answer. */
export function head(method: string, target: string, headers: readonly string[] = [], host = "relay.example"): string {
  return [`${method} ${target} HTTP/1.1`, `Host: ${host}`, "Connection: close", ...headers, "", ""].join("\r\n");
}
