// The page's words, in the language of the person at the desk.
import { computed, effect } from "@preact/signals";
import { Refused, Unreachable } from "../api";
import { chosenLanguage } from "../preferences";
import { en, type Catalogue } from "./en";
import { es } from "./es";
import { pt } from "./pt";

export type Words = Catalogue & { failure(failure: unknown): string };

const catalogues = { en, pt, es };
type Language = keyof typeof catalogues;

/** Each language by its own name. */
export const languages: readonly [Language, string][] = [
  ["en", "English"],
  ["pt", "Português"],
  ["es", "Español"],
];

/** The first of the browser's languages that there is a catalogue for. */
function ofBrowser(): Language {
  for (const tag of navigator.languages) {
    const language = tag.toLowerCase().split("-")[0] as Language;
    if (language in catalogues) return language;
  }
  return "en";
}

const language = computed<Language>(() => (chosenLanguage.value === "auto" ? ofBrowser() : chosenLanguage.value));

/** For Intl: the browser's own variant of the language where it has one (en-GB, pt-PT). */
export const locale = computed(
  () => navigator.languages.find((tag) => tag.toLowerCase().split("-")[0] === language.value) ?? (language.value === "pt" ? "pt-BR" : language.value),
);

export const words = computed<Words>(() => {
  const catalogue = catalogues[language.value];
  return { ...catalogue, failure: (failure) => describe(catalogue, failure) };
});

/** What went wrong, and what to do, in a sentence. What the server says itself is shown as it says it. */
function describe(say: Catalogue, failure: unknown): string {
  if (failure instanceof Unreachable) return say.failUnreachable;
  if (failure instanceof Refused) {
    if (failure.status === 403) return say.failForbidden(failure.problem.permission ?? "");
    if (failure.problem.detail) return failure.problem.detail;
    if (failure.status === 404) return say.failGone;
    if (failure.passing) return say.failServer;
  }
  return say.failOther;
}

effect(() => {
  document.documentElement.lang = locale.value;
});
