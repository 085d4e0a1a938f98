// What a screen reader is told without the focus moving.
import { signal } from "@preact/signals";

/** Spoken when the reader has a moment. */
export const polite = signal<{ text: string; count: number }>({ text: "", count: 0 });
/** Spoken at once: refusals and conflicts. */
export const urgent = signal<{ text: string; count: number }>({ text: "", count: 0 });

export function announce(text: string): void {
  polite.value = { text, count: polite.peek().count + 1 };
}

export function alarm(text: string): void {
  urgent.value = { text, count: urgent.peek().count + 1 };
}
