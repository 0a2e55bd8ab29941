const qualities =
  "amber brave brisk calm clear cosy dapper eager early fair fleet fond gentle glad golden grand happy hazel " +
  "honest jolly keen kind light lively lucky mellow merry mild neat noble open proud quick quiet rapid ruby";
const places =
  "bay beach bridge brook canyon cliff cove creek delta dune fjord forest garden glade glen grove harbor hill " +
  "island lagoon lake meadow mesa moor oasis orchard peak pond prairie reef river shore spring summit valley wood";
/** Nothing that looks like something else. 32 of them, so that a byte picks one evenly. */
const letters = "abcdefghijkmnpqrstuvwxyz23456789";
const letterCount = 10;

/** A name that is pleasant to read out and, with 50 random bits beside the words, hopeless to guess. */
export function suggestName(): string {
  const random = crypto.getRandomValues(new Uint8Array(letterCount + 2));
  const pick = (words: string, at: number) => {
    const list = words.split(" ");
    return list[(random[at] ?? 0) % list.length];
  };
  const tail = Array.from(random.subarray(2), (byte) => letters[byte % letters.length]).join("");
  return `${pick(qualities, 0)}-${pick(places, 1)}-${tail.slice(0, letterCount / 2)}-${tail.slice(letterCount / 2)}`;
}
