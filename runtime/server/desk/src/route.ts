// What the page shows, as its address says it: the browser's Back works, and a link can be passed on.
import { signal } from "@preact/signals";

export type Route = { at: "list" } | { at: "rites" } | { at: "conversation"; spirit: string; session: string };

function parse(hash: string): Route {
  const [kind, spirit, session] = hash.replace(/^#\/?/, "").split("/");
  if (kind === "rites") return { at: "rites" };
  if (kind === "c" && spirit && session) {
    try {
      return { at: "conversation", spirit: decodeURIComponent(spirit), session: decodeURIComponent(session) };
    } catch {
      return { at: "list" };
    }
  }
  return { at: "list" };
}

export const route = signal<Route>(parse(location.hash));

window.addEventListener("hashchange", () => {
  route.value = parse(location.hash);
});

/** The address of a conversation within the page. */
export function linkTo(spirit: string, session: string): string {
  return `#/c/${encodeURIComponent(spirit)}/${encodeURIComponent(session)}`;
}

export function go(hash: string): void {
  if (location.hash === hash) return;
  location.hash = hash;
  // Now, not when the browser tells of it: what is to get the focus must be there.
  route.value = parse(hash);
}

/** Takes a one-time login code out of the address, and out of the history. */
export function takeLoginCode(): string | null {
  const code = /^#login=(.+)$/.exec(location.hash)?.[1];
  if (!code) return null;
  history.replaceState(null, "", location.pathname + location.search);
  route.value = { at: "list" };
  try {
    return decodeURIComponent(code);
  } catch {
    return code;
  }
}
