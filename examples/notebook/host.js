import { serve } from "browser-stream-server/http";
import { Hono } from "hono";
import { streamSSE } from "hono/streaming";
import { evaluate } from "./evaluate.js";

/** Serves a notebook from this tab, with Hono. Returns what runs a cell of the tab's own. */
export function hostNotebook(name, show, showStatus) {
  const cells = [];
  const readers = new Set();

  async function run(source) {
    const cell = { source, output: await evaluate(source) };
    cells.push(cell);
    show(cell);
    for (const wake of readers) wake();
    return cell;
  }

  const app = new Hono()
    .get("/cells", (context) => context.json(cells))
    .post("/cells", async (context) => context.json(await run(await context.req.text()), 201))
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
