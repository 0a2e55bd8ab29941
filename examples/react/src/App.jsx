import { StreamClient, StreamServer } from "browser-stream-server";
import { useEffect, useState } from "react";

export default function App() {
  const [news, setNews] = useState("waiting for the other tab");
  const [stream, setStream] = useState();
  useEffect(() => {
    const fail = (error) => setNews(`failed: ${error.message}`);
    const talk = (stream) => {
      stream.on("data", setNews).on("open", () => setNews("say hello"));
      setStream(stream);
      return stream;
    };
    if (location.search === "?guest") {
      const stream = talk(StreamClient(location.origin).connect("room")).on("error", fail);
      return () => void stream.destroy();
    }
    const server = StreamServer(location.origin, (stream) => talk(stream).on("error", console.log)).listen("room");
    server.on("error", fail);
    return () => {
      for (const stream of server.streams) stream.destroy();
      server.end();
    };
  }, []);
  return (
    <button type="button" onClick={() => stream?.write("hello from there")}>
      {news}
    </button>
  );
}
