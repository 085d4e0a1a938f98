import { announcements } from "./Announcements";
import { me, meFailure, begin } from "../desk";
import { Refused } from "../api";
import { route } from "../route";
import { signOut, token } from "../token";
import { words } from "../words";
import { Bar, Notices } from "./Bar";
import { ConversationPane } from "./Conversation";
import { HelpDialog } from "./Help";
import { Mark } from "./icons";
import { shown } from "./keyboard";
import { ListPane } from "./List";
import { Login } from "./Login";
import { PreferencesDialog } from "./Preferences";
import { RitesPane } from "./Rites";
import { SpiritsDialog } from "./Spirits";

export function App() {
  if (token.value === null) return <Login />;
  if (me.value === null) return <Opening />;
  const say = words.value;
  const at = route.value.at;
  const close = () => {
    shown.value = null;
  };
  return (
    <div class="app" data-at={at}>
      <a class="skip" href="#main" onClick={skip}>
        {say.skip}
      </a>
      <Bar />
      <Notices />
      <div class="panes">
        <ListPane />
        <main class="main-pane" id="main">
          {at === "rites" ? <RitesPane /> : at === "conversation" ? <ConversationPane /> : <Nothing />}
        </main>
      </div>
      {shown.value === "help" && <HelpDialog onClose={close} />}
      {shown.value === "preferences" && <PreferencesDialog onClose={close} />}
      {shown.value === "spirits" && <SpiritsDialog onClose={close} />}
      {announcements()}
    </div>
  );
}

function skip(event: Event): void {
  event.preventDefault();
  document.querySelector<HTMLElement>("#main h2")?.focus();
}

function Nothing() {
  const say = words.value;
  return (
    <div class="nothing">
      <Mark size={56} />
      <h2 tabIndex={-1}>{say.chooseTitle}</h2>
      <p>{say.chooseHint}</p>
      <p class="keys-line">
        <kbd>j</kbd> <kbd>k</kbd> <span>{say.keyNext}</span>
        <kbd>/</kbd> <span>{say.search}</span>
        <kbd>?</kbd> <span>{say.help}</span>
      </p>
    </div>
  );
}

function Opening() {
  const say = words.value;
  const failure = meFailure.value;
  if (!failure) {
    return (
      <main class="gate" aria-busy="true">
        <p class="quiet">{say.loading}</p>
      </main>
    );
  }
  return (
    <main class="gate">
      <div class="card" role="alert">
        <Mark size={40} />
        <h1>{say.title}</h1>
        {failure instanceof Refused && failure.status === 403 && <p>{say.noPermission}</p>}
        <p>{say.failure(failure)}</p>
        <div class="actions">
          <button type="button" class="button" onClick={() => signOut()}>
            {say.signOut}
          </button>
          <button type="button" class="button primary" onClick={() => void begin()}>
            {say.retry}
          </button>
        </div>
      </div>
    </main>
  );
}
