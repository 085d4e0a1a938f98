import { useSignal } from "@preact/signals";
import { useEffect, useRef } from "preact/hooks";
import { halfMinute } from "../clock";
import { busy, giveBack, mayNot, me, nameOf, wholly } from "../desk";
import { open, reloadTranscript } from "../transcript";
import { keyOf, type Conversation } from "../wire";
import { words } from "../words";
import { Avatar } from "./Avatar";
import { Composer } from "./Composer";
import { Dialog } from "./Dialog";
import { Back, Return } from "./icons";
import { focusHeading, toList } from "./keyboard";
import { State } from "./Row";
import { Transcript } from "./Transcript";

export function ConversationPane() {
  const say = words.value;
  const now = open.value;
  const heading = useRef<HTMLHeadingElement>(null);
  const first = useRef(true);
  const key = now?.key;
  useEffect(() => {
    // Where the person comes from is left to the browser when the page itself has just been loaded.
    if (!first.current || document.activeElement !== document.body) heading.current?.focus({ preventScroll: true });
    first.current = false;
  }, [key]);
  if (!now) return null;
  const { conversation, session } = now;
  const name = conversation ? nameOf(conversation) : session;
  return (
    <section class="conversation" aria-labelledby="conversation-name">
      <header class="conversation-head">
        <button type="button" class="icon-button only-phone" aria-label={say.back} onClick={toList}>
          <Back />
        </button>
        <Avatar name={name} id={now.key} />
        <div class="conversation-who">
          <h2 id="conversation-name" tabIndex={-1} ref={heading}>
            <bdi>{name}</bdi>
          </h2>
          <p class="quiet">
            {conversation && <State item={conversation} now={halfMinute.value} />}
            <span class="row-spirit">
              {now.spirit} · <bdi>{session}</bdi>
            </span>
          </p>
        </div>
        {conversation && <GiveBack conversation={conversation} />}
      </header>
      {now.failure !== null && now.echoes.length === 0 ? (
        <div class="nothing" role="alert">
          <h3>{say.openFailed}</h3>
          <p>{say.failure(now.failure)}</p>
          <button type="button" class="button" onClick={() => void reloadTranscript()}>
            {say.retry}
          </button>
        </div>
      ) : (
        <Transcript key={now.key} now={now} />
      )}
      {conversation && <Composer key={`compose ${now.key}`} conversation={conversation} />}
    </section>
  );
}

function GiveBack({ conversation }: { conversation: Conversation }) {
  const say = words.value;
  const asking = useSignal(false);
  const held = conversation.phase === "Active" || conversation.phase === "TakingOver";
  // What was taken with the whole Spirit is given back with it.
  if (!held || wholly(conversation)) return null;
  const mine = conversation.by === me.value?.user;
  const by = conversation.by || say.human;
  const refused = mayNot.value.takeOver;
  const give = async (force: boolean) => {
    asking.value = false;
    if (await giveBack(conversation, force)) requestAnimationFrame(() => focusHeading());
  };
  return (
    <>
      <button
        type="button"
        class="button"
        aria-disabled={refused ? "true" : undefined}
        aria-describedby={refused ? "may-not" : undefined}
        disabled={busy.value === keyOf(conversation)}
        title={refused || say.giveBackHint}
        onClick={() => {
          if (refused) return;
          if (mine) void give(false);
          else asking.value = true;
        }}
      >
        <Return />
        {say.giveBack}
      </button>
      {asking.value && (
        <Dialog title={say.forceTitle(by)} role="alertdialog" onClose={() => (asking.value = false)}>
          <p>{say.forceText(by)}</p>
          <div class="actions">
            <button type="button" class="button" data-first onClick={() => (asking.value = false)}>
              {say.cancel}
            </button>
            <button type="button" class="button danger" onClick={() => void give(true)}>
              {say.forceButton}
            </button>
          </div>
        </Dialog>
      )}
    </>
  );
}
