const rules = new Map<string, Intl.PluralRules>();

/** The form of a language for a count; `#` stands for the count in it. */
export function plural(language: string, count: number, forms: { one: string; other: string }): string {
  let rule = rules.get(language);
  if (!rule) rules.set(language, (rule = new Intl.PluralRules(language)));
  const form = rule.select(count) === "one" ? forms.one : forms.other;
  return form.replace("#", new Intl.NumberFormat(language).format(count));
}
