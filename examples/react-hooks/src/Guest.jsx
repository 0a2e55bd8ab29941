import { useState } from "react";
import Poll from "./Poll.jsx";
import { useStream } from "./useStream.js";

/** A tab that votes. */
export default function Guest({ name }) {
  const [poll, setPoll] = useState();
  const [vote, setVote] = useState();
  const { state, error, send, retry } = useStream(location.origin, name, { onMessage: setPoll });
  const choose = (option) => {
    if (send(option)) setVote(option);
  };
  const again = () => {
    setVote(undefined);
    retry();
  };
  return (
    <Poll {...poll} state={state} error={error} vote={vote} onVote={choose}>
      {(state === "closed" || state === "failed") && (
        <button type="button" className="retry" onClick={again}>
          Try again
        </button>
      )}
    </Poll>
  );
}
