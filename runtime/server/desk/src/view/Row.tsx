import { halfMinute } from "../clock";
import { me, nameOf } from "../desk";
import { linkTo } from "../route";
import { ago, fullTime, length, shortTime } from "../time";
import { typing } from "../typing";
import { keyOf, type Conversation } from "../wire";
import { words } from "../words";
import { Avatar } from "./Avatar";
import { Shield } from "./icons";
import { cursor } from "./keyboard";
import { openKey } from "../transcript";

interface Props {
  item: Conversation;
  /** In pixels from the list's top. */
  top: number;
  /** From 1, for screen readers, as is `size`: -1 while the whole is not known. */
  position: number;
  size: number;
  /** Whether it is the one line that Tab reaches. */
  active: boolean;
}

export function Row({ item, top, position, size, active }: Props) {
  const say = words.value;
  const key = keyOf(item);
  const now = halfMinute.value;
  const at = item.lastAt ? Date.parse(item.lastAt) : Number.NaN;
  const unanswered = item.unanswered ?? 0;
  return (
    <div role="listitem" class="slot" style={{ transform: `translateY(${top}px)` }} aria-posinset={position} aria-setsize={size}>
      <a
        class="row"
        href={linkTo(item.spirit, item.session)}
        tabIndex={active ? 0 : -1}
        aria-current={openKey.value === key ? "true" : undefined}
        onFocus={() => (cursor.value = key)}
      >
        <Avatar name={nameOf(item)} id={key} />
        <span class="row-name">
          <bdi>{nameOf(item)}</bdi>
        </span>
        {!Number.isNaN(at) && (
          <time class="row-time" dateTime={item.lastAt} title={fullTime(at)}>
            {shortTime(at, now)}
          </time>
        )}
        <span class="row-text">
          <Preview item={item} typist={typing.value.get(key)} />
        </span>
        <span class="row-end">
          {(item.pendingRites ?? 0) > 0 && (
            <span class="row-rites" title={say.ritesWaiting(item.pendingRites ?? 0)}>
              <Shield size={15} />
              <span class="unseen">{say.ritesWaiting(item.pendingRites ?? 0)}</span>
            </span>
          )}
          {unanswered > 0 && (
            <>
              <span class="count" aria-hidden="true">
                {unanswered > 99 ? "99+" : unanswered}
              </span>
              <span class="unseen">{say.unanswered(unanswered)}</span>
            </>
          )}
        </span>
        <span class="row-meta">
          <State item={item} now={now} />
          <span class="row-spirit">
            {item.spirit}
            {item.voice && <> · {item.voice}</>}
          </span>
        </span>
      </a>
    </div>
  );
}

function Preview({ item, typist }: { item: Conversation; typist: string | undefined }) {
  const say = words.value;
  if (typist !== undefined) return <em>{typist ? say.personTyping(typist) : say.typing}</em>;
  if (item.answering) return <em>{say.agentTyping}</em>;
  const from =
    item.lastFrom === "agent" ? say.fromAgent : item.lastFrom === "human" ? (item.by === me.value?.user ? say.fromYou : say.fromHuman) : "";
  return (
    <>
      {from && <span class="row-from">{from}</span>}
      <bdi>{item.lastText}</bdi>
    </>
  );
}

/** In whose hands it is; nothing for the usual, which is the agent's. */
export function State({ item, now }: { item: Conversation; now: number }) {
  const say = words.value;
  if (item.phase === "Requested") {
    const since = Date.parse(item.requestedAt ?? "");
    return (
      <span class="chip waiting" title={Number.isNaN(since) ? undefined : ago(since, now)}>
        {Number.isNaN(since) || now - since < 45_000 ? say.rowWaiting : say.rowWaitingFor(length(now - since))}
      </span>
    );
  }
  if (item.phase !== "Active" && item.phase !== "TakingOver") return null;
  if (item.by === me.value?.user) return <span class="chip mine">{say.rowWithYou}</span>;
  return (
    <span class="chip human" title={item.by}>
      <bdi>{say.rowWith(shortName(item.by ?? "") || say.human)}</bdi>
    </span>
  );
}

/** What to call a colleague where there is little room: of an address the name, of a ServiceAccount its own. */
function shortName(user: string): string {
  return user.replace(/^system:serviceaccount:[^:]*:/, "").replace(/@.*$/, "");
}
