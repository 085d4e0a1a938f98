import { sendAgain, withdraw } from "../sending";
import { clockTime, fullTime } from "../time";
import type { Item, Said as SaidEcho } from "../timeline";
import { keyOf } from "../wire";
import { words } from "../words";
import { AttachmentView } from "./Attachment";
import { putIntoReply } from "./Composer";
import { Agent, Hand } from "./icons";
import { Text } from "./Text";

interface Props {
  item: Extract<Item, { show: "said" }>;
  spirit: string;
  session: string;
  /** The person's name. */
  name: string;
  /** Who is at this desk. */
  user: string;
}

export function Said({ item, spirit, session, name, user }: Props) {
  const say = words.value;
  const { echo, first, last, at } = item;
  const attachments = echo.attachments ?? [];
  const from = fromOf(echo, name, user);
  return (
    <article class={`said ${echo.kind}${first ? " first" : ""}${last ? " last" : ""}`} data-echo={echo.id}>
      <header class={first ? "said-who" : "said-who unseen"}>
        {echo.kind === "agent" && <Agent size={14} />}
        {echo.kind === "human" && <Hand size={14} />}
        <bdi>{from}</bdi>
        {echo.kind !== "user" && <span class="quiet">{echo.kind === "agent" ? say.agent : say.human}</span>}
      </header>
      <div class="bubble">
        {attachments.map((attachment, index) => (
          <AttachmentView key={attachment.id + index} attachment={attachment} spirit={spirit} session={session} echo={echo.id} index={index} />
        ))}
        {echo.text && <Text>{echo.text}</Text>}
        <time dateTime={echo.at} title={fullTime(at)}>
          {clockTime(at)}
        </time>
      </div>
    </article>
  );
}

function fromOf(echo: SaidEcho, name: string, user: string): string {
  if (echo.kind === "user") return echo.name || name;
  if (echo.kind === "agent") return echo.spirit;
  return echo.by === user && echo.by !== "you" ? `${echo.by} (${words.value.you})` : echo.by;
}

/** A reply that the server has not confirmed. */
export function Unsent({ item, spirit, session }: { item: Extract<Item, { show: "sending" }>; spirit: string; session: string }) {
  const say = words.value;
  const { sending } = item;
  const key = keyOf({ spirit, session });
  const failed = sending.state === "failed";
  return (
    <article class={`said human unsent${item.first ? " first" : ""} last${failed ? " failed" : ""}`}>
      <div class="bubble">
        <Text>{sending.text}</Text>
        <span class="sending">{failed ? say.notSent : say.sending}</span>
      </div>
      {failed && (
        <div class="unsent-note">
          <p role="alert">{say.failure(sending.failure)}</p>
          <div>
            {sending.again && (
              <button type="button" class="button small" onClick={() => sendAgain(spirit, session, sending.id)}>
                {say.sendAgain}
              </button>
            )}
            <button type="button" class="button small" onClick={() => putIntoReply(key, withdraw(key, sending.id))}>
              {say.editAgain}
            </button>
            <button type="button" class="button small" onClick={() => withdraw(key, sending.id)}>
              {say.discard}
            </button>
          </div>
        </div>
      )}
    </article>
  );
}
