import { useEffect, useRef, useState } from "react";
import Poll from "./Poll.jsx";
import { useStreamServer } from "./useStreamServer.js";

const options = ["Tea", "Coffee", "Water"];

/** The tab that asks. It counts the vote of each stream that is open. */
export default function Host({ name }) {
  const [votes, setVotes] = useState(() => new Map());
  const { state, error, streams, broadcast } = useStreamServer(location.origin, name, {
    onStream: (stream) => stream.write(poll),
    onMessage(vote, stream) {
      if (!options.includes(vote)) return;
      // Votes of streams that are over count no more.
      setVotes((votes) => new Map([...votes].filter(([each]) => streams.includes(each))).set(stream, vote));
    },
  });
  const counts = options.map((option) => streams.filter((stream) => votes.get(stream) === option).length);
  const poll = { question: "What shall we drink?", options, counts, guests: streams.length };
  const text = JSON.stringify(poll);
  const told = useRef(text);
  useEffect(() => {
    if (told.current !== text) broadcast(JSON.parse(text));
    told.current = text;
  }, [text, broadcast]);

  const link = new URL(`?poll=${encodeURIComponent(name)}`, location.href).href;
  return (
    <Poll {...poll} state={state} error={error}>
      <p>
        <a href={link} target="_blank" rel="noreferrer">
          Vote in another tab
        </a>
      </p>
    </Poll>
  );
}
