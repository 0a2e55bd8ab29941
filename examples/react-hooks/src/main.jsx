import { StrictMode } from "react";
import { createRoot } from "react-dom/client";
import Guest from "./Guest.jsx";
import Host from "./Host.jsx";

const poll = new URLSearchParams(location.search).get("poll");

/** A name that nobody guesses, and that a tab which is loaded again still has. */
function ownName() {
  sessionStorage.poll ??= `poll-${Array.from(crypto.getRandomValues(new Uint32Array(3)), (part) => part.toString(36)).join("")}`;
  return sessionStorage.poll;
}

createRoot(document.getElementById("root")).render(
  <StrictMode>{poll === null ? <Host name={ownName()} /> : <Guest name={poll} />}</StrictMode>,
);
