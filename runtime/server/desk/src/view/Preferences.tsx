import { me } from "../desk";
import { chosenLanguage, shortcuts, theme } from "../preferences";
import { signOut } from "../token";
import { languages, words } from "../words";
import { Dialog } from "./Dialog";

export function PreferencesDialog({ onClose }: { onClose: () => void }) {
  const say = words.value;
  const who = me.value;
  return (
    <Dialog title={say.preferences} onClose={onClose}>
      <fieldset class="choice">
        <legend>{say.theme}</legend>
        {(
          [
            ["auto", say.themeAuto],
            ["light", say.themeLight],
            ["dark", say.themeDark],
          ] as const
        ).map(([value, name]) => (
          <label key={value}>
            <input type="radio" name="theme" value={value} checked={theme.value === value} onChange={() => (theme.value = value)} />
            {name}
          </label>
        ))}
      </fieldset>
      <fieldset class="choice">
        <legend>{say.language}</legend>
        {([["auto", say.languageAuto], ...languages] as const).map(([value, name]) => (
          <label key={value} lang={value === "auto" ? undefined : value}>
            <input type="radio" name="language" value={value} checked={chosenLanguage.value === value} onChange={() => (chosenLanguage.value = value)} />
            {name}
          </label>
        ))}
      </fieldset>
      <fieldset class="choice">
        <legend>{say.keyboard}</legend>
        <label>
          <input type="checkbox" checked={shortcuts.value === "on"} onChange={(event) => (shortcuts.value = event.currentTarget.checked ? "on" : "off")} />
          <span>
            {say.singleKeys}
            <span class="quiet">{say.singleKeysHint}</span>
          </span>
        </label>
      </fieldset>
      <dl class="who">
        <dt>{say.signedInAs}</dt>
        <dd>
          <bdi>{who?.user}</bdi>
        </dd>
        {who?.namespace && (
          <>
            <dt>{say.namespace}</dt>
            <dd>{who.namespace}</dd>
          </>
        )}
      </dl>
      <div class="actions">
        <button
          type="button"
          class="button"
          onClick={() => {
            onClose();
            signOut();
          }}
        >
          {say.signOut}
        </button>
      </div>
    </Dialog>
  );
}
