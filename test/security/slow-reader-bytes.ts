import { mebibyte } from "./attack.ts";

/**
 * The bytes that the relay may hold for readers that do not read. Its socket and its outbox each take a message of
 * 212,992 bytes beyond 262,144, a frame of 200,704 bytes waits for the outbox, and the writer's two connections have
 * windows of 4 MiB each for all streams together. 1.1 MiB are twice what a reader costs when its caps are met.
 */
export function slowReaderBytes(readers: number): number {
  return readers * (2 * (262_144 + 212_992) + 200_704) + 2 * 4 * mebibyte;
}
