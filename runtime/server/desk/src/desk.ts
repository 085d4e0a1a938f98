// The desk at work: who is at it, and what the server's events do to what is shown.
import { computed, effect, signal } from "@preact/signals";
import { alarm, announce } from "./announce";
import { api, Refused } from "./api";
import { runClock } from "./clock";
import { forgetList, known, listFor, reload, waiting } from "./conversations";
import { draftsOf } from "./drafts";
import { connection, EventStream, type ServerEvent } from "./event-stream";
import { pending, forgetRites, noteRiteEnd, noteRites, reloadRites } from "./rites";
import { route } from "./route";
import { forgetSending, resumeSending } from "./sending";
import { noteSilence, noteSilences, silenced } from "./silence";
import { token } from "./token";
import { closeConversation, noteEcho, noteState, onArrival, open, openConversation, reloadTranscript } from "./transcript";
import { noteStill, noteTyping } from "./typing";
import { keyOf, WHOLE_SPIRIT, type Conversation, type Echo, type Me, type Rite } from "./wire";
import { words } from "./words";

/** Who is at the desk; null until the server has said so. */
export const me = signal<Me | null>(null);
/** Why it has not, when it could not. */
export const meFailure = signal<unknown>(null);

let stream: EventStream | null = null;
let opened = 0;

/** Runs the desk while there is a token. */
export function runDesk(): void {
  effect(() => {
    const bearer = token.value;
    if (bearer === null) shut();
    else void begin();
  });
  effect(() => {
    const to = route.value;
    if (token.value === null || me.value === null) return;
    if (to.at === "conversation") openConversation(to.spirit, to.session, known(keyOf(to)));
    else closeConversation();
  });
  effect(() => {
    const count = waiting.value + pending.value.length;
    document.title = count > 0 && token.value !== null ? `(${count}) ${words.value.title}` : words.value.title;
  });
  onArrival(announceEcho);
  runClock();
}

export async function begin(): Promise<void> {
  const mine = (opened += 1);
  meFailure.value = null;
  try {
    const answer = await api.me();
    if (mine !== opened) return;
    // Refused with the permission that is missing.
    if (answer.may.read === false) await api.conversations({ limit: 1 });
    if (mine !== opened) return;
    listFor(answer.user);
    draftsOf(answer.user);
    noteSilences(answer);
    me.value = answer;
  } catch (failure) {
    if (mine !== opened || token.peek() === null) return;
    stream?.stop();
    me.value = null;
    meFailure.value = failure;
    return;
  }
  connection.value = { state: "connecting" };
  stream?.stop();
  stream = new EventStream({ onLive, onEvent, onForbidden: () => void begin() });
  stream.start();
  void reload(false);
  void reloadRites();
}

function shut(): void {
  opened += 1;
  stream?.stop();
  stream = null;
  me.value = null;
  meFailure.value = null;
  closeConversation();
  forgetList();
  forgetRites();
  forgetSending();
}

/** Tries to connect now rather than when the wait is over. */
export function connectNow(): void {
  stream?.retryNow();
}

function onLive(again: boolean): void {
  if (!again) return;
  announce(words.peek().connectedAgain);
  resumeSending();
  catchUp();
}

/** Fetches what was missed. */
function catchUp(): void {
  void reload(true);
  void reloadTranscript();
  void reloadRites();
  api.me().then(
    (answer) => {
      noteSilences(answer);
      me.value = answer;
    },
    // The stream stands, so the next catch-up will know.
    () => undefined,
  );
}

function onEvent(event: ServerEvent): void {
  if (event.name === "resync") {
    catchUp();
    return;
  }
  let data: unknown;
  try {
    data = JSON.parse(event.data);
  } catch {
    return;
  }
  if (typeof data !== "object" || data === null) return;
  switch (event.name) {
    case "conversation": {
      const conversation = data as Conversation;
      if (conversation.session === WHOLE_SPIRIT) {
        noteSilence(conversation);
        // It changes in whose hands every conversation is.
        void reload(true);
        void reloadTranscript();
      } else {
        announceSummons(conversation);
        noteState(conversation);
      }
      break;
    }
    case "echo": {
      const { echo, ...of } = data as { spirit: string; session: string; echo: Echo };
      noteStill(keyOf(of));
      noteEcho(keyOf(of), echo);
      if (echo.kind === "rite") noteRiteEnd(of.spirit, echo);
      break;
    }
    case "rite": {
      const rite = data as Rite;
      if (rite.phase === "Pending") announce(words.peek().announceRite(rite.action));
      noteRites([rite]);
      break;
    }
    case "typing": {
      const of = data as { spirit: string; session: string; by?: string };
      if (of.by !== me.peek()?.user) noteTyping(keyOf(of), of.by ?? "");
      break;
    }
  }
}

function announceSummons(now: Conversation): void {
  if (now.phase !== "Requested" || known(keyOf(now))?.phase === "Requested") return;
  announce(words.peek().announceSummons(nameOf(now)));
}

function announceEcho(echo: Echo, conversation: Conversation | null): void {
  const say = words.peek();
  if (echo.kind === "user") announce(say.announceEcho(conversation ? nameOf(conversation) : say.person, echo.text || say.attachment));
  else if (echo.kind === "agent" && echo.text) announce(say.announceEcho(echo.spirit, echo.text));
  else if (echo.kind === "human") announce(say.announceEcho(echo.by, echo.text));
  else if (echo.kind === "took_over" || echo.kind === "gave_back") announce(handoverText(echo, conversation ? nameOf(conversation) : say.person));
}

/** What a mark of a takeover says. */
export function handoverText(echo: Extract<Echo, { kind: "took_over" | "gave_back" }>, name: string): string {
  const say = words.value;
  if (echo.kind === "took_over") return say.tookOver(echo.by || say.human);
  if (echo.reason === "User") return say.gaveBackUser(name);
  return echo.by ? say.gaveBack(echo.by) : say.gaveBackIdle;
}

/** What to call the person of a conversation. */
export function nameOf(conversation: Conversation): string {
  return conversation.user?.name || conversation.user?.id || conversation.session.replace(/^[^/]*\//, "");
}

/** What may not be done, in words; "" when it may. */
export const mayNot = computed(() => {
  const who = me.value;
  const say = words.value;
  const namespace = who?.namespace ?? "";
  return {
    takeOver: who && !who.may.takeOver ? say.mayNot(`update vigils.eywa.dev`, namespace) : "",
    decide: who && !who.may.decide ? say.mayNot(`update rites.eywa.dev`, namespace) : "",
  };
});

/** The conversation on which something is under way, so that no button is pressed twice. */
export const busy = signal<string>("");
/** What was refused last, by conversation. */
export const refusal = signal<{ key: string; text: string } | null>(null);

async function attempt(key: string, deed: () => Promise<Conversation>, conflict: (by: string) => string): Promise<boolean> {
  if (busy.peek()) return false;
  busy.value = key;
  refusal.value = null;
  try {
    noteState(await deed());
    return true;
  } catch (failure) {
    const by = failure instanceof Refused && failure.status === 409 ? failure.problem.by : undefined;
    const text = by ? conflict(by) : words.peek().failure(failure);
    refusal.value = { key, text };
    alarm(text);
    // The list may be behind what the server knows.
    if (by && open.peek()?.key === key) void reloadTranscript();
    return false;
  } finally {
    busy.value = "";
  }
}

/** The conversation whose reply field gets the focus as soon as it is there: its takeover may take a moment. */
export const eager = signal<string>("");

export async function takeOver(of: { spirit: string; session: string }): Promise<void> {
  eager.value = keyOf(of);
  if (!(await attempt(keyOf(of), () => api.takeOver(of.spirit, of.session), words.peek().otherHasIt))) eager.value = "";
}

/** A conversation that is in human hands only because its whole Spirit is. */
export function wholly(conversation: Conversation): boolean {
  const whole = silenced.value.get(conversation.spirit);
  return whole !== undefined && conversation.phase === "Active" && conversation.by === whole.by && conversation.since === whole.since;
}

/** `force` takes it out of another's hands, which the server may refuse. */
export function giveBack(of: { spirit: string; session: string }, force = false): Promise<boolean> {
  return attempt(keyOf(of), () => api.giveBack(of.spirit, of.session, force), words.peek().otherHasIt);
}

