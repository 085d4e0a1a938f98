import { useSignal } from "@preact/signals";
import { useEffect, useLayoutEffect, useRef } from "preact/hooks";
import { filter, group, list, more, reload, setFilter, type StateFilter } from "../conversations";
import { me } from "../desk";
import { keyOf, type Conversation } from "../wire";
import { words } from "../words";
import { Cross, Search } from "./icons";
import { cursor, focusCursor, moveCursor } from "./keyboard";
import { Row } from "./Row";

/** Heights in rem, as the style sheet has them. */
const ROW_REM = 5;
const HEAD_REM = 2;
/** Lines kept beyond the edges, so that a fast scroll shows no gap. */
const BEYOND = 8;

export function ListPane() {
  const say = words.value;
  return (
    <nav class="list-pane" aria-label={say.conversations}>
      <SearchField />
      <Filters />
      <Lines />
    </nav>
  );
}

function SearchField() {
  const say = words.value;
  const text = useSignal(filter.value.text);
  const timer = useRef<ReturnType<typeof setTimeout> | undefined>(undefined);
  const set = (to: string, wait: number) => {
    text.value = to;
    clearTimeout(timer.current);
    timer.current = setTimeout(() => to !== filter.peek().text && setFilter({ text: to }), wait);
  };
  // "Clear filters" empties the field too.
  useEffect(() => {
    if (filter.value.text === "" && text.peek() !== "") text.value = "";
  }, [filter.value.text]);
  return (
    <div class="search" role="search">
      <Search size={16} />
      <input
        id="search"
        type="search"
        aria-label={say.search}
        placeholder={say.searchHint}
        autocomplete="off"
        value={text.value}
        onInput={(event) => set(event.currentTarget.value, 200)}
        onKeyDown={(event) => {
          if (event.key === "Escape") {
            if (text.value) set("", 0);
            else focusCursor.value += 1;
            event.preventDefault();
          }
          if (event.key === "ArrowDown" || event.key === "Enter") {
            event.preventDefault();
            moveCursor("first");
          }
        }}
      />
      {text.value && (
        <button type="button" class="icon-button small" aria-label={say.clearSearch} onClick={() => set("", 0)}>
          <Cross size={14} />
        </button>
      )}
    </div>
  );
}

function Filters() {
  const say = words.value;
  const states: [StateFilter, string][] = [
    ["", say.stateAll],
    ["Requested", say.stateWaiting],
    ["Active", say.stateHuman],
    ["mine", say.stateMine],
    ["Watching", say.stateAgent],
  ];
  const spirits = me.value?.spirits ?? [];
  return (
    <div class="filters">
      <select aria-label={say.state} value={filter.value.state} onChange={(event) => setFilter({ state: event.currentTarget.value as StateFilter })}>
        {states.map(([value, name]) => (
          <option key={value} value={value}>
            {value === "" ? `${say.state}: ${name}` : name}
          </option>
        ))}
      </select>
      {spirits.length > 1 && (
        <select aria-label={say.spirit} value={filter.value.spirit} onChange={(event) => setFilter({ spirit: event.currentTarget.value })}>
          <option value="">{say.allSpirits}</option>
          {spirits.map((spirit) => (
            <option key={spirit} value={spirit}>
              {spirit}
            </option>
          ))}
        </select>
      )}
    </div>
  );
}

interface Section {
  group: 0 | 1 | 2;
  /** Index of its first line. */
  from: number;
  count: number;
  /** Where its head stands, in pixels. */
  top: number;
}

/** Where each group begins. */
function sections(items: readonly Conversation[], row: number, head: number): Section[] {
  const found: Section[] = [];
  let from = 0;
  let top = 0;
  while (from < items.length) {
    const of = group((items[from] as Conversation).phase);
    // The groups are in order, so the end of one is found by halving.
    let low = from;
    let high = items.length;
    while (low < high) {
      const middle = (low + high) >>> 1;
      if (group((items[middle] as Conversation).phase) > of) high = middle;
      else low = middle + 1;
    }
    found.push({ group: of, from, count: low - from, top });
    top += head + (low - from) * row;
    from = low;
  }
  return found;
}

function Lines() {
  const say = words.value;
  const { items, next, loading, failure, ready, turn } = list.value;
  const box = useRef<HTMLDivElement>(null);
  const view = useSignal({ top: 0, height: 900, rem: 16 });
  const hadFocus = useRef(false);

  const measure = () => {
    const element = box.current;
    if (!element) return;
    const rem = Number.parseFloat(getComputedStyle(document.documentElement).fontSize) || 16;
    const now = { top: element.scrollTop, height: element.clientHeight, rem };
    const was = view.peek();
    if (was.top !== now.top || was.height !== now.height || was.rem !== now.rem) view.value = now;
  };
  useEffect(() => {
    const element = box.current;
    if (!element) return;
    const observer = new ResizeObserver(measure);
    observer.observe(element);
    return () => observer.disconnect();
  }, []);

  const { top, height, rem } = view.value;
  const row = ROW_REM * rem;
  const head = HEAD_REM * rem;
  const parts = sections(items, row, head);
  const topOf = (index: number) => {
    const part = parts.findLast((one) => one.from <= index);
    return part ? part.top + head + (index - part.from) * row : 0;
  };
  const total = parts.reduce((sum, part) => sum + head + part.count * row, 0);
  const at = items.findIndex((item) => keyOf(item) === cursor.value);
  const active = at >= 0 ? at : 0;

  // Binary search would gain nothing: three heads at most are between.
  const first = Math.max(0, Math.floor((top - 3 * head) / row) - BEYOND);
  const last = Math.min(items.length - 1, Math.ceil((top + height) / row) + BEYOND);
  const shown: number[] = [];
  // The line with the focus stays, wherever the list is scrolled to: else the focus would be lost.
  if (active < first && items.length > 0) shown.push(active);
  for (let index = first; index <= last; index += 1) shown.push(index);
  if (active > last) shown.push(active);

  useEffect(() => {
    if (next !== undefined && !loading && !failure && last > items.length - 40) void more();
  }, [last, items.length, next, loading, failure]);

  useLayoutEffect(() => {
    if (ready && box.current) box.current.scrollTop = 0;
  }, [ready, turn]);

  // A keyed line that moves is taken out and put back by the browser, and loses the focus by that.
  useLayoutEffect(() => {
    if (hadFocus.current && document.activeElement === document.body) {
      box.current?.querySelector<HTMLElement>(".row[tabindex='0']")?.focus({ preventScroll: true });
    }
  });
  const asked = useRef(focusCursor.value);
  useLayoutEffect(() => {
    if (asked.current === focusCursor.value) return;
    asked.current = focusCursor.value;
    const element = box.current;
    if (!element || items.length === 0) return;
    const y = topOf(active);
    const edge = active === 0 ? 0 : y;
    if (edge < element.scrollTop) element.scrollTop = edge;
    else if (y + row > element.scrollTop + element.clientHeight) element.scrollTop = y + row - element.clientHeight;
    measure();
    element.querySelector<HTMLElement>(".row[tabindex='0']")?.focus({ preventScroll: true });
  });

  const onKeyDown = (event: KeyboardEvent) => {
    const page = Math.max(1, Math.floor(height / row) - 1);
    const moves: Record<string, number | "first" | "last"> = {
      ArrowDown: 1,
      ArrowUp: -1,
      PageDown: page,
      PageUp: -page,
      Home: "first",
      End: "last",
    };
    const move = moves[event.key];
    if (move !== undefined && !event.ctrlKey && !event.metaKey && !event.altKey) {
      event.preventDefault();
      moveCursor(move);
    }
  };

  const filtered = filter.value.text !== "" || filter.value.spirit !== "" || filter.value.state !== "";
  const names = [say.groupWaiting, say.groupHuman, say.groupAgent];
  return (
    <div
      class={ready ? "lines" : "lines stale"}
      ref={box}
      onScroll={measure}
      onKeyDown={onKeyDown}
      onFocusIn={() => (hadFocus.current = true)}
      onFocusOut={(event) => {
        // Null when the line itself was taken out, which is no leaving.
        if (event.relatedTarget !== null) hadFocus.current = false;
      }}
      aria-busy={loading}
    >
      {items.length > 0 && (
        <>
          {parts.map((part) => (
            <p key={part.group} class="head" aria-hidden="true" style={{ top: `${part.top}px` }}>
              {names[part.group]}
              {(next === undefined || part !== parts.at(-1)) && <span>{part.count}</span>}
            </p>
          ))}
          <div role="list" class="sizer" style={{ height: `${total}px` }}>
            {shown.map((index) => {
              const item = items[index] as Conversation;
              return (
                <Row
                  key={keyOf(item)}
                  item={item}
                  top={topOf(index)}
                  position={index + 1}
                  size={next === undefined ? items.length : -1}
                  active={index === active}
                />
              );
            })}
          </div>
        </>
      )}
      {failure !== null && (
        <div class="list-note" role="alert">
          <p>{say.listFailed}</p>
          <p class="quiet">{say.failure(failure)}</p>
          <button type="button" class="button small" onClick={() => (items.length > 0 ? void more() : void reload(false))}>
            {say.retry}
          </button>
        </div>
      )}
      {!ready && loading && items.length === 0 && <Skeleton />}
      {ready && items.length === 0 && !failure && (
        <div class="list-note">
          <p>{filtered ? say.listNothing : say.listEmpty}</p>
          <p class="quiet">{filtered ? say.listNothingHint : say.listEmptyHint}</p>
          {filtered && (
            <button type="button" class="button small" onClick={() => setFilter({ text: "", spirit: "", state: "" })}>
              {say.clearFilters}
            </button>
          )}
        </div>
      )}
    </div>
  );
}

function Skeleton() {
  return (
    <div class="skeleton">
      <p class="unseen">{words.value.loading}</p>
      {[0, 1, 2, 3, 4, 5].map((index) => (
        <div key={index} class="ghost" aria-hidden="true" />
      ))}
    </div>
  );
}
