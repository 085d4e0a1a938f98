import { useSignal } from "@preact/signals";
import { useEffect, useLayoutEffect, useMemo, useRef } from "preact/hooks";
import { halfMinute } from "../clock";
import { me, nameOf } from "../desk";
import { rites } from "../rites";
import { sending } from "../sending";
import { dayName } from "../time";
import { timeline } from "../timeline";
import { loadOlder, type Open } from "../transcript";
import { typing } from "../typing";
import { words } from "../words";
import { Down } from "./icons";
import { Said, Unsent } from "./Message";
import { Findings, Mark, Uses } from "./Turn";
import { RiteCard } from "./RiteCard";

/** So near the end, it counts as at the end. */
const NEAR_PX = 60;

export function Transcript({ now }: { now: Open }) {
  const say = words.value;
  const box = useRef<HTMLDivElement>(null);
  const inner = useRef<HTMLDivElement>(null);
  const atEnd = useSignal(true);
  const unseen = useSignal(0);
  const mine = sending.value.get(now.key);
  const user = me.value?.user ?? "";
  const of = useMemo(
    () => [...rites.value.values()].filter((rite) => rite.spirit === now.spirit && rite.session === now.session),
    [rites.value, now.spirit, now.session],
  );
  const items = useMemo(() => timeline(now.echoes, of, mine ?? [], user), [now.echoes, of, mine, user]);
  const typist = typing.value.get(now.key);
  const name = now.conversation ? nameOf(now.conversation) : now.session;

  const toEnd = () => {
    const element = box.current;
    if (element) element.scrollTop = element.scrollHeight;
    atEnd.value = true;
    unseen.value = 0;
  };

  // Stays at the end while it is there; where the reader has scrolled up, what they read does not move.
  const before = useRef({ first: "", height: 0, arrivals: now.arrivals, sent: mine?.length ?? 0 });
  useLayoutEffect(() => {
    const element = box.current;
    if (!element) return;
    const was = before.current;
    const first = now.echoes[0]?.id ?? "";
    const sent = mine?.length ?? 0;
    if (sent > was.sent || atEnd.peek()) toEnd();
    else if (first !== was.first && was.first !== "") element.scrollTop += element.scrollHeight - was.height;
    if (now.arrivals > was.arrivals && !atEnd.peek()) unseen.value += now.arrivals - was.arrivals;
    before.current = { first, height: element.scrollHeight, arrivals: now.arrivals, sent };
  }, [items, typist, now.conversation?.answering]);
  // Pictures that load, and a window that changes, move the end.
  useEffect(() => {
    const observer = new ResizeObserver(() => {
      if (atEnd.peek() && box.current) box.current.scrollTop = box.current.scrollHeight;
    });
    for (const element of [box.current, inner.current]) if (element) observer.observe(element);
    return () => observer.disconnect();
  }, []);

  const onScroll = () => {
    const element = box.current;
    if (!element) return;
    const near = element.scrollHeight - element.scrollTop - element.clientHeight < NEAR_PX;
    if (near !== atEnd.peek()) atEnd.value = near;
    if (near) unseen.value = 0;
    if (element.scrollTop < 200 && !near && now.older && !now.loadingOlder) void loadOlder();
  };

  return (
    <div class="transcript-frame">
      <div class="transcript" ref={box} onScroll={onScroll} tabIndex={0} role="region" aria-label={say.transcript} aria-busy={now.loading}>
        <div class="transcript-inner" ref={inner}>
          {now.older ? (
            <div class="older">
              <button type="button" class="button small" disabled={now.loadingOlder} onClick={() => void loadOlder()}>
                {now.loadingOlder ? say.loading : say.loadOlder}
              </button>
            </div>
          ) : (
            <p class="start quiet">{now.loading && items.length === 0 ? say.loading : items.length > 0 ? say.start : say.noMessages}</p>
          )}
          {items.map((item) => {
            switch (item.show) {
              case "day":
                return (
                  <h3 class="day" key={item.key}>
                    <span>{dayName(item.at, halfMinute.value)}</span>
                  </h3>
                );
              case "said":
                return <Said key={item.key} item={item} spirit={now.spirit} session={now.session} name={name} user={user} />;
              case "sending":
                return <Unsent key={item.key} item={item} spirit={now.spirit} session={now.session} />;
              case "findings":
                return <Findings key={item.key} findings={item.findings} />;
              case "uses":
                return (
                  <Uses
                    key={item.key}
                    uses={item.uses}
                    running={item.latest && now.conversation?.answering === true}
                    spirit={now.spirit}
                    pulse={item.pulse}
                  />
                );
              case "mark":
                return <Mark key={item.key} echo={item.echo} at={item.at} name={name} />;
              case "rite":
                return <RiteCard key={item.key} rite={item.rite} />;
            }
          })}
          {now.conversation?.answering && (
            <p class="typist ours">
              <Dots /> {say.agentAnswering(now.spirit)}
            </p>
          )}
          {typist !== undefined && (
            <p class={typist ? "typist ours" : "typist"}>
              <Dots /> <bdi>{say.personTyping(typist || name)}</bdi>
            </p>
          )}
        </div>
      </div>
      {!atEnd.value && (
        <button type="button" class={`to-end${unseen.value > 0 ? " fresh" : ""}`} aria-label={unseen.value > 0 ? undefined : say.toBottom} onClick={toEnd}>
          {unseen.value > 0 && <span>{say.newMessages(unseen.value)}</span>}
          <Down size={16} />
        </button>
      )}
    </div>
  );
}

function Dots() {
  return (
    <span class="dots" aria-hidden="true">
      <i />
      <i />
      <i />
    </span>
  );
}
