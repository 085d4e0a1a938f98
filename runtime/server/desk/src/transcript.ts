// The conversation that is open: its echoes, as they are and as they come.
import { computed, signal } from "@preact/signals";
import { api, isAbort } from "./api";
import { note } from "./conversations";
import { noteRites } from "./rites";
import { matchSent } from "./sending";
import { keyOf, type Conversation, type Echo } from "./wire";

export interface Open {
  key: string;
  spirit: string;
  session: string;
  conversation: Conversation | null;
  /** Oldest first. */
  echoes: Echo[];
  /** Where those before the first begin; undefined at the conversation's start. */
  older: string | undefined;
  loading: boolean;
  loadingOlder: boolean;
  failure: unknown;
  /** Echoes that came live, in the order of their coming: for the announcer and the "new" button. */
  arrivals: number;
}

export const open = signal<Open | null>(null);

/** Its key; "" when none is open. For those that need no more than to know which. */
export const openKey = computed(() => open.value?.key ?? "");

let request = new AbortController();
type Hearing = (echo: Echo, conversation: Conversation | null) => void;
let hearing: Hearing = () => undefined;

/** Who is told of each echo that comes live into the open conversation. */
export function onArrival(told: Hearing): void {
  hearing = told;
}

export function openConversation(spirit: string, session: string, from: Conversation | undefined): void {
  const key = keyOf({ spirit, session });
  if (open.peek()?.key === key) return;
  open.value = {
    key,
    spirit,
    session,
    conversation: from ?? null,
    echoes: [],
    older: undefined,
    loading: true,
    loadingOlder: false,
    failure: null,
    arrivals: 0,
  };
  void reloadTranscript();
}

export function closeConversation(): void {
  request.abort();
  open.value = null;
}

function update(key: string, change: (now: Open) => Partial<Open>): void {
  const now = open.peek();
  if (now?.key === key) open.value = { ...now, ...change(now) };
}

/** Echoes of both, each once, oldest first; a later telling of the same echo replaces the former. */
export function merged(before: readonly Echo[], more: readonly Echo[]): Echo[] {
  const all = new Map(before.map((echo) => [echo.id, echo]));
  for (const echo of more) all.set(echo.id, { ...all.get(echo.id), ...echo });
  // A stable sort: echoes of one instant keep the order in which the store has them.
  return [...all.values()].sort((a, b) => Date.parse(a.at) - Date.parse(b.at));
}

/** Fetches the newest page; what was there before stays if the two meet. */
export async function reloadTranscript(): Promise<void> {
  const now = open.peek();
  if (!now) return;
  request.abort();
  request = new AbortController();
  const { signal } = request;
  const { key } = now;
  update(key, () => ({ loading: true, failure: null }));
  try {
    const page = await api.transcript(now.spirit, now.session, signal);
    noteRites(page.rites ?? []);
    note(page.conversation);
    update(key, ({ echoes, older }) => {
      const had = new Set(echoes.map((echo) => echo.id));
      const meets = page.older === undefined || page.echoes.some((echo) => had.has(echo.id));
      // What came live while the page was on its way is newer than the page.
      const last = Date.parse(page.echoes.at(-1)?.at ?? "") || 0;
      const later = meets ? echoes : echoes.filter((echo) => Date.parse(echo.at) > last);
      return {
        conversation: page.conversation,
        echoes: merged(later, page.echoes),
        older: meets && echoes.length > 0 && page.older !== undefined ? older : page.older,
        loading: false,
      };
    });
    for (const echo of page.echoes) matchSent(key, echo);
  } catch (failure) {
    if (!isAbort(failure) && !signal.aborted) update(key, () => ({ loading: false, failure }));
  }
}

export async function loadOlder(): Promise<void> {
  const now = open.peek();
  if (!now?.older || now.loadingOlder) return;
  const { signal } = request;
  const { key, older } = now;
  update(key, () => ({ loadingOlder: true }));
  try {
    const page = await api.older(now.spirit, now.session, older, signal);
    update(key, ({ echoes }) => ({ echoes: merged(page.echoes, echoes), older: page.older, loadingOlder: false }));
  } catch {
    // The button is there again, to be pressed once more.
    update(key, () => ({ loadingOlder: false }));
  }
}

/** Takes an echo as an event or an answer tells it. */
export function noteEcho(key: string, echo: Echo): void {
  matchSent(key, echo);
  update(key, ({ echoes, arrivals, conversation }) => {
    const isNew = !echoes.some((known) => known.id === echo.id);
    if (isNew) hearing(echo, conversation);
    return { echoes: merged(echoes, [echo]), arrivals: arrivals + (isNew ? 1 : 0) };
  });
}

/** Takes the conversation's state as an event or an answer tells it. */
export function noteState(conversation: Conversation): void {
  note(conversation);
  update(keyOf(conversation), () => ({ conversation }));
}
