// What the person at the desk likes. Kept in the browser: no message text is among it.
import { effect, signal, type Signal } from "@preact/signals";

export type Theme = "auto" | "light" | "dark";

function kept<T extends string>(name: string, allowed: readonly T[], otherwise: T): Signal<T> {
  const key = `eywa-${name}`;
  let first = otherwise;
  try {
    const found = localStorage.getItem(key) as T | null;
    if (found !== null && allowed.includes(found)) first = found;
  } catch {
    // Nothing is stored; the default does.
  }
  const value = signal<T>(first);
  effect(() => {
    const now = value.value;
    try {
      if (now === otherwise) localStorage.removeItem(key);
      else localStorage.setItem(key, now);
    } catch {
      // Lasts as long as the page then.
    }
  });
  return value;
}

export const theme = kept<Theme>("theme", ["auto", "light", "dark"], "auto");
/** `auto` follows the browser's languages. */
export const chosenLanguage = kept("language", ["auto", "en", "pt", "es"] as const, "auto");
/** Single keys as commands. Off for those whose keyboard or speech input would set them off. */
export const shortcuts = kept("shortcuts", ["on", "off"] as const, "on");

effect(() => {
  const root = document.documentElement;
  if (theme.value === "auto") delete root.dataset["theme"];
  else root.dataset["theme"] = theme.value;
});
