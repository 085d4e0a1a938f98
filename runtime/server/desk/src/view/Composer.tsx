import { useSignal } from "@preact/signals";
import { useLayoutEffect, useRef } from "preact/hooks";
import { busy, eager, mayNot, me, nameOf, refusal, takeOver, wholly } from "../desk";
import { draftOf, keepDraft } from "../drafts";
import { sendReply } from "../sending";
import { silenced } from "../silence";
import { clockTime } from "../time";
import { stoppedTyping, tellTyping } from "../typing";
import { keyOf, type Conversation } from "../wire";
import { words } from "../words";
import { Hand, Send } from "./icons";
import { focusReply } from "./keyboard";

/** Tall enough for a paragraph; beyond, it scrolls. */
const TALLEST_PX = 220;

/** What stands at the foot of a conversation: who has it, and what may be done. */
export function Composer({ conversation }: { conversation: Conversation }) {
  const key = keyOf(conversation);
  const mine = conversation.by === me.value?.user;
  const refused = refusal.value;
  const held = conversation.phase === "Active" || conversation.phase === "TakingOver";
  const may = !mayNot.value.takeOver;
  return (
    <footer class="composer">
      {refused?.key === key && <p class="problem">{refused.text}</p>}
      {conversation.phase === "Active" && mine && may ? <Reply conversation={conversation} /> : <Standing conversation={conversation} held={held} />}
      {!may && (
        <p class="may-not" id="may-not">
          {mayNot.value.takeOver}
        </p>
      )}
    </footer>
  );
}

function Standing({ conversation, held }: { conversation: Conversation; held: boolean }) {
  const say = words.value;
  const refused = mayNot.value.takeOver;
  const working = busy.value === keyOf(conversation);
  const since = Date.parse(conversation.since ?? "");
  if (conversation.phase === "TakingOver" || working) {
    return (
      <div class="standing" role="status">
        <p>
          <strong>{say.takingOver}</strong>
          <span>{say.takingOverHint}</span>
        </p>
      </div>
    );
  }
  if (held && !wholly(conversation)) {
    const by = conversation.by || say.human;
    return (
      <div class="standing">
        <p>
          <strong>
            {conversation.by === me.value?.user ? say.youHaveIt : <bdi>{say.otherHas(by, Number.isNaN(since) ? "" : clockTime(since))}</bdi>}
          </strong>
        </p>
      </div>
    );
  }
  const requested = conversation.phase === "Requested";
  return (
    <div class={`standing${requested ? " asked" : ""}`}>
      <p>
        <strong>
          {requested ? say.asked : silenced.value.has(conversation.spirit) ? say.silentHint(conversation.spirit) : say.agentHasIt(conversation.spirit)}
        </strong>
        <span>
          {requested && conversation.requestReason ? <bdi>“{conversation.requestReason}”</bdi> : requested ? say.askedHint : say.agentHasItHint}
        </span>
      </p>
      <button
        type="button"
        class="button primary"
        aria-disabled={refused ? "true" : undefined}
        aria-describedby={refused ? "may-not" : undefined}
        onClick={() => {
          if (!refused) void takeOver(conversation);
        }}
      >
        <Hand />
        {say.takeOver}
      </button>
    </div>
  );
}

let putBack: (key: string, text: string) => void = keepDraft;

/** Puts words back into the field, before what is there. */
export function putIntoReply(key: string, text: string): void {
  const draft = draftOf(key);
  putBack(key, draft ? `${text}\n${draft}` : text);
}

function Reply({ conversation }: { conversation: Conversation }) {
  const say = words.value;
  const key = keyOf(conversation);
  const text = useSignal(draftOf(key));
  const field = useRef<HTMLTextAreaElement>(null);
  const set = (to: string) => {
    text.value = to;
    keepDraft(key, to);
  };
  useLayoutEffect(() => {
    if (eager.peek() !== key) return;
    eager.value = "";
    field.current?.focus();
  }, [key]);
  useLayoutEffect(() => {
    putBack = (of, to) => {
      keepDraft(of, to);
      if (of !== key) return;
      text.value = to;
      focusReply();
    };
    return () => {
      putBack = keepDraft;
    };
  }, [key]);
  useLayoutEffect(() => {
    const element = field.current;
    if (!element) return;
    element.style.height = "auto";
    element.style.height = `${Math.min(TALLEST_PX, element.scrollHeight + 2)}px`;
  }, [text.value]);

  const send = () => {
    const words = text.peek().trim();
    if (!words) return;
    sendReply(conversation.spirit, conversation.session, words);
    stoppedTyping();
    set("");
    field.current?.focus();
  };
  return (
    <form
      class="reply"
      onSubmit={(event) => {
        event.preventDefault();
        send();
      }}
    >
      <label class="unseen" for="reply">
        {say.reply}
      </label>
      <textarea
        id="reply"
        ref={field}
        rows={1}
        dir="auto"
        placeholder={say.replyHint(nameOf(conversation))}
        aria-describedby="reply-keys"
        value={text.value}
        onInput={(event) => {
          set(event.currentTarget.value);
          if (event.currentTarget.value) tellTyping(conversation.spirit, conversation.session);
        }}
        onKeyDown={(event) => {
          // While an input method composes a word, Enter is part of it.
          if (event.key === "Enter" && !event.shiftKey && !event.isComposing) {
            event.preventDefault();
            send();
          }
          if (event.key === "Escape") {
            event.preventDefault();
            document.getElementById("conversation-name")?.focus();
          }
        }}
      />
      <button type="submit" class="button primary" disabled={!text.value.trim()}>
        <Send />
        <span class="send-word">{say.send}</span>
      </button>
      <p class="reply-keys" id="reply-keys">
        {say.replyKeys}
      </p>
    </form>
  );
}
