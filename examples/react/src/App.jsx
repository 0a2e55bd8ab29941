import { StreamClient, StreamServer } from "browser-stream-server";
import { useEffect, useState } from "react";

function Host() {
  const [news, setNews] = useState("opening the room");
  useEffect(() => {
    const server = StreamServer(location.origin, (stream) => {
      stream.on("data", (text) => {
        setNews(`a guest said: ${text}`);
        stream.write(`you said: ${text}`);
      });
      stream.on("error", (error) => console.log("a guest is lost:", error.message));
    });
    server.on("ready", () => setNews("nobody is here yet"));
    server.on("error", (error) => setNews(`failed: ${error.message}`));
    server.listen("room");
    return () => void server.end();
  }, []);
  return <p>{news}</p>;
}

function Guest() {
  const [news, setNews] = useState("connecting");
  const [stream, setStream] = useState();
  useEffect(() => {
    const stream = StreamClient(location.origin).connect("room");
    stream.on("open", () => setNews("say hello")).on("data", setNews);
    stream.on("error", (error) => setNews(`failed: ${error.message}`));
    setStream(stream);
    return () => void stream.destroy();
  }, []);
  return (
    <button type="button" onClick={() => stream.write("hello")}>
      {news}
    </button>
  );
}

export default function App() {
  return location.search === "?guest" ? <Guest /> : <Host />;
}
