/** An expression has this long. */
const timeoutMs = 1_000;

/** The page that evaluates: of no origin, and with no way to the network, because anybody may send an expression. */
const page = `
<meta http-equiv="content-security-policy" content="default-src 'none'; script-src 'unsafe-inline' 'unsafe-eval'">
<script>
addEventListener("message", async ({ data, ports }) => {
  let output;
  try {
    output = String(await (0, eval)(data));
  } catch (error) {
    output = String(error);
  }
  ports[0].postMessage(output.slice(0, 10_000));
});
</script>`;

/** Evaluates an expression where it reaches nothing of this page. Resolves with its value, or its error, as text. */
export async function evaluate(source) {
  const frame = document.createElement("iframe");
  frame.sandbox = "allow-scripts";
  frame.srcdoc = page;
  frame.hidden = true;
  document.body.append(frame);
  let timer;
  try {
    await new Promise((resolve) => frame.addEventListener("load", resolve, { once: true }));
    const { port1, port2 } = new MessageChannel();
    const answer = new Promise((resolve) => {
      port1.onmessage = ({ data }) => resolve(data);
      timer = setTimeout(() => resolve("no answer"), timeoutMs);
    });
    frame.contentWindow.postMessage(source, "*", [port2]);
    return await answer;
  } finally {
    clearTimeout(timer);
    frame.remove();
  }
}
