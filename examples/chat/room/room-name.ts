const qualities =
  "amber brave brisk calm clear cosy dapper eager early fair fleet fond gentle glad golden grand happy hazel " +
  "honest jolly keen kind light lively lucky mellow merry mild neat noble open proud quick quiet rapid ruby";
const places =
  "bay beach bridge brook canyon cliff cove creek delta dune fjord forest garden glade glen grove harbor hill " +
  "island lagoon lake meadow mesa moor oasis orchard peak pond prairie reef river shore spring summit valley wood";
/** No letter looks like another one. There are 32 of them, so that a byte picks one evenly. */
const letters = "abcdefghijkmnpqrstuvwxyz23456789";
const letterCount = 10;

/** A name that is pleasant to read out and, with 50 random bits beside the words, hopeless to guess. */
export function suggestRoomName(): string {
  const random = crypto.getRandomValues(new Uint8Array(letterCount));
  const tail = Array.from(random, (byte) => letters[byte % letters.length]).join("");
  const half = letterCount / 2;
  return `${pickQuality()}-${pickWord(places)}-${tail.slice(0, half)}-${tail.slice(half)}`;
}

export function pickQuality(): string {
  return pickWord(qualities);
}

/** One of the words in a string. */
export function pickWord(words: string): string {
  const list = words.split(" ");
  const [random = 0] = crypto.getRandomValues(new Uint32Array(1));
  return list[random % list.length] ?? words;
}
