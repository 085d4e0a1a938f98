// Requests to the desk's API.
import { noteServerTime } from "./clock";
import { signOut, token } from "./token";
import type {
  ChronicleEntry,
  Conversation,
  ConversationPage,
  Echo,
  Me,
  OlderPage,
  Problem,
  Rite,
  TranscriptPage,
} from "./wire";

/** The server understood, and said no. */
export class Refused extends Error {
  constructor(
    readonly status: number,
    readonly problem: Problem,
  ) {
    super(problem.detail || problem.title || `HTTP ${status}`);
  }

  /** Whether the same request may succeed later. */
  get passing(): boolean {
    return this.status === 429 || this.status >= 500;
  }
}

/** There was no answer: no network, no server, or too slow. */
export class Unreachable extends Error {}

/** The request was given up by the page itself. */
export function isAbort(error: unknown): boolean {
  return error instanceof DOMException && error.name === "AbortError";
}

const TIMEOUT_MS = 20_000;

function headers(bearer: string | null): Record<string, string> {
  return bearer ? { Authorization: `Bearer ${bearer}` } : {};
}

/** Sends one request. A 401 signs out, whoever asked. */
async function send(
  method: string,
  path: string,
  body?: unknown,
  signal?: AbortSignal,
  bearer: string | null = token.peek(),
): Promise<Response> {
  const timeout = AbortSignal.timeout(TIMEOUT_MS);
  const init: RequestInit = {
    method,
    headers: headers(bearer),
    cache: "no-store",
    signal: signal ? AbortSignal.any([signal, timeout]) : timeout,
  };
  if (body !== undefined) {
    init.body = JSON.stringify(body);
    (init.headers as Record<string, string>)["Content-Type"] = "application/json";
  }
  let response: Response;
  try {
    response = await fetch(path, init);
  } catch (error) {
    if (signal?.aborted) throw error;
    throw new Unreachable(String(error));
  }
  noteServerTime(response.headers.get("Date"));
  if (response.status === 401 && bearer !== null && token.peek() === bearer) signOut("ended");
  if (!response.ok) throw new Refused(response.status, await problemOf(response));
  return response;
}

async function problemOf(response: Response): Promise<Problem> {
  try {
    const problem: unknown = await response.json();
    return typeof problem === "object" && problem !== null ? problem : {};
  } catch {
    return {};
  }
}

async function json<T>(method: string, path: string, body?: unknown, signal?: AbortSignal): Promise<T> {
  const response = await send(method, path, body, signal);
  try {
    return (await response.json()) as T;
  } catch (error) {
    if (signal?.aborted) throw error;
    throw new Unreachable(String(error));
  }
}

function conversationPath(spirit: string, session: string): string {
  return `api/conversations/${encodeURIComponent(spirit)}/${encodeURIComponent(session)}`;
}

function query(fields: Record<string, string | number | undefined>): string {
  const set = Object.entries(fields).filter(([, value]) => value !== undefined && value !== "");
  const text = new URLSearchParams(set.map(([name, value]) => [name, String(value)])).toString();
  return text ? `?${text}` : "";
}

export interface ListQuery {
  spirit?: string | undefined;
  phase?: string | undefined;
  q?: string | undefined;
  cursor?: string | undefined;
  limit: number;
}

export const api = {
  /** Spends a one-time code. The code itself stays out of every log: it is in the body. */
  login: (code: string) => json<{ token: string }>("POST", "api/login", { code }),
  /** Whether a token is accepted, before it is kept. */
  check: (bearer: string) => send("GET", "api/me", undefined, undefined, bearer).then(() => undefined),
  me: (signal?: AbortSignal) => json<Me>("GET", "api/me", undefined, signal),
  conversations: (of: ListQuery, signal?: AbortSignal) =>
    json<ConversationPage>("GET", `api/conversations${query({ ...of })}`, undefined, signal),
  transcript: (spirit: string, session: string, signal?: AbortSignal) =>
    json<TranscriptPage>("GET", `${conversationPath(spirit, session)}?limit=100`, undefined, signal),
  older: (spirit: string, session: string, before: string, signal?: AbortSignal) =>
    json<OlderPage>("GET", `${conversationPath(spirit, session)}/echoes${query({ before, limit: 100 })}`, undefined, signal),
  takeOver: (spirit: string, session: string) =>
    json<Conversation>("POST", `${conversationPath(spirit, session)}/takeover`, {}),
  giveBack: (spirit: string, session: string, force: boolean) =>
    json<Conversation>("POST", `${conversationPath(spirit, session)}/release`, force ? { force } : {}),
  reply: (spirit: string, session: string, id: string, text: string) =>
    json<{ echo: Echo }>("POST", `${conversationPath(spirit, session)}/reply`, { id, text }),
  /** What the Weave did with a Pulse: every entry of the Chronicle, oldest first. */
  trace: (spirit: string, pulse: string, signal: AbortSignal) =>
    json<{ entries: ChronicleEntry[] }>("GET", `api/pulses/${encodeURIComponent(spirit)}/${encodeURIComponent(pulse)}`, undefined, signal),
  typing: (spirit: string, session: string) =>
    send("POST", `${conversationPath(spirit, session)}/typing`, {}).then(() => undefined),
  attachment: (spirit: string, session: string, echo: string, index: number, signal: AbortSignal) =>
    send("GET", `${conversationPath(spirit, session)}/attachments/${encodeURIComponent(echo)}/${index}`, undefined, signal).then(
      (response) => response.blob(),
    ),
  rites: (signal?: AbortSignal) => json<{ rites: Rite[] }>("GET", "api/rites", undefined, signal),
  decide: (rite: Rite, decision: "Approved" | "Denied", comment: string) =>
    json<Rite>("POST", `api/rites/${encodeURIComponent(rite.spirit)}/${encodeURIComponent(rite.id)}/decision`, {
      decision,
      ...(comment ? { comment } : {}),
    }),
  silence: (spirit: string, reason: string) =>
    json<Partial<Conversation>>("POST", `api/spirits/${encodeURIComponent(spirit)}/takeover`, reason ? { reason } : {}),
  lift: (spirit: string) => json<Partial<Conversation>>("POST", `api/spirits/${encodeURIComponent(spirit)}/release`, {}),
};

/** Opens the stream of events. */
export function openEvents(lastEventId: string | null, signal: AbortSignal): Promise<Response> {
  return fetch("api/events", {
    headers: {
      ...headers(token.peek()),
      Accept: "text/event-stream",
      ...(lastEventId ? { "Last-Event-ID": lastEventId } : {}),
    },
    cache: "no-store",
    signal,
  });
}
