// Server-sent events over fetch, since EventSource sends no Authorization header: the parser, and
// the connection that comes back by itself.
import { signal } from "@preact/signals";
import { openEvents } from "./api";
import { signOut, token } from "./token";

export interface ServerEvent {
  id: string | null;
  name: string;
  data: string;
}

/** More than any event has; a stream that sends more without an end is given up. */
const MOST_CHARACTERS = 4_000_000;

/** Splits a stream into events, by the HTML standard's rules. `onBytes` hears every arrival, comments included. */
export async function* parseEvents(body: ReadableStream<Uint8Array>, onBytes: () => void): AsyncGenerator<ServerEvent> {
  const decoder = new TextDecoder();
  const reader = body.getReader();
  let text = "";
  let id: string | null = null;
  let name = "";
  let data: string[] = [];
  let afterReturn = false;
  try {
    for (;;) {
      const { done, value } = await reader.read();
      if (done) return;
      onBytes();
      text += decoder.decode(value, { stream: true });
      if (afterReturn && text.startsWith("\n")) text = text.slice(1);
      afterReturn = text.endsWith("\r");
      const lines = text.split(/\r\n|\n|\r/);
      text = lines.pop() ?? "";
      if (text.length + data.reduce((sum, part) => sum + part.length, 0) > MOST_CHARACTERS) throw new Error("an event without an end");
      for (const line of lines) {
        if (line === "") {
          if (data.length > 0) yield { id, name: name || "message", data: data.join("\n") };
          name = "";
          data = [];
          continue;
        }
        const colon = line.indexOf(":");
        const field = colon < 0 ? line : line.slice(0, colon);
        const content = colon < 0 ? "" : line.slice(colon + 1).replace(/^ /, "");
        if (field === "data") data.push(content);
        else if (field === "event") name = content;
        else if (field === "id" && !content.includes("\0")) id = content;
      }
    }
  } finally {
    // Lets the connection go when the reader stops early.
    reader.cancel().catch(() => undefined);
  }
}

export type Connection =
  | { state: "connecting" }
  | { state: "live" }
  /** `retryAt` is in milliseconds since the epoch, by this machine's clock; null while trying. */
  | { state: "lost"; retryAt: number | null };

/** How the page stands with the server. */
export const connection = signal<Connection>({ state: "connecting" });

/** The server sends something every 15 seconds; after three times that, the line is dead. */
const SILENCE_MS = 45_000;
const CONNECT_MS = 15_000;
const FIRST_DELAY_MS = 600;
const LONGEST_DELAY_MS = 20_000;

export interface Listener {
  /** Live again, and whether it had been live before: what was missed must be fetched. */
  onLive(again: boolean): void;
  onEvent(event: ServerEvent): void;
  /** They who look may not, or not any more; the stream has stopped. */
  onForbidden(): void;
}

/** Keeps a stream of events open until it is stopped. */
export class EventStream {
  private stopped = false;
  private lastEventId: string | null = null;
  private request = new AbortController();
  private wake: () => void = () => undefined;
  private failures = 0;
  private wasLive = false;

  constructor(private readonly listener: Listener) {}

  start(): void {
    window.addEventListener("online", this.retryNow);
    window.addEventListener("offline", this.drop);
    void this.run();
  }

  stop(): void {
    this.stopped = true;
    window.removeEventListener("online", this.retryNow);
    window.removeEventListener("offline", this.drop);
    this.drop();
    this.wake();
  }

  /** Ends the wait before the next attempt. */
  readonly retryNow = (): void => this.wake();

  private readonly drop = (): void => this.request.abort();

  private async run(): Promise<void> {
    while (!this.stopped) {
      await this.once();
      if (this.stopped) return;
      this.failures += 1;
      // Full jitter over the upper half, so that many desks do not come back in one instant.
      const ceiling = Math.min(LONGEST_DELAY_MS, FIRST_DELAY_MS * 2 ** (this.failures - 1));
      const delay = ceiling * (0.5 + Math.random() / 2);
      // One stream that ends is no news: servers end streams. A second failure is.
      if (this.failures > 1 || !navigator.onLine) connection.value = { state: "lost", retryAt: Date.now() + delay };
      await new Promise<void>((resolve) => {
        const timer = setTimeout(resolve, delay);
        this.wake = () => {
          clearTimeout(timer);
          resolve();
        };
      });
      this.wake = () => undefined;
      if (connection.peek().state === "lost") connection.value = { state: "lost", retryAt: null };
    }
  }

  private async once(): Promise<void> {
    const request = new AbortController();
    this.request = request;
    let watchdog = setTimeout(() => request.abort(), CONNECT_MS);
    const heard = () => {
      clearTimeout(watchdog);
      watchdog = setTimeout(() => request.abort(), SILENCE_MS);
    };
    const bearer = token.peek();
    try {
      const response = await openEvents(this.lastEventId, request.signal);
      if (response.status === 401) {
        this.stopped = true;
        if (token.peek() === bearer) signOut("ended");
        return;
      }
      if (response.status === 403) {
        this.stop();
        this.listener.onForbidden();
        return;
      }
      if (!response.ok || !response.body) return;
      heard();
      connection.value = { state: "live" };
      this.listener.onLive(this.wasLive);
      this.wasLive = true;
      const since = Date.now();
      for await (const event of parseEvents(response.body, heard)) {
        if (this.stopped) return;
        this.failures = 0;
        if (event.id !== null) this.lastEventId = event.id;
        this.listener.onEvent(event);
      }
      if (Date.now() - since > 5_000) this.failures = 0;
    } catch {
      // No answer, or the stream broke off: the loop tries again.
    } finally {
      clearTimeout(watchdog);
      request.abort();
    }
  }
}
