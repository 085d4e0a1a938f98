// What was typed and not sent, by conversation and by who typed it. In the tab's storage, which ends with the tab and
// with the logout: what is said to people is not left on the machine.
const kept = new Map<string, string>();
let prefix = "eywa-draft ";

/** Whose drafts these are from now on. */
export function draftsOf(user: string): void {
  prefix = `eywa-draft ${user} `;
  kept.clear();
}

export function draftOf(key: string): string {
  const here = kept.get(key);
  if (here !== undefined) return here;
  try {
    return sessionStorage.getItem(prefix + key) ?? "";
  } catch {
    return "";
  }
}

export function keepDraft(key: string, text: string): void {
  kept.set(key, text);
  try {
    if (text) sessionStorage.setItem(prefix + key, text);
    else sessionStorage.removeItem(prefix + key);
  } catch {
    // It lasts as long as the page then.
  }
}
