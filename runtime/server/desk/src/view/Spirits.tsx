import { useSignal } from "@preact/signals";
import { halfMinute } from "../clock";
import { mayNot, me } from "../desk";
import { lift, silence, silenced } from "../silence";
import { ago } from "../time";
import { words } from "../words";
import { Dialog } from "./Dialog";
import { Stop } from "./icons";

/** The big red button: silences a Spirit in every conversation, and lifts it. */
export function SpiritsDialog({ onClose }: { onClose: () => void }) {
  const say = words.value;
  const asking = useSignal("");
  const working = useSignal("");
  const problem = useSignal("");
  const refused = mayNot.value.takeOver;

  const run = async (spirit: string, deed: () => Promise<void>) => {
    working.value = spirit;
    problem.value = "";
    try {
      await deed();
    } catch (failure) {
      problem.value = say.failure(failure);
    }
    working.value = "";
  };
  return (
    <Dialog title={say.spiritsTitle} onClose={onClose}>
      <p class="quiet">{say.spiritsHint}</p>
      {problem.value && (
        <p class="problem" role="alert">
          {problem.value}
        </p>
      )}
      <ul class="spirits">
        {(me.value?.spirits ?? []).map((spirit) => {
          const silent = silenced.value.get(spirit);
          const since = Date.parse(silent?.since ?? "");
          return (
            <li key={spirit} class={silent ? "silent" : undefined}>
              <div>
                <strong>{spirit}</strong>
                <span class="quiet">
                  {silent ? say.spiritSilent(silent.by ?? "", Number.isNaN(since) ? "" : ago(since, halfMinute.value)) : say.spiritAnswers}
                </span>
              </div>
              <button
                type="button"
                class={silent ? "button primary" : "button red"}
                disabled={working.value === spirit}
                aria-disabled={refused ? "true" : undefined}
                aria-describedby={refused ? "spirits-may-not" : undefined}
                onClick={() => {
                  if (refused) return;
                  if (silent) void run(spirit, () => lift(spirit));
                  else asking.value = spirit;
                }}
              >
                {!silent && <Stop />}
                {working.value === spirit ? (silent ? say.lifting : say.silencing) : silent ? say.lift(spirit) : say.silence(spirit)}
              </button>
            </li>
          );
        })}
      </ul>
      {refused && (
        <p class="may-not" id="spirits-may-not">
          {refused}
        </p>
      )}
      {asking.value && (
        <Confirm
          spirit={asking.value}
          onClose={() => (asking.value = "")}
          onConfirm={(reason) => {
            const spirit = asking.value;
            asking.value = "";
            void run(spirit, () => silence(spirit, me.value?.user ?? "", reason));
          }}
        />
      )}
    </Dialog>
  );
}

interface ConfirmProps {
  spirit: string;
  onClose: () => void;
  onConfirm: (reason: string) => void;
}

function Confirm({ spirit, onClose, onConfirm }: ConfirmProps) {
  const say = words.value;
  const reason = useSignal("");
  return (
    <Dialog title={say.silenceTitle(spirit)} role="alertdialog" onClose={onClose}>
      <form
        onSubmit={(event) => {
          event.preventDefault();
          onConfirm(reason.peek().trim());
        }}
      >
        <p>{say.silenceText(spirit)}</p>
        <label for="silence-reason">
          {say.silenceReason} <span class="quiet">({say.optional})</span>
        </label>
        <input id="silence-reason" class="field" value={reason.value} onInput={(event) => (reason.value = event.currentTarget.value)} />
        <div class="actions">
          <button type="button" class="button" data-first onClick={onClose}>
            {say.cancel}
          </button>
          <button type="submit" class="button red">
            <Stop />
            {say.silence(spirit)}
          </button>
        </div>
      </form>
    </Dialog>
  );
}
