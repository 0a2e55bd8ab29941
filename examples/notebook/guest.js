import { createFetch } from "browser-stream-server/http";

/** Attaches this tab to the notebook of another. Returns what runs a cell there. */
export function attachNotebook(name, show, showStatus) {
  const fetchNotebook = createFetch(location.origin, name);

  async function follow() {
    const response = await fetchNotebook("/events");
    showStatus(`Attached to ${name}`);
    const decoder = new TextDecoder();
    let text = "";
    for (const reader = response.body.getReader(); ; ) {
      const { done, value } = await reader.read();
      if (done) return;
      text += decoder.decode(value, { stream: true });
      const events = text.split("\n\n");
      text = events.pop();
      for (const event of events) {
        const data = /^data: (.*)$/m.exec(event)?.[1];
        if (data !== undefined) show(JSON.parse(data));
      }
    }
  }

  follow().then(
    () => showStatus("The notebook was closed"),
    (error) => showStatus(error.message),
  );
  return async (source) => {
    const response = await fetchNotebook("/cells", { method: "POST", body: source });
    if (!response.ok) throw new Error(`The notebook answers ${response.status}`);
  };
}
