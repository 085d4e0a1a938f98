import { useSignal } from "@preact/signals";
import { useEffect, useId, useRef } from "preact/hooks";
import { alarm } from "../announce";
import { Refused } from "../api";
import { second } from "../clock";
import { mayNot } from "../desk";
import { decide, endOf, noteRites } from "../rites";
import { linkTo } from "../route";
import { clockTime, fullTime, remaining } from "../time";
import type { Rite } from "../wire";
import { words, type Words } from "../words";
import { Dialog } from "./Dialog";
import { Shield } from "./icons";
import { Value } from "./Text";

interface Props {
  rite: Rite;
  /** Whether to say whose conversation it is. */
  placed?: boolean;
}

export function RiteCard({ rite, placed }: Props) {
  const say = words.value;
  const id = useId();
  const [label, tone, text] = ending(rite, say);
  return (
    <section class={`rite ${tone}`} aria-labelledby={id} data-rite={rite.id}>
      <header>
        <Shield />
        <h4 id={id}>
          <code>{rite.action}</code>
        </h4>
        <span class={`chip ${tone}`}>{label}</span>
        {rite.phase === "Pending" && rite.expiresAt && <Countdown until={Date.parse(rite.expiresAt)} />}
        {rite.phase !== "Pending" && endOf(rite) > 0 && (
          <time class="quiet" dateTime={rite.decidedAt ?? rite.expiresAt} title={fullTime(endOf(rite))}>
            {clockTime(endOf(rite))}
          </time>
        )}
      </header>
      {rite.phase === "Pending" ? (
        <>
          <p class="quiet">{say.riteWants(rite.spirit)}</p>
          <Arguments of={rite.arguments} />
          <Decision rite={rite} />
        </>
      ) : (
        <>
          <p>
            <bdi>{text}</bdi>
          </p>
          {rite.comment && (
            <blockquote>
              <bdi>{rite.comment}</bdi>
            </blockquote>
          )}
          <details class="fold">
            <summary>{say.toolArguments}</summary>
            <Arguments of={rite.arguments} />
          </details>
        </>
      )}
      {placed && (
        <p class="rite-place">
          <a href={linkTo(rite.spirit, rite.session)}>
            {say.riteConversation}: {rite.spirit} · {rite.session}
          </a>
        </p>
      )}
    </section>
  );
}

/** How it stands: its label, its tone, and the sentence. Expired, denied and void are three things. */
function ending(rite: Rite, say: Words): [string, string, string] {
  const by = rite.by ?? "";
  switch (rite.phase) {
    case "Pending":
      return [say.ritePending, "pending", ""];
    case "Approved":
      return [say.riteApproved, "good", say.riteApprovedText(by)];
    case "Denied":
      return [say.riteDenied, "bad", say.riteDeniedText(by)];
    case "Expired":
      return [say.riteExpired, "past", say.riteExpiredText];
    case "Void":
      return [say.riteVoid, "past", say.riteVoidText];
    case "Consumed":
      if (rite.outcome === "Failed") return [say.riteDoneFailed, "bad", say.riteFailedText(by)];
      if (rite.outcome === "Succeeded") return [say.riteSucceeded, "good", say.riteSucceededText(by)];
      return [say.riteSucceeded, "good", say.riteConsumedText(by)];
  }
}

function Countdown({ until }: { until: number }) {
  const say = words.value;
  const left = until - second.value;
  return (
    <span class={`countdown${left < 60_000 ? " soon" : ""}`} role="timer" title={fullTime(until)}>
      {left > 0 ? say.riteExpiresIn(remaining(left)) : say.riteExpiring}
    </span>
  );
}

function Arguments({ of }: { of: unknown }) {
  const say = words.value;
  if (typeof of !== "object" || of === null || Array.isArray(of)) return of ? <Value>{of}</Value> : <p class="quiet">{say.riteNoArguments}</p>;
  const fields = Object.entries(of);
  if (fields.length === 0) return <p class="quiet">{say.riteNoArguments}</p>;
  return (
    <dl class="arguments">
      {fields.map(([name, value]) => (
        <div key={name}>
          <dt>{name}</dt>
          <dd>{typeof value === "object" && value !== null ? <Value>{value}</Value> : <bdi>{String(value)}</bdi>}</dd>
        </div>
      ))}
    </dl>
  );
}

function Decision({ rite }: { rite: Rite }) {
  const say = words.value;
  const working = useSignal(false);
  const denying = useSignal(false);
  const problem = useSignal("");
  const comment = useSignal("");
  const alive = useRef(true);
  useEffect(() => () => void (alive.current = false), []);
  const refused = mayNot.value.decide;
  const id = useId();

  const make = async (decision: "Approved" | "Denied") => {
    denying.value = false;
    working.value = true;
    problem.value = "";
    try {
      await decide(rite, decision, decision === "Denied" ? comment.peek() : "");
    } catch (failure) {
      const { phase, by } = failure instanceof Refused ? failure.problem : {};
      const text = phase ? say.riteAlready(ending({ ...rite, phase }, say)[0], by ?? "") : say.failure(failure);
      alarm(text);
      if (phase) noteRites([{ ...rite, phase, ...(by ? { by } : {}) }]);
      if (alive.current) problem.value = text;
    }
    if (alive.current) working.value = false;
  };
  const described = refused ? { "aria-disabled": "true" as const, "aria-describedby": id } : {};
  return (
    <>
      {problem.value && <p class="problem">{problem.value}</p>}
      <div class="actions">
        <button type="button" class="button" disabled={working.value} {...described} onClick={() => !refused && (denying.value = true)}>
          {say.deny}…
        </button>
        <button type="button" class="button primary" disabled={working.value} {...described} onClick={() => !refused && void make("Approved")}>
          {working.value ? say.deciding : say.approve}
        </button>
      </div>
      {refused && (
        <p class="may-not" id={id}>
          {refused}
        </p>
      )}
      {denying.value && (
        <Dialog title={say.denyTitle(rite.action)} onClose={() => (denying.value = false)}>
          <form
            onSubmit={(event) => {
              event.preventDefault();
              void make("Denied");
            }}
          >
            <p>{say.denyText}</p>
            <label for={`${id}comment`}>
              {say.comment} <span class="quiet">({say.optional})</span>
            </label>
            <textarea
              id={`${id}comment`}
              class="field"
              rows={3}
              data-first
              value={comment.value}
              onInput={(event) => (comment.value = event.currentTarget.value)}
            />
            <div class="actions">
              <button type="button" class="button" onClick={() => (denying.value = false)}>
                {say.cancel}
              </button>
              <button type="submit" class="button danger">
                {say.deny}
              </button>
            </div>
          </form>
        </Dialog>
      )}
    </>
  );
}
