// The bearer token, kept for the tab: a closed tab forgets it.
import { signal } from "@preact/signals";

const STORED = "eywa-token";

function stored(): string | null {
  try {
    return sessionStorage.getItem(STORED);
  } catch {
    return null;
  }
}

/** The token of this tab; null asks for a login. */
export const token = signal<string | null>(stored());

/** Why the login is shown. */
export const signedOutBecause = signal<"" | "ended">("");

export function signIn(value: string): void {
  try {
    sessionStorage.setItem(STORED, value);
  } catch {
    // Kept in memory only, when the browser stores nothing.
  }
  signedOutBecause.value = "";
  token.value = value;
}

export function signOut(because: "" | "ended" = ""): void {
  try {
    // Whose session has ended comes back, and finds what they had not sent yet.
    if (because === "ended") sessionStorage.removeItem(STORED);
    else sessionStorage.clear();
  } catch {
    // There was nothing stored.
  }
  signedOutBecause.value = because;
  token.value = null;
}
