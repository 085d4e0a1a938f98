import { useEffect, useRef } from "preact/hooks";
import { ended, pending, reloadRites, riteKey, ritesFailure } from "../rites";
import { words } from "../words";
import { Back } from "./icons";
import { toList } from "./keyboard";
import { RiteCard } from "./RiteCard";

/** What is shown of those that ended; the Chronicle has the rest. */
const SHOWN = 50;

/** Every Rite that waits, and the last that ended. */
export function RitesPane() {
  const say = words.value;
  const heading = useRef<HTMLHeadingElement>(null);
  useEffect(() => heading.current?.focus({ preventScroll: true }), []);
  const over = ended.value.slice(0, SHOWN);
  return (
    <section class="rites" aria-labelledby="rites-title">
      <header class="conversation-head">
        <button type="button" class="icon-button only-phone" aria-label={say.back} onClick={toList}>
          <Back />
        </button>
        <div class="conversation-who">
          <h2 id="rites-title" tabIndex={-1} ref={heading}>
            {say.ritesTitle}
          </h2>
          <p class="quiet">{say.ritesHint}</p>
        </div>
      </header>
      <div class="rites-body" tabIndex={0} role="region" aria-labelledby="rites-title">
        {ritesFailure.value !== null && (
          <div class="list-note" role="alert">
            <p>{say.ritesFailed}</p>
            <p class="quiet">{say.failure(ritesFailure.value)}</p>
            <button type="button" class="button small" onClick={() => void reloadRites()}>
              {say.retry}
            </button>
          </div>
        )}
        <h3>{say.ritesPending}</h3>
        {pending.value.length === 0 && (
          <div class="list-note">
            <p>{say.ritesNone}</p>
            <p class="quiet">{say.ritesNoneHint}</p>
          </div>
        )}
        {pending.value.map((rite) => (
          <RiteCard key={riteKey(rite)} rite={rite} placed />
        ))}
        {over.length > 0 && <h3>{say.ritesEnded}</h3>}
        {over.map((rite) => (
          <RiteCard key={riteKey(rite)} rite={rite} placed />
        ))}
      </div>
    </section>
  );
}
