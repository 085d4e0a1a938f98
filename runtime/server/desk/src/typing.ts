// Who is typing where. A note of it is good for a few seconds, and then needs another.
import { signal } from "@preact/signals";
import { api } from "./api";

const LASTS_MS = 6_000;
const TELL_EVERY_MS = 3_000;

/** By conversation: the human's name, or "" for the person on the other side. */
export const typing = signal<ReadonlyMap<string, string>>(new Map());
const timers = new Map<string, ReturnType<typeof setTimeout>>();

export function noteTyping(key: string, by: string): void {
  clearTimeout(timers.get(key));
  timers.set(key, setTimeout(() => noteStill(key), LASTS_MS));
  if (typing.peek().get(key) !== by) typing.value = new Map(typing.peek()).set(key, by);
}

/** What they typed is here, or they stopped. */
export function noteStill(key: string): void {
  clearTimeout(timers.get(key));
  timers.delete(key);
  if (!typing.peek().has(key)) return;
  const all = new Map(typing.peek());
  all.delete(key);
  typing.value = all;
}

let told = 0;

/** Tells the channel and the other desks that the human here types, not more often than they need it. */
export function tellTyping(spirit: string, session: string): void {
  const now = Date.now();
  if (now - told < TELL_EVERY_MS) return;
  told = now;
  // Nothing depends on it: a failure is not worth a word.
  api.typing(spirit, session).catch(() => undefined);
}

export function stoppedTyping(): void {
  told = 0;
}
