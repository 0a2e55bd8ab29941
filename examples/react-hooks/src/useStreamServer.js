import { jsonCodec, StreamServer } from "browser-stream-server";
import { useCallback, useEffect, useEffectEvent, useRef, useState } from "react";

const start = { state: "claiming", error: undefined, streams: [] };

/**
 * Listens on a name for as long as the component is mounted, and for as long as `relay` and `name` stay the same.
 *
 * - `state` is "claiming", "listening", "suspended" while the connection is away, or "failed" with `error`.
 * - `streams` are those that are open. `broadcast(message)` writes to all of them.
 * - `onStream(stream)` and `onMessage(message, stream)` may be new in each render: the last ones are called.
 *
 * An effect may run twice, as in StrictMode: the first server ends with all its streams before the second listens, and
 * nothing that it still says is heard.
 */
export function useStreamServer(relay, name, { onStream, onMessage } = {}) {
  const [shown, setShown] = useState(start);
  const current = useRef(undefined);
  const handleStream = useEffectEvent((stream) => onStream?.(stream));
  const handleMessage = useEffectEvent((message, stream) => onMessage?.(message, stream));

  useEffect(() => {
    let isCurrent = true;
    const change = (changes) => isCurrent && setShown((before) => ({ ...before, ...changes }));
    const server = StreamServer(relay, { codec: jsonCodec() }, (stream) => {
      const showStreams = () => change({ streams: [...server.streams].filter(({ state }) => state !== "opening") });
      stream.on("open", () => {
        showStreams();
        if (isCurrent) handleStream(stream);
      });
      stream.on("data", (message) => isCurrent && handleMessage(message, stream));
      stream.on("end", () => stream.end());
      // A guest that goes away is no error of the host.
      stream.on("error", () => {});
      stream.on("close", showStreams);
    });
    server.on("ready", () => change({ state: "listening" }));
    server.on("suspended", () => change({ state: "suspended" }));
    server.on("resumed", () => change({ state: "listening" }));
    server.on("error", (error) => change({ state: "failed", error }));
    server.on("close", () => change({ streams: [] }));
    server.listen(name);
    setShown(start);
    current.current = server;
    return () => {
      isCurrent = false;
      for (const stream of server.streams) stream.destroy();
      server.end();
    };
  }, [relay, name]);

  const broadcast = useCallback((message) => current.current?.broadcast(message), []);
  return { ...shown, broadcast };
}
