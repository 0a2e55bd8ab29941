const words = {
  claiming: "Opening the poll …",
  listening: "Open for votes",
  connecting: "Connecting …",
  open: "Connected",
  suspended: "The connection is lost, and comes back by itself",
  closed: "The poll is closed",
};

/** A question, its options as bars, and how the page is connected. Without `onVote` nobody votes here. */
export default function Poll({ question, options = [], counts, guests, state, error, vote, onVote, children }) {
  return (
    <main>
      <p className="status" role="status" data-state={state}>
        {words[state] ?? `It does not work: ${error.message}`}
      </p>
      <h1>{question ?? "…"}</h1>
      <ul>
        {options.map((option, at) => (
          <li key={option}>
            <button type="button" disabled={!onVote} aria-pressed={vote === option} onClick={() => onVote?.(option)}>
              <span className="bar" style={{ inlineSize: `${guests > 0 ? (counts[at] / guests) * 100 : 0}%` }} />
              <span>{option}</span>
              <output aria-label={`Votes for ${option}`}>{counts[at]}</output>
            </button>
          </li>
        ))}
      </ul>
      <p>
        {guests ?? 0} {guests === 1 ? "guest" : "guests"}
      </p>
      {children}
    </main>
  );
}
