const escapes: Record<string, string> = { "&": "&amp;", "<": "&lt;", ">": "&gt;", '"': "&quot;" };

export const escaped = (text: string): string => text.replaceAll(/[&<>"]/g, (character) => escapes[character] ?? "");

export type Attributes = Record<string, string | number>;

const shownNumber = (value: string | number) =>
  typeof value === "number" ? String(Number(value.toFixed(1))) : escaped(value);

/** Writes an element. `content` is markup. */
export function element(name: string, attributes: Attributes, content = ""): string {
  const written = Object.entries(attributes).map(([key, value]) => ` ${key}="${shownNumber(value)}"`);
  return content === "" ? `<${name}${written.join("")}/>` : `<${name}${written.join("")}>${content}</${name}>`;
}

export const text = (x: number, y: number, content: string, attributes: Attributes = {}): string =>
  element("text", { x, y, ...attributes }, escaped(content));

/** The style of all pictures. Its colours are named by their purpose, and have values for light and dark pages. */
const style = `
  text { font: 12px system-ui, -apple-system, "Segoe UI", sans-serif; fill: var(--text); }
  .title { font-weight: 600; font-size: 13px; }
  .faint { fill: var(--faint); }
  svg {
    --back: #ffffff; --text: #1f2328; --faint: #59636e; --rule: #d1d9e0; --other: #afb8c1; --ours: #0969da;
    --series0: #0969da; --series1: #1a7f37; --series2: #6e7781; --series3: #bc4c00;
  }
  @media (prefers-color-scheme: dark) {
    svg {
      --back: #0d1117; --text: #e6edf3; --faint: #9198a1; --rule: #3d444d; --other: #59636e; --ours: #4493f8;
      --series0: #4493f8; --series1: #3fb950; --series2: #9198a1; --series3: #f0883e;
    }
  }
`;

/** Writes a picture on a background of its own, so that it is readable on any page. */
export function picture(width: number, height: number, label: string, content: string): string {
  const attributes = { xmlns: "http://www.w3.org/2000/svg", viewBox: `0 0 ${width} ${height}`, role: "img" };
  const background = element("rect", { width, height, rx: 6, fill: "var(--back)" });
  const parts = [element("title", {}, escaped(label)), element("style", {}, style), background, content];
  return `${element("svg", { ...attributes, width, height }, parts.join("\n"))}\n`;
}
