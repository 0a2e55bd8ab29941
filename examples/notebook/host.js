import { serve } from "browser-stream-server/http";
import { Hono } from "hono";
import { bodyLimit } from "hono/body-limit";
import { HTTPException } from "hono/http-exception";
import { streamSSE } from "hono/streaming";
import { evaluate } from "./evaluate.js";

/** Anybody who knows the name may send cells: so many at once, and so many in all. */
const maxRunning = 4;
const maxCells = 1_000;
const maxCellBytes = 10_000;

/** Serves a notebook from this tab, with Hono. Returns what runs a cell of the tab's own. */
export function hostNotebook(name, show, showStatus) {
  const cells = [];
  const readers = new Set();
  let running = 0;

  async function run(source) {
    if (cells.length + running >= maxCells) throw new HTTPException(507, { message: "The notebook is full" });
    if (running >= maxRunning) throw new HTTPException(503, { message: `${maxRunning} cells run already` });
    running += 1;
    const cell = { source, output: await evaluate(source).finally(() => (running -= 1)) };
    cells.push(cell);
    show(cell);
    for (const wake of readers) wake();
    return cell;
  }

  const app = new Hono()
    .get("/cells", (context) => context.json(cells))
    .post("/cells", bodyLimit({ maxSize: maxCellBytes }), async (context) =>
      context.json(await run(await context.req.text()), 201),
    )
    .get("/events", (context) =>
      streamSSE(context, async (stream) => {
        let wake = () => {};
        const onNews = () => wake();
        readers.add(onNews);
        stream.onAbort(() => {
          readers.delete(onNews);
          wake();
        });
        for (let at = 0; !stream.aborted; ) {
          while (at < cells.length) {
            await stream.writeSSE({ id: String(at), data: JSON.stringify(cells[at]) });
            at += 1;
          }
          if (stream.aborted) break;
          await new Promise((resolve) => {
            wake = resolve;
          });
        }
      }),
    );

  const server = serve(location.origin, name, app.fetch);
  server.ready.then(
    () => showStatus(`This tab serves ${name}`),
    (error) => showStatus(error.message),
  );
  return run;
}
