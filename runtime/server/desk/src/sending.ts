// Replies on their way: shown at once, sent again when the line failed, never twice in the
// conversation, since the id is made here and the server takes each id once.
import { signal } from "@preact/signals";
import { api, Refused, Unreachable } from "./api";
import { serverNow } from "./clock";
import { noteEcho } from "./transcript";
import { keyOf, type Echo } from "./wire";

export interface Sending {
  id: string;
  text: string;
  at: string;
  state: "sending" | "failed";
  failure: unknown;
  /** Whether the same words may go through when sent again. */
  again: boolean;
}

const ATTEMPTS = 4;
const RESUMED_MS = 2 * 60_000;

/** By conversation: what its human wrote that the server has not confirmed. */
export const sending = signal<ReadonlyMap<string, readonly Sending[]>>(new Map());

function change(key: string, to: (now: readonly Sending[]) => readonly Sending[]): void {
  const all = new Map(sending.peek());
  const next = to(all.get(key) ?? []);
  if (next.length > 0) all.set(key, next);
  else all.delete(key);
  sending.value = all;
}

function set(key: string, id: string, fields: Partial<Sending>): void {
  change(key, (now) => now.map((item) => (item.id === id ? { ...item, ...fields } : item)));
}

// Words reach the person in the order they were written, so each waits for the one before it.
const queues = new Map<string, Promise<void>>();

/** `crypto.randomUUID` is there on https and this machine alone; a desk behind plain HTTP in a private network works too. */
function newId(): string {
  return Array.from(crypto.getRandomValues(new Uint8Array(16)), (byte) => byte.toString(16).padStart(2, "0")).join("");
}

/** Sends words in the Spirit's place. */
export function sendReply(spirit: string, session: string, text: string): void {
  const key = keyOf({ spirit, session });
  const id = newId();
  const at = new Date(serverNow()).toISOString();
  change(key, (now) => [...now, { id, text, at, state: "sending", failure: null, again: true }]);
  enqueue(spirit, session, id, text);
}

/** Sends a failed reply again, under the same id. */
export function sendAgain(spirit: string, session: string, id: string): void {
  const key = keyOf({ spirit, session });
  const item = sending.peek().get(key)?.find((one) => one.id === id);
  if (item?.state !== "failed") return;
  set(key, id, { state: "sending", failure: null });
  enqueue(spirit, session, id, item.text);
}

/** What failed for want of a connection is sent when there is one again, unless it is so old that it may not fit any more. */
export function resumeSending(): void {
  for (const [key, items] of sending.peek()) {
    const [spirit = "", session = ""] = key.split(" ");
    for (const { id, state, failure, at } of items) {
      if (state === "failed" && failure instanceof Unreachable && serverNow() - Date.parse(at) < RESUMED_MS) sendAgain(spirit, session, id);
    }
  }
}

/** Takes a failed reply out; the answer is its text. */
export function withdraw(key: string, id: string): string {
  const item = sending.peek().get(key)?.find((one) => one.id === id);
  change(key, (now) => now.filter((one) => one.id !== id));
  return item?.text ?? "";
}

function enqueue(spirit: string, session: string, id: string, text: string): void {
  const key = keyOf({ spirit, session });
  const last = queues.get(key) ?? Promise.resolve();
  const next = last.then(() => deliver(spirit, session, key, id, text));
  queues.set(key, next);
  void next.finally(() => {
    if (queues.get(key) === next) queues.delete(key);
  });
}

async function deliver(spirit: string, session: string, key: string, id: string, text: string): Promise<void> {
  for (let attempt = 1; ; attempt += 1) {
    try {
      const { echo } = await api.reply(spirit, session, id, text);
      change(key, (now) => now.filter((one) => one.id !== id));
      if (echo) noteEcho(key, echo);
      return;
    } catch (failure) {
      const passing = failure instanceof Unreachable || (failure instanceof Refused && failure.passing);
      if (!passing || attempt >= ATTEMPTS) {
        set(key, id, { state: "failed", failure, again: passing || (failure instanceof Refused && failure.status === 409) });
        return;
      }
      await new Promise((resolve) => setTimeout(resolve, 500 * 2 ** attempt * (0.5 + Math.random() / 2)));
    }
  }
}

/** The event may be here before the answer to the request that caused it. */
export function matchSent(key: string, echo: Echo): void {
  if (echo.kind !== "human") return;
  const mine = sending.peek().get(key)?.find((one) => echo.id === one.id || echo.id.endsWith(one.id));
  if (mine) change(key, (now) => now.filter((one) => one.id !== mine.id));
}

export function forgetSending(): void {
  sending.value = new Map();
}
