// The list of conversations: pages from the server, kept in order as events arrive.
import { computed, signal } from "@preact/signals";
import { api, isAbort } from "./api";
import { keyOf, WHOLE_SPIRIT, type Conversation, type Phase } from "./wire";

/** Which conversations: by state, in the server's words but for `mine`. */
export type StateFilter = "" | "Requested" | "Active" | "mine" | "Watching";

export interface Filter {
  spirit: string;
  state: StateFilter;
  text: string;
}

export interface List {
  /** In order, without gaps from the first on. */
  items: Conversation[];
  /** Where the next page begins; undefined when all are here. */
  next: string | undefined;
  loading: boolean;
  failure: unknown;
  /** Whether the items are of the present filter; until they are, those of the former stay to be seen. */
  ready: boolean;
  /** Counts the filters' changes: each begins at the top. */
  turn: number;
}

const PAGE = 100;
/** What a catch-up fetches again at the most; what is beyond comes as it is scrolled to. */
const CATCH_UP = 1_000;

export const filter = signal<Filter>({ spirit: "", state: "", text: "" });
export const list = signal<List>({ items: [], next: undefined, loading: false, failure: null, ready: false, turn: 0 });
/** How many wait for a human, of those that are loaded: they come first, so all of them in practice. */
export const waiting = computed(() => list.value.items.filter((item) => item.phase === "Requested").length);

let me = "";
/** Says who `mine` is about. */
export function listFor(user: string): void {
  me = user;
}

export function group(phase: Phase): 0 | 1 | 2 {
  if (phase === "Requested") return 0;
  return phase === "Active" || phase === "TakingOver" ? 1 : 2;
}

/** The server's order: waiting first, then those in human hands, then the rest; newest activity first. */
function before(a: Conversation, b: Conversation): boolean {
  const difference = group(a.phase) - group(b.phase);
  if (difference !== 0) return difference < 0;
  const left = Date.parse(a.lastAt ?? "") || 0;
  const right = Date.parse(b.lastAt ?? "") || 0;
  if (left !== right) return left > right;
  return keyOf(a) < keyOf(b);
}

/** Where `item` belongs among sorted `items`. */
function place(items: readonly Conversation[], item: Conversation): number {
  let low = 0;
  let high = items.length;
  while (low < high) {
    const middle = (low + high) >>> 1;
    if (before(items[middle] as Conversation, item)) low = middle + 1;
    else high = middle;
  }
  return low;
}

function matches(item: Conversation, by: Filter, wasListed: boolean): boolean {
  if (by.spirit && item.spirit !== by.spirit) return false;
  const inGroup = group(item.phase);
  if (by.state === "Requested" && inGroup !== 0) return false;
  if ((by.state === "Active" || by.state === "mine") && inGroup !== 1) return false;
  if (by.state === "mine" && item.by !== me) return false;
  if (by.state === "Watching" && inGroup !== 2) return false;
  // What the server found by text stays, though the text that matched may not be in the line.
  if (!by.text || wasListed) return true;
  const needle = by.text.toLocaleLowerCase();
  return [item.user?.name, item.user?.id, item.session, item.lastText].some((text) => text?.toLocaleLowerCase().includes(needle));
}

let request = new AbortController();

async function page(by: Filter, cursor: string | undefined, signal: AbortSignal): Promise<{ items: Conversation[]; next: string | undefined }> {
  const phase = by.state === "mine" ? "Active" : by.state;
  const answer = await api.conversations({ spirit: by.spirit, phase, q: by.text.trim(), cursor, limit: PAGE }, signal);
  const items = answer.conversations.filter((item) => item.session !== WHOLE_SPIRIT && (by.state !== "mine" || item.by === me));
  return { items, next: answer.next };
}

/** Adds what is not there yet, each at its place. */
function joined(items: readonly Conversation[], more: readonly Conversation[]): Conversation[] {
  const keys = new Set(more.map(keyOf));
  const kept = items.filter((item) => !keys.has(keyOf(item)));
  const all = kept.concat(more);
  const [last, first] = [kept.at(-1), more[0]];
  // Pages come in order, so there is seldom anything to sort.
  return last && first && !before(last, first) ? all.sort((a, b) => (before(a, b) ? -1 : 1)) : all;
}

/** Fetches the list anew. `keep` leaves what is shown until the answer is here, and as much of it. */
export async function reload(keep: boolean): Promise<void> {
  request.abort();
  request = new AbortController();
  const { signal } = request;
  const by = filter.peek();
  const wanted = keep ? Math.min(list.peek().items.length, CATCH_UP) : 0;
  list.value = keep
    ? { ...list.peek(), loading: true, failure: null }
    : { ...list.peek(), next: undefined, loading: true, failure: null, ready: false, turn: list.peek().turn + 1 };
  try {
    let { items, next } = await page(by, undefined, signal);
    while (next !== undefined && items.length < wanted) {
      const more = await page(by, next, signal);
      items = joined(items, more.items);
      next = more.next;
    }
    list.value = { ...list.peek(), items, next, loading: false, failure: null, ready: true };
    replay();
  } catch (failure) {
    if (isAbort(failure) || signal.aborted) return;
    list.value = { ...list.peek(), items: keep ? list.peek().items : [], loading: false, failure };
  }
}

/** Fetches the next page, if there is one and none is on its way. */
export async function more(): Promise<void> {
  const { next, loading, items } = list.peek();
  if (next === undefined || loading || items.length === 0) return;
  const { signal } = request;
  list.value = { ...list.peek(), loading: true, failure: null };
  try {
    const got = await page(filter.peek(), next, signal);
    if (signal.aborted) return;
    list.value = { ...list.peek(), items: joined(list.peek().items, got.items), next: got.next, loading: false };
    replay();
  } catch (failure) {
    if (!isAbort(failure) && !signal.aborted) list.value = { ...list.peek(), loading: false, failure };
  }
}

export function setFilter(change: Partial<Filter>): void {
  filter.value = { ...filter.peek(), ...change };
  void reload(false);
}

// Events come in bursts; the list is put in order once a frame.
const arrived = new Map<string, Conversation>();
let scheduled = false;

/** Takes a conversation as an event or an answer tells it. */
export function note(item: Conversation): void {
  if (item.session === WHOLE_SPIRIT) return;
  arrived.set(keyOf(item), item);
  if (scheduled) return;
  scheduled = true;
  // Not an animation frame: those stop in a tab in the background.
  setTimeout(() => {
    scheduled = false;
    // What arrives during a fetch is newer than its answer, and waits for it.
    if (!list.peek().loading) replay();
  }, 32);
}

function replay(): void {
  if (arrived.size === 0) return;
  const { items, next } = list.peek();
  const by = filter.peek();
  const last = items.at(-1);
  const listed = new Set(items.filter((item) => arrived.has(keyOf(item))).map(keyOf));
  const kept = items.filter((item) => !arrived.has(keyOf(item)));
  for (const item of arrived.values()) {
    if (!matches(item, by, listed.has(keyOf(item)))) continue;
    // Beyond what is loaded there may be others in between: the next page brings it.
    if (next !== undefined && last !== undefined && before(last, item) && keyOf(last) !== keyOf(item)) continue;
    kept.splice(place(kept, item), 0, item);
  }
  arrived.clear();
  list.value = { ...list.peek(), items: kept };
}

/** What the list knows of a conversation. */
export function known(key: string): Conversation | undefined {
  return arrived.get(key) ?? list.peek().items.find((item) => keyOf(item) === key);
}

export function forgetList(): void {
  request.abort();
  arrived.clear();
  filter.value = { spirit: "", state: "", text: "" };
  list.value = { items: [], next: undefined, loading: false, failure: null, ready: false, turn: 0 };
}
