import { parseHistory } from "./history.ts";

/** Histories that have failed once, each with what was wrong. A run plays them before those of its seeds. */
const texts: readonly (readonly [text: string, wrong: string])[] = [
  [
    "http2/fetch: open 0; opened 0; hole listener 300",
    "A client whose link the relay had found silent took its peer for lost.",
  ],
  [
    "http2/http2: open 0; opened 0; slow client 300; write 0 listener 3x100b; write 0 client 3x100b; end 0 client; " +
      "end 0 listener; wait 20; cut client half-near",
    "A request that was reset after its fin counted as one that had ended, so its endpoint never got the last messages.",
  ],
  [
    "websocket/fetch: open 0; opened 0; open 1; wait 3; reset 1 client",
    "A client that destroyed its stream before the relay had answered was waited for.",
  ],
  [
    "local/decoded: open 0; opened 0; write 0 client 17x62b; write 0 client 3x16554t; write 0 client 1x125861b; " +
      "write 0 client 1x18128b; stall listener 85; write 0 client 15x96b; claim; write 0 listener 10x176t; wait 28; " +
      "write 0 listener 10x16671t; open 1; wait 60; cut listener fin; write 1 client 5x136b; write 1 client 14x51b; " +
      "write 1 client 7x17291t; reset 0 listener; write 1 client 5x2945t; write 1 listener 17x111b",
    "The account of a stream that its peer had ended by Reject was final and too low.",
  ],
  [
    "local/websocket: open 0; opened 0; away listener 288; wait 31; write 0 client 10x12422t; hole listener 500",
    "An attempt that was made while the network lost everything hung for 20 s.",
  ],
  [
    "http2/http2: open 0; opened 0; write 0 client 1x43b; cut listener rst; drain 267; reset 0 listener",
    "A stream that was reset while its relay was away kept its peer waiting for the whole grace period.",
  ],
  [
    "websocket/fetch: open 0; opened 0; cut client half-near; drain 379; write 0 listener 3x97t",
    "A relay that closed its port warned of a WebSocket that it had itself refused.",
  ],
];

export const knownHistories = texts.map(([text]) => parseHistory(text));
