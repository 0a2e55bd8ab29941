/** A cell has this long, and is then stopped, whatever it does. */
const timeoutMs = 1_000;
const maxOutputCharacters = 10_000;

/** What evaluates: a thread of its own, so that a cell that never ends holds up nobody and can be stopped. */
const worker = `
addEventListener("message", async ({ data }) => {
  try {
    postMessage(String(await (0, eval)(data)));
  } catch (error) {
    postMessage(String(error));
  }
});`;

/** The page that has the thread: of no origin, and with no way to the network, because anybody may send a cell. */
const page = `
<meta http-equiv="content-security-policy"
  content="default-src 'none'; script-src 'unsafe-inline' 'unsafe-eval'; worker-src blob:">
<script>
addEventListener("message", ({ data: { worker, source }, ports: [port] }) => {
  const thread = new Worker(URL.createObjectURL(new Blob([worker], { type: "text/javascript" })));
  const end = (output) => {
    thread.terminate();
    port.postMessage(String(output).slice(0, ${maxOutputCharacters}));
  };
  // The cell can send as well, and what is no text may take long to become one.
  thread.onmessage = ({ data }) => end(typeof data === "string" ? data : "a cell gives text");
  thread.onerror = ({ message }) => end(message);
  setTimeout(end, ${timeoutMs}, "stopped after ${timeoutMs} ms");
  thread.postMessage(source);
});
</script>`;

/** Evaluates a cell where it reaches nothing of this page. Resolves with its value, or its error, as text. */
export async function evaluate(source) {
  const frame = document.createElement("iframe");
  frame.sandbox = "allow-scripts";
  frame.srcdoc = page;
  frame.hidden = true;
  const loaded = new Promise((resolve) => frame.addEventListener("load", resolve, { once: true }));
  document.body.append(frame);
  await loaded;
  const { port1, port2 } = new MessageChannel();
  try {
    return await new Promise((resolve) => {
      port1.onmessage = ({ data }) => resolve(data);
      frame.contentWindow.postMessage({ worker, source }, "*", [port2]);
    });
  } finally {
    port1.close();
    frame.remove();
  }
}
