// What was typed and not sent, by conversation. In the tab's storage, which ends with the tab and
// with the logout: what is said to people is not left on the machine.
const PREFIX = "eywa-draft ";
const kept = new Map<string, string>();

export function draftOf(key: string): string {
  const here = kept.get(key);
  if (here !== undefined) return here;
  try {
    return sessionStorage.getItem(PREFIX + key) ?? "";
  } catch {
    return "";
  }
}

export function keepDraft(key: string, text: string): void {
  kept.set(key, text);
  try {
    if (text) sessionStorage.setItem(PREFIX + key, text);
    else sessionStorage.removeItem(PREFIX + key);
  } catch {
    // It lasts as long as the page then.
  }
}

export function forgetDrafts(): void {
  kept.clear();
}
