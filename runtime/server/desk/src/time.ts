// Times as people read them, by Intl.
import { computed } from "@preact/signals";
import { locale, words } from "./words";

const formats = computed(() => {
  const of = locale.value;
  return {
    clock: new Intl.DateTimeFormat(of, { hour: "2-digit", minute: "2-digit" }),
    weekday: new Intl.DateTimeFormat(of, { weekday: "short" }),
    day: new Intl.DateTimeFormat(of, { day: "numeric", month: "short" }),
    year: new Intl.DateTimeFormat(of, { day: "numeric", month: "short", year: "numeric" }),
    longDay: new Intl.DateTimeFormat(of, { weekday: "long", day: "numeric", month: "long" }),
    longYear: new Intl.DateTimeFormat(of, { day: "numeric", month: "long", year: "numeric" }),
    full: new Intl.DateTimeFormat(of, { dateStyle: "full", timeStyle: "medium" }),
    ago: new Intl.RelativeTimeFormat(of, { numeric: "auto", style: "short" }),
  };
});

const units = computed(() => {
  const unit = (name: string, unitDisplay: "narrow" | "short") =>
    new Intl.NumberFormat(locale.value, { style: "unit", unit: name, unitDisplay, maximumFractionDigits: 0 });
  return { second: unit("second", "narrow"), minute: unit("minute", "short"), hour: unit("hour", "short"), day: unit("day", "short") };
});

const MINUTE = 60_000;
const HOUR = 60 * MINUTE;
const DAY = 24 * HOUR;

function midnight(at: number): number {
  return new Date(at).setHours(0, 0, 0, 0);
}

/** Days from `at` to `now` by the calendar. */
function daysSince(at: number, now: number): number {
  return Math.round((midnight(now) - midnight(at)) / DAY);
}

export function clockTime(at: number): string {
  return formats.value.clock.format(at);
}

/** For a line of the list: the shortest that is clear. */
export function shortTime(at: number, now: number): string {
  const { clock, weekday, day, year } = formats.value;
  const days = daysSince(at, now);
  if (days <= 0) return clock.format(at);
  if (days === 1) return words.value.yesterday;
  if (days < 7) return weekday.format(at);
  return new Date(at).getFullYear() === new Date(now).getFullYear() ? day.format(at) : year.format(at);
}

/** For the line between two days. */
export function dayName(at: number, now: number): string {
  const days = daysSince(at, now);
  if (days === 0) return words.value.today;
  if (days === 1) return words.value.yesterday;
  const { longDay, longYear } = formats.value;
  return new Date(at).getFullYear() === new Date(now).getFullYear() ? longDay.format(at) : longYear.format(at);
}

export function fullTime(at: number): string {
  return formats.value.full.format(at);
}

/** "4 min. ago". */
export function ago(at: number, now: number): string {
  const { ago: format } = formats.value;
  const past = Math.max(0, now - at);
  if (past < HOUR) return format.format(-Math.round(past / MINUTE), "minute");
  if (past < DAY) return format.format(-Math.round(past / HOUR), "hour");
  return format.format(-Math.round(past / DAY), "day");
}

/** A length of time, in its largest unit: "4 min". */
export function length(milliseconds: number): string {
  const { minute, hour, day } = units.value;
  if (milliseconds < HOUR) return minute.format(Math.max(1, Math.round(milliseconds / MINUTE)));
  if (milliseconds < DAY) return hour.format(Math.round(milliseconds / HOUR));
  return day.format(Math.round(milliseconds / DAY));
}

/** What is left until a deadline: "14:05", "2 h" when it is far. */
export function remaining(milliseconds: number): string {
  if (milliseconds >= HOUR) return length(milliseconds);
  const seconds = Math.max(0, Math.ceil(milliseconds / 1_000));
  return seconds < 60 ? units.value.second.format(seconds) : `${Math.floor(seconds / 60)}:${String(seconds % 60).padStart(2, "0")}`;
}

/** The calendar day, for finding where a new one begins. */
export function dayOf(at: number): number {
  return midnight(at);
}
