// What stands between the messages of a turn: what Scouts found, which tools were called, and the
// marks of a takeover.
import { useSignal } from "@preact/signals";
import { useEffect } from "preact/hooks";
import { api, isAbort, Refused } from "../api";
import { handoverText } from "../desk";
import { clockTime, fullTime } from "../time";
import type { Use } from "../timeline";
import type { ChronicleEntry, Echo, Finding } from "../wire";
import { words } from "../words";
import { Chevron, Eye, Hand, Return, Tool } from "./icons";
import { Value } from "./Text";

export function Findings({ findings }: { findings: readonly Finding[] }) {
  const say = words.value;
  return (
    <details class="fold">
      <summary>
        <Chevron size={14} />
        <Eye size={15} />
        <span>{say.findings(findings.length)}</span>
        <span class="quiet">{findings.map((one) => one.scout).join(", ")}</span>
      </summary>
      {findings.map((one, index) => (
        <div key={index} class="fold-part">
          <h4>{one.scout}</h4>
          <Value>{one.text}</Value>
        </div>
      ))}
    </details>
  );
}

interface UsesProps {
  uses: readonly Use[];
  /** Whether the Weave that made the calls is still at it. */
  running: boolean;
  spirit: string;
  pulse: string | undefined;
}

export function Uses({ uses, running, spirit, pulse }: UsesProps) {
  const say = words.value;
  return (
    <>
      {uses.map(({ call, result, waits }) => {
        const state = waits ? "waits" : result ? (result.failed ? "failed" : "done") : running ? "running" : "open";
        const text = { waits: say.toolWaits, failed: say.toolFailed, done: say.toolDone, running: say.toolRunning, open: say.toolOpen }[state];
        return (
          <details class="fold" key={call.id}>
            <summary>
              <Chevron size={14} />
              <Tool size={15} />
              <code>{call.name}</code>
              <span class={`result ${state}`}>{text}</span>
            </summary>
            {!isEmpty(call.arguments) && (
              <div class="fold-part">
                <h4>{say.toolArguments}</h4>
                <Value>{call.arguments}</Value>
              </div>
            )}
            {result && (
              <div class="fold-part">
                <h4>{say.toolResult}</h4>
                <Value>{result.content}</Value>
              </div>
            )}
            {pulse && <Trace spirit={spirit} pulse={pulse} />}
          </details>
        );
      })}
    </>
  );
}

function isEmpty(value: unknown): boolean {
  return value === null || value === undefined || (typeof value === "object" && Object.keys(value).length === 0);
}

/** The Chronicle's word on a Pulse, fetched when it is unfolded. */
function Trace({ spirit, pulse }: { spirit: string; pulse: string }) {
  const say = words.value;
  const unfolded = useSignal(false);
  const entries = useSignal<ChronicleEntry[] | null>(null);
  const failure = useSignal<unknown>(null);
  useEffect(() => {
    if (!unfolded.value || entries.peek()) return;
    const request = new AbortController();
    failure.value = null;
    api.trace(spirit, pulse, request.signal).then(
      (answer) => (entries.value = answer.entries),
      (error: unknown) => {
        if (!isAbort(error)) failure.value = error;
      },
    );
    return () => request.abort();
  }, [unfolded.value]);
  return (
    <details class="fold inner" onToggle={(event) => (unfolded.value = event.currentTarget.open)}>
      <summary>
        <Chevron size={14} />
        <span>{say.trace}</span>
      </summary>
      {failure.value !== null && (
        <p class="quiet">{failure.value instanceof Refused && failure.value.status === 404 ? say.traceNone : say.failure(failure.value)}</p>
      )}
      {entries.value?.length === 0 && <p class="quiet">{say.traceNone}</p>}
      {entries.value?.map((entry, index) => (
        <div key={index} class="fold-part">
          <h4>
            {entry.outcome}
            {entry.reason && `: ${entry.reason}`}
          </h4>
          <table class="steps">
            <tbody>
              {(entry.steps ?? []).map((step, at) => (
                <tr key={at}>
                  <th scope="row">
                    {step.stage}
                    {step.name && ` ${step.name}`}
                  </th>
                  <td>{step.outcome}</td>
                  <td class="number">{(step.took_us / 1_000).toFixed(1)} ms</td>
                </tr>
              ))}
            </tbody>
          </table>
        </div>
      ))}
    </details>
  );
}

interface MarkProps {
  echo: Extract<Echo, { kind: "took_over" | "gave_back" }>;
  at: number;
  /** The person's name. */
  name: string;
}

export function Mark({ echo, at, name }: MarkProps) {
  return (
    <p class={`handover ${echo.kind}`} data-echo={echo.id}>
      <span>
        {echo.kind === "took_over" ? <Hand size={15} /> : <Return size={15} />}
        <bdi>{handoverText(echo, name)}</bdi>
        <time dateTime={echo.at} title={fullTime(at)}>
          {clockTime(at)}
        </time>
      </span>
    </p>
  );
}
