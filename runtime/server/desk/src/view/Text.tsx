import { Fragment } from "preact";

const LINK = /https?:\/\/[^\s<>"'`]+/gi;
/** What ends a sentence, not an address. */
const TRAILING = /[.,;:!?…)\]}»”’]+$/u;

/**
 * What somebody wrote: as text, always. Addresses become links when they are http(s) and nothing
 * else; `bdi` keeps right-to-left marks in a text from reordering what is around it.
 */
export function Text({ children }: { children: string }) {
  const parts = [];
  let from = 0;
  for (const found of children.matchAll(LINK)) {
    const raw = found[0];
    const address = raw.replace(TRAILING, "");
    const url = safe(address);
    if (!url) continue;
    parts.push(children.slice(from, found.index));
    parts.push(
      <a key={found.index} href={url} target="_blank" rel="noopener noreferrer nofollow">
        {address}
      </a>,
    );
    from = found.index + address.length;
  }
  parts.push(children.slice(from));
  return (
    <bdi class="text" dir="auto">
      {parts.map((part, index) => (
        <Fragment key={index}>{part}</Fragment>
      ))}
    </bdi>
  );
}

function safe(address: string): string | null {
  try {
    const url = new URL(address);
    // A name before the host is a way to make one host look like another.
    return (url.protocol === "https:" || url.protocol === "http:") && !url.username && !url.password ? url.href : null;
  } catch {
    return null;
  }
}

/** A value of a tool's arguments or results, for reading. */
export function Value({ children }: { children: unknown }) {
  return (
    <pre class="value" tabIndex={0}>
      {pretty(children)}
    </pre>
  );
}

const LONGEST = 20_000;

function pretty(value: unknown): string {
  let text: string;
  if (typeof value === "string") {
    try {
      const parsed: unknown = JSON.parse(value);
      text = typeof parsed === "object" && parsed !== null ? JSON.stringify(parsed, null, 2) : value;
    } catch {
      text = value;
    }
  } else {
    text = JSON.stringify(value, null, 2) ?? "";
  }
  return text.length > LONGEST ? `${text.slice(0, LONGEST)}…` : text;
}
