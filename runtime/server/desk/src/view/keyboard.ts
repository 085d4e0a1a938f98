// The keys of the page. Fields keep their own; dialogs are the browser's.
import { effect, signal } from "@preact/signals";
import { giveBack, me, mayNot, takeOver } from "../desk";
import { list } from "../conversations";
import { shortcuts } from "../preferences";
import { go, route } from "../route";
import { open, openKey } from "../transcript";
import { keyOf } from "../wire";

/** Which dialog is open. */
export const shown = signal<"help" | "preferences" | "spirits" | null>(null);
/** The line of the list that has the roving focus. */
export const cursor = signal<string>("");
/** Counts the times the focus was sent to that line. */
export const focusCursor = signal(0);

effect(() => {
  if (openKey.value) cursor.value = openKey.value;
});

export function moveCursor(to: number | "first" | "last"): void {
  const { items, ready } = list.peek();
  // What is still shown of a former search is not to be opened by the key that follows the new one.
  if (items.length === 0 || !ready) return;
  const now = items.findIndex((item) => keyOf(item) === cursor.peek());
  let index = to === "first" ? 0 : to === "last" ? items.length - 1 : now < 0 ? 0 : now + to;
  index = Math.min(items.length - 1, Math.max(0, index));
  const item = items[index];
  if (!item) return;
  cursor.value = keyOf(item);
  focusCursor.value += 1;
}

function focus(selector: string): boolean {
  const element = document.querySelector<HTMLElement>(selector);
  if (!element || element.offsetParent === null) return false;
  element.focus();
  return true;
}

export const focusSearch = () => focus("#search");
export const focusReply = () => focus("#reply");
export const focusHeading = () => focus("#conversation-name");

/** Back to the list: on a phone it is another page, on a desk the focus moves. */
export function toList(): void {
  const phone = document.querySelector<HTMLElement>(".list-pane")?.offsetParent === null;
  if (phone || route.peek().at === "rites") go("#/");
  focusCursor.value += 1;
}

function editable(target: EventTarget | null): boolean {
  return target instanceof HTMLElement && (target.isContentEditable || /^(INPUT|TEXTAREA|SELECT)$/.test(target.tagName));
}

function onKey(event: KeyboardEvent): void {
  if (event.defaultPrevented || event.ctrlKey || event.metaKey || event.altKey || me.peek() === null) return;
  if (shown.peek() !== null || document.querySelector("dialog[open]")) return;
  if (editable(event.target)) return;
  if (event.key === "Escape") {
    if (route.peek().at !== "list") toList();
    event.preventDefault();
    return;
  }
  if (shortcuts.peek() === "off") return;
  if (command(event.key)) event.preventDefault();
}

/** Whether the key was one of ours. */
function command(key: string): boolean {
  const now = open.peek();
  const state = now?.conversation;
  const held = state?.phase === "Active" || state?.phase === "TakingOver";
  switch (key) {
    case "j":
      moveCursor(1);
      return true;
    case "k":
      moveCursor(-1);
      return true;
    case "/":
      return focusSearch();
    case "?":
      shown.value = "help";
      return true;
    case "t":
      if (!now || held || mayNot.peek().takeOver) return false;
      void takeOver(now);
      return true;
    case "r":
      return focusReply();
    case "g":
      if (!now || state?.phase !== "Active" || state.by !== me.peek()?.user || mayNot.peek().takeOver) return false;
      void giveBack(now).then((done) => done && requestAnimationFrame(() => focusHeading()));
      return true;
    case "a":
      go("#/rites");
      return true;
    default:
      return false;
  }
}

export function listenToKeys(): void {
  document.addEventListener("keydown", onKey);
}
