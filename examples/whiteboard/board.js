import { UndoManager, Array as YArray, Map as YMap } from "yjs";

const colors = ["#1f2937", "#e5484d", "#f59e0b", "#16a34a", "#2563eb", "#9333ea"];
const widths = [4, 10, 22];
const animals = ["Otter", "Heron", "Lynx", "Robin", "Badger", "Marten", "Swift", "Newt", "Hare", "Owl"];
const words = {
  connecting: "Connecting …",
  connected: "Connected",
  away: "Connection lost: your strokes are kept, and sent later",
  failed: "The board cannot be had",
};

const get = (id) => document.getElementById(id);
const [board, drawing, pointers] = [get("board"), get("drawing"), get("pointers")];

/** Says how the board is connected. */
export function showStatus(status, detail = "") {
  get("status").dataset.status = status;
  get("status").textContent = detail === "" ? words[status] : `${words[status]}: ${detail}`;
}

/** Shows the document of a board, and lets the user draw on it. `link` leads others to it. */
export function showBoard(doc, awareness, link) {
  const strokes = doc.getArray("strokes");
  const undo = new UndoManager(strokes, { trackedOrigins: new Set([board]), captureTimeout: 600_000 });
  const tool = { kind: "pen", color: colors[4], width: widths[1] };

  showStrokes(strokes);
  showPeople(awareness);
  showTools(tool, strokes, undo);
  drawByPointer(tool, strokes, undo, awareness);
  get("copy").onclick = async ({ currentTarget }) => {
    await navigator.clipboard.writeText(link.href);
    currentTarget.textContent = "Link copied";
    setTimeout(() => (currentTarget.textContent = "Copy link"), 2_000);
  };
  // Pages over plain HTTP have a clipboard on this machine only.
  get("copy").hidden = navigator.clipboard === undefined;
  get("link").href = link.href;

  const me = Math.floor(Math.random() * animals.length);
  awareness.setLocalState({ name: animals[me], color: colors[1 + (doc.clientID % (colors.length - 1))], at: null });
}

/** Has a path on the board for each stroke of the document. */
function showStrokes(strokes) {
  const paths = new Map();
  const show = (stroke) => {
    const path = svg("path", { stroke: stroke.get("color"), "stroke-width": stroke.get("width") });
    path.stroke = stroke;
    path.setAttribute("d", curve(stroke.get("points").toArray()));
    paths.set(stroke, path);
    drawing.append(path);
  };
  const sync = () => {
    const present = new Set(strokes);
    for (const [stroke, path] of paths) {
      if (present.has(stroke)) continue;
      path.remove();
      paths.delete(stroke);
    }
    for (const stroke of present) if (!paths.has(stroke)) show(stroke);
    get("empty").hidden = present.size > 0;
    get("clear").disabled = present.size === 0;
  };
  sync();
  strokes.observeDeep((events) => {
    if (events.some(({ target }) => target === strokes)) sync();
    for (const { target } of events) {
      const path = paths.get(target.parent);
      if (path !== undefined) path.setAttribute("d", curve(target.toArray()));
    }
  });
}

/** A smooth line through points, which are pairs of numbers one after the other. */
function curve(points) {
  const [x, y] = points;
  // A single point is a dot: a line to itself, with round ends.
  if (points.length < 6) return `M${x} ${y}L${points.at(-2)} ${points.at(-1)}`;
  let path = `M${x} ${y}`;
  for (let at = 2; at + 3 < points.length; at += 2) {
    const [fromX, fromY, toX, toY] = points.slice(at, at + 4);
    path += `Q${fromX} ${fromY} ${(fromX + toX) / 2} ${(fromY + toY) / 2}`;
  }
  return `${path}L${points.at(-2)} ${points.at(-1)}`;
}

function drawByPointer(tool, strokes, undo, awareness) {
  /** Points of the stroke that is being drawn, if one is. */
  let points;
  const change = (action) => strokes.doc.transact(action, board);
  const pointOf = ({ clientX, clientY }) => {
    const { x, y } = new DOMPoint(clientX, clientY).matrixTransform(board.getScreenCTM().inverse());
    return [Math.round(x), Math.round(y)];
  };
  const eraseAt = ({ clientX, clientY }) => {
    const { stroke } = document.elementFromPoint(clientX, clientY) ?? {};
    const at = stroke === undefined ? -1 : strokes.toArray().indexOf(stroke);
    if (at >= 0) change(() => strokes.delete(at));
  };

  board.onpointerdown = (event) => {
    if (event.button !== 0) return;
    board.setPointerCapture(event.pointerId);
    undo.stopCapturing();
    if (tool.kind === "eraser") return eraseAt(event);
    points = YArray.from(pointOf(event));
    const stroke = new YMap([
      ["color", tool.color],
      ["width", tool.width],
      ["points", points],
    ]);
    change(() => strokes.push([stroke]));
  };
  board.onpointermove = (event) => {
    awareness.setLocalStateField("at", pointOf(event));
    if (tool.kind === "eraser" && event.buttons === 1) return eraseAt(event);
    if (points === undefined) return;
    const moves = event.getCoalescedEvents?.() ?? [];
    change(() => points.push((moves.length > 0 ? moves : [event]).flatMap(pointOf)));
  };
  board.onpointerup = board.onpointercancel = () => {
    points = undefined;
  };
  board.onpointerleave = () => awareness.setLocalStateField("at", null);
}

function showTools(tool, strokes, undo) {
  const choose = (changes) => {
    Object.assign(tool, changes);
    board.dataset.tool = tool.kind;
    for (const button of document.querySelectorAll("#tools [data-choice]")) {
      const { color, width, kind } = JSON.parse(button.dataset.choice);
      const isChosen = kind === "eraser" ? tool.kind === "eraser" : color === tool.color || width === tool.width;
      button.setAttribute("aria-pressed", String(isChosen && (kind === "eraser" || tool.kind === "pen" || !color)));
    }
  };
  const addChoice = (group, label, choice, style) => {
    const button = Object.assign(document.createElement("button"), { type: "button", title: label });
    button.setAttribute("aria-label", label);
    button.dataset.choice = JSON.stringify(choice);
    button.style.cssText = style;
    button.onclick = () => choose(choice);
    get(group).append(button);
  };
  const names = ["Black", "Red", "Amber", "Green", "Blue", "Violet"];
  for (const [at, color] of colors.entries()) {
    addChoice("colors", names[at], { kind: "pen", color }, `--color: ${color}`);
  }
  for (const [at, width] of widths.entries()) {
    addChoice("widths", ["Thin", "Medium", "Thick"][at], { width }, `--width: ${6 + at * 5}px`);
  }
  get("eraser").onclick = () => choose({ kind: "eraser" });
  get("undo").onclick = () => undo.undo();
  get("redo").onclick = () => undo.redo();
  get("clear").onclick = () => {
    undo.stopCapturing();
    strokes.doc.transact(() => strokes.delete(0, strokes.length), board);
  };
  const showHistory = () => {
    get("undo").disabled = !undo.canUndo();
    get("redo").disabled = !undo.canRedo();
  };
  for (const event of ["stack-item-added", "stack-item-popped", "stack-cleared"]) undo.on(event, showHistory);
  showHistory();
  choose({});
  addEventListener("keydown", (event) => {
    if (!(event.ctrlKey || event.metaKey) || event.key.toLowerCase() !== "z") return;
    event.preventDefault();
    if (event.shiftKey) undo.redo();
    else undo.undo();
  });
}

/** Shows who is there, and where the pointers of the others are. */
function showPeople(awareness) {
  const show = () => {
    const others = [...awareness.getStates()].filter(([id, { name }]) => id !== awareness.clientID && name);
    const { name = "", color = "" } = awareness.getLocalState() ?? {};
    const faces = [[`${name} (you)`, color], ...others.map(([, each]) => [each.name, each.color])];
    get("people").replaceChildren(
      ...faces.map(([title, background]) => {
        const face = Object.assign(document.createElement("li"), { title, textContent: title[0] ?? "" });
        face.style.background = background;
        return face;
      }),
    );
    pointers.replaceChildren(
      ...others
        .filter(([, { at }]) => at)
        .map(([, { name, color, at }]) => {
          const label = svg("text", { x: 24, y: 41 });
          label.textContent = name;
          const pointer = svg("g", { transform: `translate(${at[0]} ${at[1]})`, fill: color });
          pointer.append(
            svg("path", { d: "M0 0l8 27 6-11 12-4z" }),
            svg("rect", { x: 14, y: 22, rx: 8, height: 27, width: name.length * 11 + 20 }),
            label,
          );
          return pointer;
        }),
    );
  };
  awareness.on("change", show);
  show();
}

function svg(name, attributes) {
  const element = document.createElementNS("http://www.w3.org/2000/svg", name);
  for (const [key, value] of Object.entries(attributes)) element.setAttribute(key, value);
  return element;
}
