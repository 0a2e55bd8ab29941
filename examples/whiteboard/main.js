import { showBoard, showStatus } from "./board.js";
import { visitBoard } from "./guest.js";
import { hostBoard } from "./host.js";

const visited = new URLSearchParams(location.search).get("board");

/** A name that nobody guesses, and that a tab which is loaded again still has. */
function ownName() {
  const parts = () => Array.from(crypto.getRandomValues(new Uint32Array(3)), (part) => part.toString(36));
  sessionStorage.board ??= `board-${parts().join("")}`;
  return sessionStorage.board;
}

const name = visited ?? ownName();
const { doc, awareness } = visited === null ? hostBoard(name, showStatus) : visitBoard(name, showStatus);
showBoard(doc, awareness, new URL(`?board=${encodeURIComponent(name)}`, location.href));
