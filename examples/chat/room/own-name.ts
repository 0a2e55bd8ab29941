import { cleanName } from "../clean-text.js";
import { recall, remember } from "../memory.js";
import { pickQuality, pickWord } from "./room-name.js";

const chosenKey = "name";
const suggestedKey = "suggested-name";

const animals =
  "Alpaca Badger Crane Dingo Eland Ferret Gecko Heron Ibis Jackal Koala Lynx Mole " +
  "Newt Otter Panda Quail Raven Seal Tapir Urchin Vole Wren Yak Zebra";

/** A name for a person who has not chosen one. */
export function suggestPersonName(): string {
  const quality = pickQuality();
  return `${quality.charAt(0).toUpperCase()}${quality.slice(1)} ${pickWord(animals)}`;
}

/** The name that this person chose, in any tab of this browser, or else one that was made up for this tab. */
export function ownName(): string {
  const known = cleanName(recall("browser", chosenKey) ?? recall("tab", suggestedKey) ?? "");
  if (known !== "") return known;
  const suggested = suggestPersonName();
  remember("tab", suggestedKey, suggested);
  return suggested;
}

/** Remembers the name that a person gave, and returns it clean. Without a name the suggestion is used again. */
export function chooseOwnName(text: string): string {
  const name = cleanName(text);
  const isSuggestion = name === recall("tab", suggestedKey);
  if (name !== ownName()) remember("browser", chosenKey, name === "" || isSuggestion ? undefined : name);
  return name === "" ? ownName() : name;
}

/** Names that read like the page's own words. */
const reserved = ["You", "Host"];

/** The name, with a number behind it if somebody here has one that looks the same. */
export function distinctName(name: string, others: Iterable<string>): string {
  const taken = new Set([...reserved, ...others].map(looksLike));
  let distinct = name;
  for (let number = 2; taken.has(looksLike(distinct)); number += 1) distinct = `${name} ${number}`;
  return distinct;
}

function looksLike(name: string): string {
  return name
    .normalize("NFKC")
    .replace(/[\s\p{Default_Ignorable_Code_Point}]/gu, "")
    .toLowerCase();
}
