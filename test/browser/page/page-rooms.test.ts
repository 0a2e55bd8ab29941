import { once } from "node:events";
import { type AddressInfo, connect, createServer, type Socket } from "node:net";
import { Failure, type Stream, StreamClient } from "browser-stream-server";
import type { Page } from "playwright-core";
import { afterAll, afterEach, beforeAll, describe, expect, test } from "vitest";
import { openRelay } from "../../integration/relay-ports.js";
import { type RelayProcess, startRelay } from "../../relay-process.js";
import { launchFreezableChromium } from "../freezable-chromium.js";
import { button, inState, knownAs, PageVisits, present, said, say, send } from "../page-visits.js";
import { openPages } from "../pages.js";

let visits: PageVisits;
const streams: Stream[] = [];
const closers: (() => Promise<unknown>)[] = [];

beforeAll(async () => {
  visits = await PageVisits.open();
});

afterEach(async () => {
  for (const stream of streams.splice(0)) stream.destroy();
  await visits.leave();
  for (const close of closers.splice(0).reverse()) await close();
});

afterAll(() => visits?.close());

const focused = (page: Page) => page.locator(":focus");
const panel = (page: Page) => page.locator("#ending");

/** Joins as another program would. */
function joinByProgram(room: string, name: string): Stream {
  const stream = StreamClient(visits.origin).connect(room, { metadata: { kind: "join", name } });
  streams.push(stream.on("error", () => {}).on("data", () => {}));
  return stream;
}

describe("the start", () => {
  test("a room is joined by its name or by a link, whatever stands around it", async () => {
    const { link } = await visits.openRoom("Café + crème #1");
    const guest = await visits.visit();
    const bare = link.replace(/^http:\/\//, "");
    for (const text of ["Café + crème #1", link, ` ${link}\n`, `Come to <${link}>!`, `(${bare})`, new URL(link).hash]) {
      await guest.getByLabel("Link or name of a room to join").fill(text);
      await guest.keyboard.press("Enter");
      await inState(guest, "joined");
      expect(await guest.getByRole("heading", { level: 1 }).textContent()).toBe("Café + crème #1");
      await button(guest, "Leave").click();
    }
  });

  test("a link opens the room that it leads to, and an address that leads to none is refused", async () => {
    const page = await visits.visit();
    await page.getByLabel("Name of the room").fill(`${visits.origin}/`);
    await button(page, "Open the room").click();
    expect(await page.locator("#name:invalid").count()).toBe(1);
    await page.getByLabel("Name of the room").fill(`${visits.origin}/#room=by%20link`);
    await button(page, "Open the room").click();
    await inState(page, "open");
    expect(await page.getByRole("heading", { level: 1 }).textContent()).toBe("by link");
  });

  test("a link to another page is followed there, to join the room or to open it", async () => {
    const elsewhere = `${visits.origin}/?relay=${encodeURIComponent(visits.origin)}`;
    const host = await visits.visit();
    await host.getByLabel("Name of the room").fill(`${elsewhere}#room=there`);
    await button(host, "Open the room").click();
    await inState(host, "open");
    const guest = await visits.visit();
    await guest.getByLabel("Link or name of a room to join").fill(`${elsewhere}#room=there`);
    await button(guest, "Join").click();
    await inState(guest, "joined");
    expect(guest.url()).toBe(host.url());
  });

  test("works where the page may store nothing", async () => {
    const page = await visits.visit("about:blank");
    await page.addInitScript(() => {
      for (const name of ["localStorage", "sessionStorage"]) {
        Object.defineProperty(globalThis, name, {
          get: () => {
            throw new DOMException("The operation is insecure.", "SecurityError");
          },
        });
      }
    });
    await page.goto(visits.origin);
    await button(page, "Open the room").click();
    await inState(page, "open");
  });
});

describe("a person's name", () => {
  test("is shown to the others, is remembered in every tab, and can be changed in the room", async () => {
    const { host, link } = await visits.openRoom();
    const guest = await visits.visit();
    await guest.getByLabel("Your name").fill("  Anna \u202EgnilK  ");
    await guest.getByLabel("Link or name of a room to join").fill(link);
    await guest.keyboard.press("Enter");
    await inState(guest, "joined");
    await say(guest, "Hello");
    await said(host, "Anna gnilK").waitFor();

    await button(guest, "Change your name").click();
    await guest.keyboard.type("Nobody");
    await guest.keyboard.press("Escape");
    await button(guest, "Change your name").and(focused(guest)).press("Enter");
    await guest.keyboard.type("Anna Bo");
    await guest.keyboard.press("Enter");
    await host.getByRole("button", { name: "Remove Anna Bo" }).waitFor();
    expect(await knownAs(guest)).toBe("Anna Bo");
    // It is the same person: nobody has left or joined.
    expect(await host.locator('[data-kind="notice"]').allInnerTexts()).toEqual([
      expect.stringMatching(/^Anna gnilK joined/),
    ]);

    const another = await guest.context().newPage();
    await another.goto(link);
    await present(another, 2);
    expect(await knownAs(another)).toBe("Anna Bo 2");
  });

  test("is made up for a person who gives none, and stays the same when the page is loaded again", async () => {
    const { host, guest } = await visits.openRoomWithGuest();
    const names = [await knownAs(host), await knownAs(guest)];
    for (const name of names) expect(name).toMatch(/^[A-Z][a-z]+ [A-Z][a-z]+( 2)?$/);
    await guest.reload();
    await present(guest, 1);
    expect(await knownAs(guest)).toBe(names[1]);
  });

  test("of another program is cut, cleaned and told apart from the others", async () => {
    const { host } = await visits.openRoom("names");
    const own = (await knownAs(host)) ?? "";
    for (const [at, [given, shown]] of [
      ["\u2067evil\u2066\u0000\u009B[31m\n name", "evil[31m name"],
      ["x".repeat(500), "x".repeat(40)],
      [`${own.toUpperCase()}\u200B`, `${own.toUpperCase()} 2`],
      ["You", "You 2"],
      ["👩‍👩‍👧 ندا‌", "👩‍👩‍👧 ندا‌"],
      ["e\u0301".padEnd(60, "\u0301"), expect.stringMatching(/^\u00e9\u0301{0,4}$/)],
      ["\u3164\u2800 \u200D", expect.stringMatching(/^[A-Z][a-z]+ [A-Z][a-z]+/)],
    ].entries()) {
      joinByProgram("names", given as string);
      await present(host, at + 1);
      expect((await host.locator(".person .label").allInnerTexts()).at(-1)).toEqual(shown);
    }
  });
});

describe("a room", () => {
  test("can be locked, and a guest be removed, by its host alone and while it is open", async () => {
    const { host, guest, link } = await visits.openRoomWithGuest();
    await button(host, "Lock the room").click();
    const late = await visits.visit(link);
    await inState(late, "refused");
    expect(await panel(late).textContent()).toContain("The room is locked.");
    await button(host, "Lock the room").click();
    await button(late, "Try again").click();
    await inState(late, "joined");
    await present(host, 2);
    for (const page of [guest, late]) {
      for (const name of ["Lock the room", "Close the room", "Remove"]) {
        expect(await button(page, name).count()).toBe(0);
      }
    }
    // The focus goes to the next guest's button, and not to the start of the page.
    await button(host, `Remove ${await knownAs(guest)}`).press("Enter");
    await inState(guest, "refused");
    await present(late, 1);
    await button(host, `Remove ${await knownAs(late)}`)
      .and(focused(host))
      .waitFor();
  });

  test("that is locked stays locked when its host's tab is loaded again, and lets its own guests back in", async () => {
    const { host, guest, link } = await visits.openRoomWithGuest();
    await button(host, "Copy the link").focus();
    const removed = await visits.join(link);
    await present(host, 2);
    // A guest who comes takes no focus away from a person who is about something else.
    await button(host, "Copy the link").and(focused(host)).waitFor();
    await button(host, "Lock the room").click();
    await button(host, `Remove ${await knownAs(removed)}`).click();
    await inState(removed, "refused");
    await host.reload();
    await guest.locator('[data-kind="notice"]', { hasText: "You are in again" }).waitFor();
    await present(host, 1);
    await host.getByText("· locked").waitFor();
    await guest.reload();
    await inState(guest, "joined");
    const late = await visits.visit(link);
    await button(removed, "Try again").click();
    for (const page of [late, removed]) await panel(page).getByText("The room is locked.").waitFor();
  });

  test("that its host closes is over for everyone, without waiting", async () => {
    const { host, guest } = await visits.openRoomWithGuest();
    await button(host, "Close the room").click();
    await inState(host, "start");
    await inState(guest, "closed");
    expect(await panel(guest).getByText("This page waits").isVisible()).toBe(false);
  });

  test("whose name is taken is joined by the first choice", async () => {
    await visits.openRoom("taken");
    const other = await visits.visit();
    await other.getByLabel("Name of the room").fill("taken");
    await other.keyboard.press("Enter");
    await inState(other, "name-taken");
    expect(await panel(other).getByRole("button").first().textContent()).toBe("Join that room");
    for (const name of ["Lock the room", "Close the room", "Leave"]) expect(await button(other, name).count()).toBe(0);
    await button(other, "Join that room").and(focused(other)).press("Enter");
    await inState(other, "joined");
    await button(other, "Leave").click();
    await inState(other, "start");
    await button(other, "Open the room").click();
    await inState(other, "open");
  });

  test("takes 200 guests, and no more", async () => {
    const { host } = await visits.openRoom("crowd");
    for (let at = 1; at <= 200; at += 1) {
      const { opened } = joinByProgram("crowd", `Guest with a name of some length ${at}`);
      // The relay lets no more than 128 wait at one name.
      if (at % 50 === 0) await opened;
    }
    await present(host, 200);
    await expect(joinByProgram("crowd", "One too many").opened).rejects.toMatchObject({ failure: Failure.DECLINED });
    expect(await host.evaluate(() => document.documentElement.scrollHeight - innerHeight)).toBe(0);
  });

  test("keeps what was written while nobody can read it", async () => {
    const { host, guest } = await visits.openRoomWithGuest();
    await host.getByRole("textbox", { name: "Message" }).fill("Are you");
    await guest.close();
    await present(host, 0);
    await host.keyboard.type(" there?");
    await host.keyboard.press("Enter");
    await host.locator('[data-kind="notice"]', { hasText: "Nobody else is here yet" }).waitFor();
    expect(await host.getByRole("textbox", { name: "Message" }).inputValue()).toBe("Are you there?");
  });
});

describe("a page that waits", () => {
  test("joins a room as soon as somebody opens it", async () => {
    const guest = await visits.visit(`${visits.origin}/#room=${encodeURIComponent("a room to come")}`);
    await inState(guest, "no-such-room");
    await panel(guest).getByText("This page waits").waitFor();
    await visits.openRoom("a room to come");
    await inState(guest, "joined");
  });

  test("comes back when the host's tab is loaded again, which opens the same room", async () => {
    const { host, guest } = await visits.openRoomWithGuest("reloaded");
    await guest.getByRole("textbox", { name: "Message" }).fill("half a sent");
    await guest.evaluate(() => {
      const states: unknown[] = Object.assign(globalThis, { states: [] }).states;
      const main = document.querySelector("main")!;
      const note = () => states.at(-1) !== main.dataset.state && states.push(main.dataset.state);
      new MutationObserver(note).observe(main, { attributeFilter: ["data-state"] });
    });
    await host.reload();
    await present(host, 1);
    expect(await host.getByRole("heading", { level: 1 }).textContent()).toBe("reloaded");
    await guest.locator('[data-kind="notice"]', { hasText: "You are in again" }).waitFor();
    expect(await guest.evaluate("states")).toEqual(["gone", "joined"]);
    // The person goes on writing where they were.
    await guest.keyboard.type("ence");
    await guest.keyboard.press("Enter");
    await said(host, "half a sentence").waitFor();
  });

  test("says that the host is gone, when its tab was closed, until another one opens the room", async () => {
    const { host, guest } = await visits.openRoomWithGuest("left");
    // Files are on their way, both ways, and nobody's console is told of what the page tells.
    for (const page of [host, guest]) {
      await page.evaluate(() => {
        Blob.prototype.arrayBuffer = () => new Promise(() => {});
      });
      await send(page, { name: "under way", buffer: Buffer.alloc(1000) });
    }
    await guest.locator('.transfer[data-state="running"]').nth(1).waitFor();
    await host.close();
    await inState(guest, "gone");
    expect(await guest.locator('.transfer[data-state="failed"]').count()).toBe(2);
    await guest.getByRole("heading", { name: "The host is gone" }).waitFor();
    await visits.openRoom("left");
    await inState(guest, "joined");
  });

  test("comes back when it was frozen", async () => {
    const chromium = await launchFreezableChromium("ended");
    closers.push(() => chromium.close());
    const relay = await openRelay();
    closers.push(() => relay.close());
    const pages = await openPages(relay);
    closers.push(() => pages.close());
    const tab = await chromium.openTab(pages.origin);
    await tab.goto(`${visits.origin}/`);
    const until = (condition: string) =>
      tab.evaluate(`new Promise((resolve) => {
        const check = () => (${condition}) && (observer.disconnect(), resolve());
        const observer = new MutationObserver(check);
        observer.observe(document, { subtree: true, childList: true, attributes: true, characterData: true });
        check();
      })`);
    const main = `document.querySelector("main")`;
    await tab.evaluate(`document.querySelector("#name").value = "frozen"`);
    await tab.evaluate(`document.querySelector("#start-form [value=open]").click()`);
    await until(`${main}.dataset.state === "open"`);
    const guest = await visits.join(`${visits.origin}/#room=frozen`);
    await until(`${main}.dataset.others === "1"`);
    await tab.freeze();
    await tab.wake();
    await guest.getByRole("textbox", { name: "Message" }).fill("still here");
    await guest.keyboard.press("Enter");
    await until(`document.querySelector("#log").textContent.includes("still here")`);
    await until(`${main}.dataset.state === "open" && ${main}.dataset.others === "1"`);
    // Nobody had to open the room, or to join it, once more.
    expect(await guest.locator('[data-kind="notice"]', { hasText: "again" }).count()).toBe(0);
  });
});

/** A way to a server that can be shut, which ends its connections, and opened again. */
async function openGate(target: string): Promise<{ origin: string; shut(): void; open(): void }> {
  const sockets = new Set<Socket>();
  let isShut = false;
  const gate = createServer((socket) => {
    if (isShut) {
      socket.destroy();
      return;
    }
    const onward = connect(Number(new URL(target).port), "localhost");
    for (const [each, peer] of [
      [socket, onward],
      [onward, socket],
    ] as const) {
      sockets.add(each);
      each.on("error", () => {}).on("close", () => peer.destroy() && sockets.delete(each));
      each.pipe(peer);
    }
  });
  const end = () => {
    for (const socket of sockets) socket.destroy();
  };
  closers.push(async () => {
    end();
    await new Promise((resolve) => gate.close(resolve));
  });
  gate.listen(0, "localhost");
  await once(gate, "listening");
  return {
    origin: `http://localhost:${(gate.address() as AddressInfo).port}`,
    shut() {
      isShut = true;
      end();
    },
    open() {
      isShut = false;
    },
  };
}

describe("a relay", () => {
  let other: RelayProcess | undefined;

  afterEach(async () => {
    await other?.stop();
    other = undefined;
    // Tabs whose relay is away try again and again, of which the browser complains.
    await visits.leave({ requestsMayFail: true });
  });

  test("that is not there at first, or goes, is waited for by host and guest", async () => {
    other = await startRelay("--origin", visits.origin);
    const { port } = new URL(other.origin);
    const address = `${visits.origin}/?relay=http://localhost:${port}`;
    await other.stop();
    const host = await visits.visit(address);
    await host.getByLabel("Name of the room").fill("patience");
    await button(host, "Open the room").click();
    const guest = await visits.visit(`${address}#room=patience`);
    const bothAre = (state: string, own = state) => Promise.all([inState(host, own), inState(guest, state)]);
    await bothAre("unreachable");
    await panel(host).getByText("opens the room by itself").waitFor();
    for (const name of ["Lock the room", "Close the room"]) expect(await button(host, name).count()).toBe(0);

    const start = () => startRelay("--port", port, "--origin", visits.origin);
    other = await start();
    await bothAre("joined", "open");
    await present(host, 1);
    await other.stop();
    await bothAre("suspended");
    await guest.getByText("The connection is lost").waitFor();
    // The relay has other keys, so the guest's stream is over, and the guest joins anew.
    other = await start();
    await bothAre("joined", "open");
    await present(host, 1);
  });

  test("whose connections are cut keeps the room and all in it, and what is said meanwhile arrives", async () => {
    const gate = await openGate(visits.origin);
    const host = await visits.visit(gate.origin);
    await host.getByLabel("Name of the room").fill("kept");
    await button(host, "Open the room").click();
    await inState(host, "open");
    const guest = await visits.join(`${gate.origin}/#room=kept`);
    gate.shut();
    await Promise.all([inState(host, "suspended"), inState(guest, "suspended")]);
    await guest.getByRole("textbox", { name: "Message" }).fill("into the dark");
    await guest.keyboard.press("Enter");
    gate.open();
    await said(host, "into the dark").waitFor();
    await Promise.all([inState(host, "open"), inState(guest, "joined")]);
    await present(host, 1);
  });
});
