/** A copy of the first element in a `<template>` of the page. */
export function clone(id: string): HTMLElement {
  const copy = find(document, `#${id}`, HTMLTemplateElement).content.firstElementChild?.cloneNode(true);
  if (!(copy instanceof HTMLElement)) throw new Error(`the template ${id} is empty`);
  return copy;
}

/** The first match, which the page is known to have. */
export function find<E extends Element>(root: ParentNode, selector: string, type: abstract new () => E): E {
  const element = root.querySelector(selector);
  if (!(element instanceof type)) throw new Error(`the page has no ${selector}`);
  return element;
}

/** Fills in a `<time>`. */
export function setTime(element: HTMLTimeElement, at: Date): void {
  element.dateTime = at.toISOString();
  element.textContent = clockTime(at);
}

export function clockTime(at: Date): string {
  return at.toLocaleTimeString([], { hour: "2-digit", minute: "2-digit" });
}
