import { polite, urgent } from "../announce";

/** The live regions. The text alternates in a trailing space, so that the same words are told twice. */
export function announcements() {
  return (
    <div class="unseen">
      <div role="status" aria-live="polite" id="polite">
        {polite.value.text + (polite.value.count % 2 ? "\u00a0" : "")}
      </div>
      <div role="alert" aria-live="assertive">
        {urgent.value.text + (urgent.value.count % 2 ? "\u00a0" : "")}
      </div>
    </div>
  );
}
