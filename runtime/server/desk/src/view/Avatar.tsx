/** How many tints the style sheet has. */
const TINTS = 8;

/** A person's initials on one of a few tints; decoration, so screen readers pass over it. */
export function Avatar({ name, id }: { name: string; id: string }) {
  let hash = 0;
  for (const unit of id) hash = (hash * 31 + (unit.codePointAt(0) ?? 0)) >>> 0;
  return (
    <span class={`avatar tint-${hash % TINTS}`} aria-hidden="true">
      {initials(name)}
    </span>
  );
}

function initials(name: string): string {
  const words = name.split(/[\s._@-]+/u).filter((word) => /^\p{L}/u.test(word));
  const letters = words.length > 1 ? [words[0], words.at(-1)] : words.length === 1 ? [words[0]] : [];
  // A number says most by its end.
  if (letters.length === 0) return name.replace(/\D/g, "").slice(-2) || "?";
  return letters.map((word) => [...(word ?? "")][0]?.toLocaleUpperCase()).join("");
}
