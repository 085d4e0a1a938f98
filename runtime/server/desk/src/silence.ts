// Spirits that are in human hands as a whole.
import { signal } from "@preact/signals";
import { api } from "./api";
import { WHOLE_SPIRIT, type Conversation, type Me, type Silence } from "./wire";

export const silenced = signal<ReadonlyMap<string, Silence>>(new Map());

export function noteSilences(me: Me): void {
  silenced.value = new Map((me.silenced ?? []).map((silence) => [silence.spirit, silence]));
}

/** Takes the state of a `*` Vigil, as an event or an answer tells it. */
export function noteSilence(vigil: Conversation): void {
  if (vigil.session !== WHOLE_SPIRIT) return;
  const all = new Map(silenced.peek());
  if (vigil.phase === "Active" || vigil.phase === "TakingOver") {
    all.set(vigil.spirit, {
      spirit: vigil.spirit,
      ...(vigil.by ? { by: vigil.by } : {}),
      ...(vigil.since ? { since: vigil.since } : {}),
    });
  } else {
    all.delete(vigil.spirit);
  }
  silenced.value = all;
}

/** Silences the Spirit in every conversation. */
export async function silence(spirit: string, by: string, reason: string): Promise<void> {
  const vigil = await api.silence(spirit, reason);
  noteSilence({ phase: "Active", by, ...vigil, spirit, session: WHOLE_SPIRIT });
}

/** Lets it answer again. */
export async function lift(spirit: string): Promise<void> {
  await api.lift(spirit);
  noteSilence({ phase: "Released", spirit, session: WHOLE_SPIRIT });
}
