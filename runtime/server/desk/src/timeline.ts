// A transcript as it is shown: days, turns, tool calls beside their results, marks, and the Rites
// at the time they ended.
import { dayOf } from "./time";
import { endOf, riteKey } from "./rites";
import type { Sending } from "./sending";
import type { Echo, Finding, Rite, ToolCall, ToolResult } from "./wire";

type Of<K extends Echo["kind"]> = Extract<Echo, { kind: K }>;
export type Said = Of<"user"> | Of<"agent"> | Of<"human">;

/** One call with what came of it; `result` is absent while it runs, or when a crash cut it off. */
export interface Use {
  call: ToolCall;
  result?: ToolResult;
  /** A Rite for it waits: what is its result so far says no more than that. */
  waits?: boolean;
}

export type Item =
  | { show: "day"; key: string; at: number }
  /** `first`: of several in a row by the same one, the one that says who it is. */
  | { show: "said"; key: string; at: number; echo: Said; first: boolean; last: boolean }
  | { show: "findings"; key: string; at: number; findings: Finding[] }
  | { show: "uses"; key: string; at: number; uses: Use[]; pulse: string | undefined; latest: boolean }
  | { show: "mark"; key: string; at: number; echo: Of<"took_over"> | Of<"gave_back"> }
  | { show: "rite"; key: string; at: number; rite: Rite }
  | { show: "sending"; key: string; at: number; sending: Sending; first: boolean };

/** Messages of the same one within this time are shown as one turn. */
const TURN_MS = 5 * 60_000;

function author(echo: Said): string {
  if (echo.kind === "user") return "user";
  return echo.kind === "agent" ? `agent ${echo.spirit}` : `human ${echo.by}`;
}

export function timeline(echoes: readonly Echo[], rites: readonly Rite[], sending: readonly Sending[], me: string): Item[] {
  const results = new Map<string, ToolResult>();
  const calls = new Map<string, ToolCall>();
  const known = new Set(rites.map((rite) => rite.id));
  const waiting = new Set(
    rites.filter((rite) => rite.phase === "Pending" || rite.phase === "Approved").map((rite) => same(rite.action, rite.arguments)),
  );
  const settled = new Set<string>();
  for (const echo of echoes) {
    if (echo.kind === "tools") for (const result of echo.results) results.set(result.call, result);
    if (echo.kind === "agent") for (const call of echo.calls ?? []) calls.set(call.id, call);
    // Of a call that was parked, the first result says that it waits.
    if (echo.kind === "rite") {
      results.set(echo.result.call, echo.result);
      settled.add(echo.result.call);
    }
  }
  const items: Item[] = [];
  const oldest = Date.parse(echoes[0]?.at ?? "") || 0;
  const over = rites.filter((rite) => rite.phase !== "Pending" && endOf(rite) >= oldest).sort((a, b) => endOf(a) - endOf(b));
  let day = Number.NaN;
  const toDay = (at: number) => {
    if (dayOf(at) !== day) items.push({ show: "day", key: `day ${dayOf(at)}`, at });
    day = dayOf(at);
  };
  const ritesUntil = (at: number) => {
    while (over[0] && endOf(over[0]) <= at) {
      const rite = over.shift() as Rite;
      toDay(endOf(rite));
      items.push({ show: "rite", key: `rite ${riteKey(rite)}`, at: endOf(rite), rite });
    }
  };
  echoes.forEach((echo, index) => {
    const at = Date.parse(echo.at) || 0;
    ritesUntil(at);
    toDay(at);
    if (echo.kind === "took_over" || echo.kind === "gave_back") {
      items.push({ show: "mark", key: echo.id, at, echo });
      return;
    }
    if (echo.kind === "rite") {
      // The card of the Rite itself says more, as long as the Rite is kept.
      if (!known.has(echo.rite)) items.push({ show: "rite", key: echo.id, at, rite: remembered(echo, at, calls.get(echo.result.call)) });
      return;
    }
    if (echo.findings?.length && echo.kind !== "user") items.push({ show: "findings", key: `${echo.id} found`, at, findings: echo.findings });
    if (echo.kind === "tools") {
      const strays = echo.results.filter((result) => !calls.has(result.call));
      if (strays.length > 0) {
        const uses = strays.map((result) => ({ call: { id: result.call, name: result.name, arguments: null }, result }));
        items.push({ show: "uses", key: echo.id, at, uses, pulse: echo.pulse, latest: false });
      }
      return;
    }
    // A newer server may tell of more than this page knows.
    if (echo.kind !== "user" && echo.kind !== "agent" && echo.kind !== "human") return;
    if (echo.kind !== "agent" || echo.text || echo.attachments?.length) items.push({ show: "said", key: echo.id, at, echo, first: true, last: true });
    if (echo.kind === "user" && echo.findings?.length) items.push({ show: "findings", key: `${echo.id} found`, at, findings: echo.findings });
    if (echo.kind === "agent" && echo.calls?.length) {
      const uses = echo.calls.map((call) => {
        const result = results.get(call.id);
        const waits = !settled.has(call.id) && waiting.has(same(call.name, call.arguments));
        return { call, ...(result ? { result } : {}), ...(waits ? { waits } : {}) };
      });
      items.push({ show: "uses", key: `${echo.id} calls`, at, uses, pulse: echo.pulse, latest: index === echoes.length - 1 });
    }
  });
  ritesUntil(Number.POSITIVE_INFINITY);
  for (const one of sending) {
    const at = Date.parse(one.at);
    toDay(at);
    items.push({ show: "sending", key: `sending ${one.id}`, at, sending: one, first: true });
  }
  for (const rite of rites) {
    if (rite.phase === "Pending") items.push({ show: "rite", key: `rite ${riteKey(rite)}`, at: 0, rite });
  }
  return joinTurns(items, me);
}

/** A Rite does not name its call: the same action with the same arguments is it, as far as people see. */
function same(name: string, of: unknown): string {
  return `${name} ${JSON.stringify(of)}`;
}

/** A Rite that is kept no more, as the conversation remembers it. */
function remembered(echo: Of<"rite">, at: number, call: ToolCall | undefined): Rite {
  return {
    spirit: "",
    session: "",
    id: echo.rite,
    action: echo.result.name,
    arguments: call?.arguments ?? null,
    phase: echo.standing,
    decidedAt: new Date(at).toISOString(),
    ...(echo.by ? { by: echo.by } : {}),
    ...(echo.comment ? { comment: echo.comment } : {}),
    ...(echo.standing === "Consumed" ? { outcome: echo.result.failed ? "Failed" : "Succeeded" } : {}),
  };
}

function joinTurns(items: Item[], me: string): Item[] {
  items.forEach((item, index) => {
    const before = items[index - 1];
    if (item.show === "said" && before?.show === "said" && author(item.echo) === author(before.echo) && item.at - before.at < TURN_MS) {
      item.first = false;
      before.last = false;
    }
    if (item.show === "sending" && (before?.show === "sending" || (before?.show === "said" && author(before.echo) === `human ${me}`))) {
      item.first = false;
    }
  });
  return items;
}
