import { jsonCodec, StreamClient } from "browser-stream-server";
import { useCallback, useEffect, useEffectEvent, useRef, useState } from "react";

const start = { state: "connecting", error: undefined };

/**
 * Connects to a name for as long as the component is mounted, and for as long as `relay` and `name` stay the same.
 *
 * - `state` is "connecting", "open", "suspended" while a connection is away, "closed", or "failed" with `error`.
 * - `send(message)` returns whether there is a stream to send it on. What is sent while it is suspended arrives later.
 * - `onMessage(message)` may be new in each render: the last one is called.
 * - `retry()` connects again.
 *
 * An effect may run twice, as in StrictMode: the first stream ends before the second begins, and nothing that it still
 * says is heard.
 */
export function useStream(relay, name, { onMessage } = {}) {
  const [shown, setShown] = useState(start);
  const [attempt, setAttempt] = useState(0);
  const current = useRef(undefined);
  const handleMessage = useEffectEvent((message) => onMessage?.(message));

  // biome-ignore lint/correctness/useExhaustiveDependencies: another attempt is another stream.
  useEffect(() => {
    let isCurrent = true;
    const show = (state, error) => isCurrent && setShown({ state, error });
    const stream = StreamClient(relay, { codec: jsonCodec() }).connect(name, { waitForListenerMs: 10_000 });
    stream.on("open", () => show("open"));
    stream.on("suspended", () => show("suspended"));
    stream.on("resumed", () => show("open"));
    stream.on("data", (message) => isCurrent && handleMessage(message));
    stream.on("end", () => {
      stream.end();
      show("closed");
    });
    stream.on("error", (error) => show("failed", error));
    setShown(start);
    current.current = stream;
    return () => {
      isCurrent = false;
      current.current = undefined;
      stream.destroy();
    };
  }, [relay, name, attempt]);

  const send = useCallback((message) => {
    const { state } = current.current ?? {};
    if (state !== "open" && state !== "suspended") return false;
    current.current.write(message);
    return true;
  }, []);
  const retry = useCallback(() => setAttempt((attempt) => attempt + 1), []);
  return { ...shown, send, retry };
}
