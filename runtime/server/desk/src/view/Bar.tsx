import { useEffect } from "preact/hooks";
import { useSignal } from "@preact/signals";
import { connectNow, me } from "../desk";
import { connection } from "../event-stream";
import { pending } from "../rites";
import { route } from "../route";
import { silenced } from "../silence";
import { words } from "../words";
import { Help, Mark, Shield, Sliders, Stop, Unplugged } from "./icons";
import { shown } from "./keyboard";

export function Bar() {
  const say = words.value;
  const rites = pending.value.length;
  const silent = silenced.value.size;
  return (
    <header class="bar">
      <h1 class="brand">
        <Mark />
        <span>{say.title}</span>
      </h1>
      {me.value?.mode === "cluster" && me.value.namespace && <span class="namespace">{me.value.namespace}</span>}
      <Live />
      <span class="grow" />
      <a class="bar-link" href="#/rites" aria-current={route.value.at === "rites" ? "page" : undefined}>
        <Shield />
        <span class="bar-word">{say.rites}</span>
        {rites > 0 && (
          <>
            <span class="count" aria-hidden="true">
              {rites}
            </span>
            <span class="unseen">{say.ritesWaiting(rites)}</span>
          </>
        )}
      </a>
      <button type="button" class={`bar-link${silent > 0 ? " alarmed" : ""}`} aria-haspopup="dialog" onClick={() => (shown.value = "spirits")}>
        <Stop />
        <span class="bar-word">{say.spirits}</span>
      </button>
      <button type="button" class="icon-button" aria-label={say.preferences} title={say.preferences} aria-haspopup="dialog" onClick={() => (shown.value = "preferences")}>
        <Sliders />
      </button>
      <button type="button" class="icon-button" aria-label={say.help} title={`${say.help} (?)`} aria-haspopup="dialog" onClick={() => (shown.value = "help")}>
        <Help />
      </button>
    </header>
  );
}

function Live() {
  const say = words.value;
  const { state } = connection.value;
  const text = state === "live" ? say.live : say.connecting;
  return (
    <span class={`live ${state}`}>
      <span class="dot" />
      <span class="live-word">{text}</span>
    </span>
  );
}

/** What concerns everything on the page. */
export function Notices() {
  const say = words.value;
  return (
    <>
      {connection.value.state === "lost" && <Lost />}
      {[...silenced.value.values()].map(({ spirit, by }) => (
        <div class="notice danger" key={spirit}>
          <Stop />
          <span>{say.silentBanner(spirit, by ?? "")}</span>
          <button type="button" class="button small" aria-haspopup="dialog" onClick={() => (shown.value = "spirits")}>
            {say.spirits}…
          </button>
        </div>
      ))}
    </>
  );
}

function Lost() {
  const say = words.value;
  const now = connection.value;
  const tick = useSignal(Date.now());
  useEffect(() => {
    const timer = setInterval(() => (tick.value = Date.now()), 500);
    return () => clearInterval(timer);
  }, []);
  const left = now.state === "lost" && now.retryAt !== null ? Math.max(0, Math.ceil((now.retryAt - tick.value) / 1_000)) : 0;
  return (
    <div class="notice warning" id="lost">
      <Unplugged />
      <span role="alert">{say.lost}</span>
      <span class="quiet">{left > 0 ? say.lostIn(left) : say.lostTrying}</span>
      <button type="button" class="button small" onClick={connectNow}>
        {say.tryNow}
      </button>
    </div>
  );
}
