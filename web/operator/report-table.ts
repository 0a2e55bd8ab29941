/** A row, which stays the same element as long as its key is there: a button in it can be pressed while it is drawn. */
export interface Row {
  key: string;
  cells: readonly string[];
  /** The button at the end of the row. */
  action?: { label: string; run: () => unknown };
}

interface Drawn {
  line: HTMLTableRowElement;
  run: (() => unknown) | undefined;
}

/** A table with a title, which is drawn anew every second. */
export class ReportTable {
  readonly element = document.createElement("section");
  readonly #title: string;
  readonly #heading = document.createElement("h2");
  readonly #body: HTMLTableSectionElement;
  readonly #drawn = new Map<string, Drawn>();

  constructor(title: string, heads: readonly string[]) {
    this.#title = title;
    const table = document.createElement("table");
    const head = table.createTHead().insertRow();
    for (const each of heads) {
      const cell = document.createElement("th");
      cell.textContent = each;
      head.append(cell);
    }
    this.#body = table.createTBody();
    this.element.append(this.#heading, table);
  }

  draw(rows: readonly Row[]): void {
    this.#heading.textContent = `${this.#title} (${rows.length})`;
    const keys = new Set(rows.map(({ key }) => key));
    for (const [key, { line }] of this.#drawn) {
      if (keys.has(key)) continue;
      line.remove();
      this.#drawn.delete(key);
    }
    for (const [at, row] of rows.entries()) {
      const drawn = this.#drawn.get(row.key) ?? this.#add(row);
      drawn.run = row.action?.run;
      for (const [column, words] of row.cells.entries()) {
        const cell = drawn.line.cells[column];
        if (cell !== undefined && cell.textContent !== words) cell.textContent = words;
      }
      const there = this.#body.rows[at];
      if (there !== drawn.line) this.#body.insertBefore(drawn.line, there ?? null);
    }
  }

  #add({ key, cells, action }: Row): Drawn {
    const line = document.createElement("tr");
    for (const _cell of cells) line.insertCell();
    const drawn: Drawn = { line, run: undefined };
    if (action !== undefined) {
      const button = document.createElement("button");
      button.type = "button";
      button.textContent = action.label;
      button.addEventListener("click", () => void drawn.run?.());
      line.insertCell().append(button);
    }
    this.#drawn.set(key, drawn);
    return drawn;
  }
}
