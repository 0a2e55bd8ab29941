import { attachNotebook } from "./guest.js";
import { hostNotebook } from "./host.js";

const attached = new URLSearchParams(location.search).get("attach");
const name = attached ?? `notebook-${crypto.randomUUID().slice(0, 8)}`;
const element = (id) => document.getElementById(id);

function show({ source, output }) {
  const [item, code, result] = ["li", "code", "output"].map((tag) => document.createElement(tag));
  code.textContent = source;
  result.textContent = output;
  item.append(code, result);
  element("cells").append(item);
  element("form").scrollIntoView({ block: "nearest" });
}

const showStatus = (text) => {
  element("status").textContent = text;
};

const run = attached === null ? hostNotebook(name, show, showStatus) : attachNotebook(name, show, showStatus);
element("form").addEventListener("submit", (event) => {
  event.preventDefault();
  void run(element("source").value).catch((error) => showStatus(error.message));
  event.target.reset();
});
element("source").addEventListener("keydown", (event) => {
  if (event.key === "Enter" && (event.ctrlKey || event.metaKey)) element("form").requestSubmit();
});
if (attached === null) {
  element("attach").href = `?attach=${name}`;
  element("curl").textContent = `curl -N ${location.origin}/~/${name}/events`;
  element("more").hidden = false;
}
