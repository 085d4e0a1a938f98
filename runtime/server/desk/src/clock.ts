// The time now, as signals that views follow, and by the server's clock where the two differ:
// countdowns are about the server's deadlines.
import { signal } from "@preact/signals";

let ahead = 0;

/** Learns the server's time from an answer's Date header, which has whole seconds. */
export function noteServerTime(header: string | null): void {
  const told = header ? Date.parse(header) : Number.NaN;
  if (Number.isNaN(told)) return;
  const difference = told - Date.now();
  ahead = Math.abs(difference) > 3_000 ? difference : 0;
}

/** Milliseconds since the epoch, by the server's clock. */
export function serverNow(): number {
  return Date.now() + ahead;
}

/** Advances every second; for countdowns. */
export const second = signal(serverNow());
/** Advances every half minute; for "4 minutes ago". */
export const halfMinute = signal(serverNow());

/** Starts the clock; the answer stops it. */
export function runClock(): () => void {
  const timer = setInterval(() => {
    const now = serverNow();
    second.value = now;
    if (now - halfMinute.peek() >= 30_000 || now < halfMinute.peek()) halfMinute.value = now;
  }, 1_000);
  return () => clearInterval(timer);
}
