// Rites: actions that wait for a human's yes, and how those before them ended.
import { computed, signal } from "@preact/signals";
import { api, isAbort } from "./api";
import type { Echo, Rite } from "./wire";

export const rites = signal<ReadonlyMap<string, Rite>>(new Map());
export const ritesFailure = signal<unknown>(null);

export function riteKey(rite: Rite): string {
  return `${rite.spirit} ${rite.id}`;
}

const time = (text: string | undefined) => Date.parse(text ?? "") || 0;

/** Those that wait, the next to expire first. */
export const pending = computed(() =>
  [...rites.value.values()].filter((rite) => rite.phase === "Pending").sort((a, b) => time(a.expiresAt) - time(b.expiresAt)),
);

/** Those that ended, the last first. */
export const ended = computed(() =>
  [...rites.value.values()].filter((rite) => rite.phase !== "Pending").sort((a, b) => endOf(b) - endOf(a)),
);

/** When it was decided, or ran out; in milliseconds since the epoch. */
export function endOf(rite: Rite): number {
  return time(rite.decidedAt) || time(rite.expiresAt);
}

export function noteRites(some: readonly Rite[]): void {
  if (some.length === 0) return;
  const all = new Map(rites.peek());
  for (const rite of some) all.set(riteKey(rite), later(all.get(riteKey(rite)), rite));
  rites.value = all;
}

/** How far a Rite is: it never goes back. */
function progress(rite: Rite): number {
  if (rite.phase === "Pending") return 0;
  return rite.phase === "Approved" ? 1 : 2;
}

/** The answer to a decision may come after the event that tells what came of it. */
function later(known: Rite | undefined, told: Rite): Rite {
  if (!known) return told;
  if (progress(known) > progress(told)) return known;
  return known.phase === told.phase ? { ...known, ...told } : told;
}

/** Takes what a conversation says of a Rite's end. */
export function noteRiteEnd(spirit: string, echo: Extract<Echo, { kind: "rite" }>): void {
  const known = rites.peek().get(`${spirit} ${echo.rite}`);
  if (!known) return;
  noteRites([
    {
      ...known,
      phase: echo.standing,
      ...(echo.by ? { by: echo.by } : {}),
      ...(echo.comment ? { comment: echo.comment } : {}),
      ...(echo.standing === "Consumed" ? { outcome: echo.result.failed ? ("Failed" as const) : ("Succeeded" as const) } : {}),
    },
  ]);
}

let request = new AbortController();

export async function reloadRites(): Promise<void> {
  request.abort();
  request = new AbortController();
  const { signal } = request;
  try {
    const answer = await api.rites(signal);
    ritesFailure.value = null;
    // The answer is the whole of what waits: what waited here and is not in it has ended unseen.
    const all = new Map([...rites.peek()].filter(([, rite]) => rite.phase !== "Pending"));
    for (const rite of answer.rites) all.set(riteKey(rite), rite);
    rites.value = all;
  } catch (failure) {
    if (!isAbort(failure) && !signal.aborted) ritesFailure.value = failure;
  }
}

export async function decide(rite: Rite, decision: "Approved" | "Denied", comment: string): Promise<void> {
  noteRites([await api.decide(rite, decision, comment.trim())]);
}

export function forgetRites(): void {
  request.abort();
  rites.value = new Map();
}
