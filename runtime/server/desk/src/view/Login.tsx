import { signal, useSignal } from "@preact/signals";
import { api, Refused } from "../api";
import { takeLoginCode } from "../route";
import { signedOutBecause, signIn, signOut } from "../token";
import { words } from "../words";
import { Mark } from "./icons";

/** What became of a one-time code. */
const code = signal<{ state: "none" | "working" } | { state: "failed"; failure: unknown }>({ state: "none" });

/** Exchanges the code of a login link for a token. The code leaves the address before anything else happens. */
export function spendLoginCode(found: string | null = takeLoginCode()): void {
  if (found === null) return;
  signOut();
  code.value = { state: "working" };
  api.login(found).then(
    (answer) => {
      code.value = { state: "none" };
      signIn(answer.token);
    },
    (failure: unknown) => {
      code.value = { state: "failed", failure };
    },
  );
}

window.addEventListener("hashchange", () => spendLoginCode());

const COMMAND = "kubectl create token NAME --namespace NAMESPACE";

export function Login() {
  const say = words.value;
  const value = useSignal("");
  const refused = useSignal<unknown>(null);
  const working = useSignal(false);
  const copied = useSignal(false);
  const now = code.value;

  const submit = async (event: Event) => {
    event.preventDefault();
    const given = value.value.trim();
    if (!given || working.value) return;
    code.value = { state: "none" };
    signedOutBecause.value = "";
    const link = /#login=(\S+)$/.exec(given)?.[1];
    if (link) {
      spendLoginCode(link);
      return;
    }
    working.value = true;
    refused.value = null;
    try {
      await api.check(given);
      signIn(given);
    } catch (failure) {
      refused.value = failure;
    }
    working.value = false;
  };
  const problem =
    now.state === "failed"
      ? now.failure instanceof Refused && now.failure.status < 500
        ? say.loginCodeSpent
        : say.failure(now.failure)
      : refused.value instanceof Refused && refused.value.status === 401
        ? say.loginRefused
        : refused.value
          ? say.failure(refused.value)
          : signedOutBecause.value === "ended"
            ? say.loginEnded
            : "";
  return (
    <main class="gate">
      <form class="card" onSubmit={(event) => void submit(event)}>
        <Mark size={44} />
        <h1>{say.loginTitle}</h1>
        {now.state === "working" && <p role="status">{say.loginWorking}</p>}
        {problem && (
          <p class="problem" role="alert">
            {problem}
          </p>
        )}
        <label for="token">{say.loginToken}</label>
        <input
          id="token"
          class="field"
          type="password"
          autocomplete="off"
          spellcheck={false}
          aria-describedby="token-hint"
          value={value.value}
          onInput={(event) => {
            value.value = event.currentTarget.value;
          }}
        />
        <div id="token-hint" class="hint">
          <p>{say.loginTokenHint}</p>
          <p class="command">
            <code>{COMMAND}</code>
            {navigator.clipboard && (
              <button
                type="button"
                class="button small"
                onClick={() =>
                  void navigator.clipboard.writeText(COMMAND).then(() => {
                    copied.value = true;
                  })
                }
              >
                {copied.value ? say.copied : say.copy}
              </button>
            )}
          </p>
        </div>
        <button type="submit" class="button primary wide" disabled={working.value}>
          {working.value ? say.loginWorking : say.loginButton}
        </button>
        <p class="hint">
          {say.loginLocalHint.split("`").map((part, index) => (index % 2 ? <code key={index}>{part}</code> : part))}
        </p>
      </form>
    </main>
  );
}
