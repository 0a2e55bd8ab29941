/** A Markdown table. Paragraphs of a cell become lines. */
export function table(head: readonly string[], rows: readonly (readonly string[])[]): string {
  const line = (cells: readonly string[]) => `| ${cells.map(cell).join(" | ")} |`;
  return [line(head), line(head.map(() => "---")), ...rows.map(line)].join("\n");
}

function cell(text: string): string {
  return text.replaceAll("|", "\\|").replaceAll("\n\n", "<br>").replaceAll("\n", " ");
}

export function fenced(text: string, language = "text"): string {
  return `\`\`\`${language}\n${text}\n\`\`\``;
}

export function code(text: string): string {
  return `\`${text}\``;
}

/** The number with commas between its thousands, as in 65,536. */
export function grouped(value: number): string {
  return value.toLocaleString("en-US");
}
