import { expect, test } from "vitest";
import { engines } from "../../engines/engines.js";
import { launchedEngines } from "../../engines/launched-engines.js";
import { serveExample } from "../built-example.js";

const browserOf = launchedEngines();

/** Resolves with the URL of the cells when the page has it. */
const cellsUrl = `new Promise((resolve) => {
  const check = () => {
    const url = /http.*(?=events$)/.exec(document.querySelector("#curl").textContent)?.[0];
    if (url === undefined || !document.querySelector("#status").textContent.includes("serves")) return;
    observer.disconnect();
    resolve(url + "cells");
  };
  const observer = new MutationObserver(check);
  observer.observe(document, { subtree: true, childList: true, characterData: true });
  check();
})`;

test.each(engines)(
  "examples/notebook stops a cell that never ends, and answers meanwhile, in $name",
  async (engine) => {
    const origin = `http://127.0.0.1:${await serveExample("notebook")}`;
    const tab = await browserOf(engine).openTab(origin);
    await tab.goto(`${origin}/`);
    const url = (await tab.evaluate(cellsUrl)) as string;
    const post = (body: string) => fetch(url, { method: "POST", body });
    const order: string[] = [];
    const endless = ["while (true);", "new Promise(() => {})"].map(async (source) => {
      expect((await post(source)).status).toBe(201);
      order.push("stopped");
    });
    expect(await (await fetch(url)).json()).toEqual([]);
    order.push("answered");
    await Promise.all(endless);
    expect(order).toEqual(["answered", "stopped", "stopped"]);
    expect(await (await post("1 + 1")).json()).toEqual({ source: "1 + 1", output: "2" });
    expect(await (await post("postMessage(Array(9)); 'late'")).json()).toMatchObject({ output: "a cell gives text" });
    expect(await (await fetch(url)).json()).toHaveLength(4);
    await tab.close();
  },
);
