// A small server with the desk's API, for tests of the page alone: as many conversations as a test
// wants, events when it wants them, refusals and lost connections. It keeps everything in memory.
//
// `npm run stand-in` starts one by hand, with conversations that move.
import { createServer } from "node:http";
import { readFile } from "node:fs/promises";
import { dirname, join } from "node:path";
import { fileURLToPath } from "node:url";
import { deflateSync } from "node:zlib";

const dist = join(dirname(fileURLToPath(import.meta.url)), "../dist");

/** The header that the runtime sends with the page. */
export const CSP =
  "default-src 'none'; script-src 'self'; style-src 'self'; img-src 'self' blob:; media-src blob:; connect-src 'self'; base-uri 'none'; form-action 'none'; frame-ancestors 'none'";

const TYPES = { html: "text/html; charset=utf-8", js: "text/javascript; charset=utf-8", css: "text/css; charset=utf-8", svg: "image/svg+xml", txt: "text/plain; charset=utf-8" };

const NAMES = ["Ana Ribeiro", "Bruno Costa", "Chiara Conti", "David Okafor", "Elif Kaya", "Farid Haddad", "Grace Kim", "Hugo Lindqvist", "Inês Prado", "Jonas Weber", "Kofi Mensah", "Lena Novak", "Marta Silva", "Noor Rahman", "Olga Petrova", "Pedro Alves"];
const LINES = ["A flat white, please", "Is there oat milk?", "Where is my order?", "Thank you!", "Do you open on Sunday?", "I was charged twice", "Can I change the size?", "One filter coffee and a tea", "It was cold when I got it", "How much is the cappuccino?"];

const group = (phase) => (phase === "Requested" ? 0 : phase === "Active" || phase === "TakingOver" ? 1 : 2);
const keyOf = (of) => `${of.spirit} ${of.session}`;
const iso = (ms) => new Date(ms).toISOString();

/** A picture, w by h, in a gradient: what a test shows as an attachment. */
export function png(w, h) {
  const raw = Buffer.alloc((w * 3 + 1) * h);
  for (let y = 0; y < h; y += 1) {
    for (let x = 0; x < w; x += 1) {
      const at = y * (w * 3 + 1) + 1 + x * 3;
      raw[at] = 120 + Math.round((90 * x) / w);
      raw[at + 1] = 90 + Math.round((70 * y) / h);
      raw[at + 2] = 70;
    }
  }
  const crcTable = Array.from({ length: 256 }, (_, n) => {
    let c = n;
    for (let k = 0; k < 8; k += 1) c = c & 1 ? 0xedb88320 ^ (c >>> 1) : c >>> 1;
    return c >>> 0;
  });
  const chunk = (type, data) => {
    const body = Buffer.concat([Buffer.from(type), data]);
    let crc = 0xffffffff;
    for (const byte of body) crc = crcTable[(crc ^ byte) & 255] ^ (crc >>> 8);
    const out = Buffer.alloc(body.length + 8);
    out.writeUInt32BE(data.length, 0);
    body.copy(out, 4);
    out.writeUInt32BE((crc ^ 0xffffffff) >>> 0, body.length + 4);
    return out;
  };
  const head = Buffer.alloc(13);
  head.writeUInt32BE(w, 0);
  head.writeUInt32BE(h, 4);
  head.set([8, 2, 0, 0, 0], 8);
  return Buffer.concat([Buffer.from([137, 80, 78, 71, 13, 10, 26, 10]), chunk("IHDR", head), chunk("IDAT", deflateSync(raw)), chunk("IEND", Buffer.alloc(0))]);
}

/**
 * Starts one. `conversations`: how many there are; `may`: what its user may do; `user`: who that is.
 * The answer is the server's controls: a test changes its maps, and tells the page by `send`.
 */
export async function startStandIn({ conversations: count = 40, user = "bea@cafe.example", may = { read: true, takeOver: true, decide: true }, spirits = ["barista", "billing"], mode = "cluster", namespace = "cafe" } = {}) {
  const me = { user, namespace, mode, spirits, may, silenced: [] };
  /** By key. */
  const conversations = new Map();
  /** By key: the echoes, oldest first. */
  const echoes = new Map();
  const rites = new Map();
  const files = new Map();
  const codes = new Map();
  const tokens = new Set(["good-token"]);
  const streams = new Set();
  const sockets = new Set();
  const requests = [];
  /** `POST …/reply` and such, to be answered by the test: path ending → function(request) → [status, body] or null. */
  const overrides = new Map();
  let eventId = 0;
  let serial = 0;
  const started = Date.now();

  for (let index = 0; index < count; index += 1) {
    const spirit = spirits[index % 7 === 3 && spirits.length > 1 ? 1 : 0];
    const sender = `55119${String(90000000 + index * 37)}`;
    const name = `${NAMES[index % NAMES.length]}${index >= NAMES.length ? ` ${Math.floor(index / NAMES.length) + 1}` : ""}`;
    const at = started - 60_000 - index * 47_000;
    const phase = index < 3 ? "Requested" : index < 6 ? "Active" : "Watching";
    add({
      spirit,
      session: `${index % 3 === 0 ? "wa" : "web"}/${sender}`,
      user: { id: sender, name },
      phase,
      lastAt: iso(at),
      lastText: LINES[index % LINES.length],
      lastFrom: index % 3 === 1 ? "agent" : "user",
      ...(phase === "Requested" ? { requestedAt: iso(at - 120_000), requestReason: "asks for a refund", unanswered: 1 + index } : {}),
      ...(phase === "Active" ? { by: index === 3 ? user : "carlos@cafe.example", since: iso(at - 600_000) } : {}),
    });
  }

  /** Adds a conversation, with its last line as its only echo unless there are others. */
  function add(conversation, own) {
    const whole = { voice: conversation.session.split("/")[0], unanswered: 0, pendingRites: 0, answering: false, ...conversation };
    conversations.set(keyOf(whole), whole);
    if (own) echoes.set(keyOf(whole), own);
    return whole;
  }

  function echoesOf(key) {
    const found = echoes.get(key);
    if (found) return found;
    const conversation = conversations.get(key);
    const made = conversation ? [{ id: `${key}-first`, at: conversation.lastAt, kind: "user", text: conversation.lastText }] : [];
    echoes.set(key, made);
    return made;
  }

  function send(name, data) {
    eventId += 1;
    for (const stream of streams) stream.write(`id: ${eventId}\nevent: ${name}\ndata: ${JSON.stringify(data)}\n\n`);
  }

  /** Changes a conversation, and tells the desks. */
  function change(key, fields) {
    const conversation = { ...conversations.get(key), ...fields };
    for (const [name, value] of Object.entries(conversation)) if (value === undefined) delete conversation[name];
    conversations.set(key, conversation);
    send("conversation", conversation);
    return conversation;
  }

  /** Appends an echo, and tells the desks unless `quietly`. */
  function say(key, body, { quietly = false } = {}) {
    serial += 1;
    const echo = { id: body.id ?? `echo-${serial}`, at: body.at ?? iso(Date.now()), ...body };
    echoesOf(key).push(echo);
    const [spirit, session] = key.split(" ");
    const fields = { lastAt: echo.at };
    if (echo.text) Object.assign(fields, { lastText: echo.text.slice(0, 120), lastFrom: echo.kind });
    if (quietly) conversations.set(key, { ...conversations.get(key), ...fields });
    else {
      send("echo", { spirit, session, echo });
      change(key, fields);
    }
    return echo;
  }

  function addRite(rite, { quietly = false } = {}) {
    const whole = { phase: "Pending", expiresAt: iso(Date.now() + 900_000), arguments: {}, ...rite };
    rites.set(`${whole.spirit} ${whole.id}`, whole);
    if (!quietly) send("rite", whole);
    return whole;
  }

  const sorted = () =>
    [...conversations.values()].sort((a, b) => group(a.phase) - group(b.phase) || Date.parse(b.lastAt) - Date.parse(a.lastAt) || (keyOf(a) < keyOf(b) ? -1 : 1));

  function list(query) {
    const q = (query.get("q") ?? "").toLowerCase();
    const phase = query.get("phase");
    const of = { Requested: 0, Active: 1, Watching: 2 }[phase];
    const found = sorted().filter(
      (one) =>
        (!query.get("spirit") || one.spirit === query.get("spirit")) &&
        (!phase || group(one.phase) === of) &&
        (!q || [one.user?.name, one.user?.id, one.session, one.lastText].some((text) => text?.toLowerCase().includes(q))),
    );
    const from = Number(query.get("cursor") ?? 0);
    const limit = Math.min(200, Number(query.get("limit") ?? 50));
    const next = from + limit < found.length ? String(from + limit) : undefined;
    return [200, { conversations: found.slice(from, from + limit), next }];
  }

  function transcript(key, query) {
    const conversation = conversations.get(key);
    if (!conversation) return [404, { title: "Not Found", status: 404, detail: "there is no such conversation" }];
    const all = echoesOf(key);
    const limit = Number(query.get("limit") ?? 100);
    const before = query.get("before") ? Number(query.get("before")) : all.length;
    const from = Math.max(0, before - limit);
    const page = { echoes: all.slice(from, before), older: from > 0 ? String(from) : undefined };
    if (query.get("before")) return [200, page];
    return [200, { conversation, ...page, rites: [...rites.values()].filter((rite) => rite.spirit === conversation.spirit && rite.session === conversation.session) }];
  }

  function forbidden(what) {
    return [403, { title: "Forbidden", status: 403, detail: "you may not do this", permission: `update ${what}.eywa.dev in namespace ${namespace}` }];
  }

  function deed(key, what, body) {
    const conversation = conversations.get(key);
    if (!conversation) return [404, { title: "Not Found", status: 404 }];
    if (!me.may.takeOver) return forbidden("vigils");
    const other = group(conversation.phase) === 1 && conversation.by !== me.user ? conversation.by : null;
    if (what === "takeover") {
      if (other) return [409, { title: "Conflict", status: 409, detail: `${other} has it`, by: other }];
      const now = change(key, { phase: "Active", by: me.user, since: iso(Date.now()), requestedAt: undefined, requestReason: undefined, answering: false });
      say(key, { kind: "took_over", by: me.user });
      return [200, now];
    }
    if (what === "release") {
      if (other && !body.force) return [409, { title: "Conflict", status: 409, detail: `${other} has it`, by: other }];
      const now = change(key, { phase: "Released", by: undefined, since: undefined, unanswered: 0 });
      say(key, { kind: "gave_back", by: me.user });
      return [200, now];
    }
    if (what === "typing") return [204, null];
    if (other || conversation.phase !== "Active") return [409, { title: "Conflict", status: 409, detail: "not taken over by you", by: other ?? undefined }];
    const known = echoesOf(key).find((echo) => echo.id === `human-${body.id}`);
    if (known) return [200, { echo: known }];
    const echo = say(key, { id: `human-${body.id}`, kind: "human", by: me.user, text: body.text });
    change(key, { unanswered: 0 });
    return [200, { echo }];
  }

  function decide(spirit, id, body) {
    const rite = rites.get(`${spirit} ${id}`);
    if (!rite) return [404, { title: "Not Found", status: 404 }];
    if (!me.may.decide) return forbidden("rites");
    if (rite.phase !== "Pending") return [409, { title: "Conflict", status: 409, phase: rite.phase, by: rite.by }];
    return [200, addRite({ ...rite, phase: body.decision, by: me.user, decidedAt: iso(Date.now()), ...(body.comment ? { comment: body.comment } : {}) })];
  }

  function whole(spirit, what, body) {
    if (!me.may.takeOver) return forbidden("vigils");
    const silent = what === "takeover";
    me.silenced = me.silenced.filter((one) => one.spirit !== spirit);
    if (silent) me.silenced.push({ spirit, by: me.user, since: iso(Date.now()), ...(body.reason ? { reason: body.reason } : {}) });
    const vigil = { spirit, session: "*", phase: silent ? "Active" : "Released", ...(silent ? { by: me.user, since: iso(Date.now()) } : {}) };
    send("conversation", vigil);
    return [200, vigil];
  }

  function answer(request, path, query, body) {
    const bearer = (request.headers.authorization ?? "").replace("Bearer ", "");
    if (path === "/api/login") {
      const token = codes.get(body.code);
      codes.delete(body.code);
      return token ? [200, { token }] : [401, { title: "Unauthorized", status: 401, detail: "the code is not good, or was used" }];
    }
    if (!tokens.has(bearer)) return [401, { title: "Unauthorized", status: 401, detail: "the token is not good" }];
    for (const [ending, how] of overrides) {
      const made = path.endsWith(ending) ? how({ request, path, body }) : null;
      if (made) return made;
    }
    const parts = path.split("/").slice(2).map(decodeURIComponent);
    if (path === "/api/me") return [200, me];
    if (path === "/api/conversations") return list(query);
    if (path === "/api/rites") return [200, { rites: [...rites.values()] }];
    if (parts[0] === "conversations") {
      const key = `${parts[1]} ${parts[2]}`;
      if (parts.length === 3 || parts[3] === "echoes") return transcript(key, query);
      if (parts[3] === "attachments") {
        const file = files.get(`${parts[4]}/${parts[5]}`);
        return file ? [200, file.bytes, file.type] : [404, { title: "Not Found", status: 404 }];
      }
      return deed(key, parts[3], body);
    }
    if (parts[0] === "rites") return decide(parts[1], parts[2], body);
    if (parts[0] === "spirits") return whole(parts[1], parts[2], body);
    if (parts[0] === "pulses") {
      const steps = [
        { stage: "bond", outcome: "acquired", started_us: 0, took_us: 420 },
        { stage: "oracle", name: "scripted", started_us: 900, took_us: 812_000 },
        { stage: "voice", name: "web", outcome: "sent", started_us: 815_000, took_us: 20_400 },
      ];
      return [200, { entries: [{ outcome: "answered", received_at: iso(started), ended_at: iso(started + 900), steps }] }];
    }
    return [404, { title: "Not Found", status: 404 }];
  }

  async function handle(request, response) {
    const url = new URL(request.url, "http://desk");
    const path = url.pathname;
    if (!path.startsWith("/api/")) {
      const name = path === "/" ? "index.html" : path.slice(1);
      const content = await readFile(join(dist, name)).catch(() => null);
      response.writeHead(content ? 200 : 404, { "Content-Type": TYPES[name.split(".").pop()] ?? "application/octet-stream", "Content-Security-Policy": CSP, "X-Content-Type-Options": "nosniff", "Cache-Control": "no-cache" });
      response.end(content ?? "");
      return;
    }
    let text = "";
    for await (const part of request) text += part;
    const body = text ? JSON.parse(text) : {};
    requests.push({ method: request.method, path, body });
    if (path === "/api/events" && tokens.has((request.headers.authorization ?? "").replace("Bearer ", ""))) {
      response.writeHead(200, { "Content-Type": "text/event-stream", "Cache-Control": "no-store" });
      response.write(": here\n\n");
      streams.add(response);
      response.on("close", () => streams.delete(response));
      return;
    }
    const [status, content, type] = await answer(request, path, url.searchParams, body);
    const bytes = content === null ? "" : Buffer.isBuffer(content) ? content : JSON.stringify(content);
    response.writeHead(status, { "Content-Type": type ?? (status >= 400 ? "application/problem+json" : "application/json") });
    response.end(bytes);
  }

  let server;
  let port = 0;
  async function listen() {
    server = createServer((request, response) => {
      handle(request, response).catch((error) => {
        response.writeHead(500);
        response.end(String(error));
      });
    });
    server.on("connection", (socket) => {
      sockets.add(socket);
      socket.on("close", () => sockets.delete(socket));
    });
    await new Promise((resolve) => server.listen(port, "127.0.0.1", resolve));
    port = server.address().port;
  }
  /** As if the server were gone: nobody listens, and every line is cut. */
  async function vanish() {
    const closed = new Promise((resolve) => server.close(resolve));
    for (const socket of sockets) socket.destroy();
    await closed;
  }
  await listen();

  return {
    get url() {
      return `http://127.0.0.1:${port}/`;
    },
    me,
    conversations,
    echoes,
    rites,
    files,
    codes,
    tokens,
    requests,
    overrides,
    streams,
    add,
    change,
    say,
    addRite,
    send,
    sorted,
    vanish,
    comeBack: listen,
    stop: vanish,
  };
}

/** The conversation that the pictures in the documentation show, with one of everything. */
export function furnish(desk) {
  const now = Date.now();
  const yesterday = new Date(now).setHours(0, 0, 0, 0) - 12 * 3_600_000;
  const key = "barista wa/5511987654321";
  const at = (minutes) => iso(now - minutes * 60_000);
  desk.add(
    {
      spirit: "barista",
      session: "wa/5511987654321",
      user: { id: "5511987654321", name: "Marina Duarte" },
      phase: "Active",
      by: desk.me.user,
      since: at(6),
      lastAt: at(1),
      lastText: "Perfect, thank you so much!",
      lastFrom: "user",
      pendingRites: 1,
    },
    [
      { id: "m0", at: iso(yesterday), kind: "user", text: "Good morning! Are you open on Sunday?" },
      { id: "m1", at: iso(yesterday + 20_000), kind: "agent", spirit: "barista", text: "Good morning, Marina! Yes, on Sundays from 9 to 17." },
      { id: "m2", at: at(22), kind: "user", text: "Hi! Two large flat whites to take away, please" },
      {
        id: "m3",
        at: at(21.8),
        pulse: "p3",
        kind: "agent",
        spirit: "barista",
        text: "",
        calls: [{ id: "c1", name: "place_order", arguments: { drink: "flat white", quantity: 2, size: "large" } }],
        findings: [{ scout: "regulars", text: '{"orders":14,"usual":"flat white"}' }],
      },
      { id: "m4", at: at(21.7), kind: "tools", results: [{ call: "c1", name: "place_order", content: '{"number":212,"price":"9.20 €","ready_in_minutes":6}' }] },
      { id: "m5", at: at(21.6), pulse: "p3", kind: "agent", spirit: "barista", text: "Order 212: 2 large flat whites, 9.20 €. Ready in 6 minutes." },
      { id: "m6", at: at(9), kind: "user", text: "One of them arrived like this 😕", attachments: [{ id: "a1", media_type: "image/png", file_name: "cup.png" }] },
      { id: "m7", at: at(8.5), kind: "user", text: "and the receipt is wrong too", attachments: [{ id: "a2", media_type: "application/pdf", file_name: "receipt-212.pdf" }] },
      { id: "m8", at: at(8.3), kind: "agent", spirit: "barista", text: "I am sorry, Marina. I am asking a colleague to look at this." },
      { id: "m9", at: at(6), kind: "took_over", by: desk.me.user },
      { id: "m10", at: at(5.5), kind: "human", by: desk.me.user, text: "Hi Marina, this is Bea from the shop. That should not have happened, I am refunding this cup and making you a new one." },
      { id: "m11", at: at(1), kind: "user", text: "Perfect, thank you so much!" },
    ],
  );
  desk.files.set("m6/0", { type: "image/png", bytes: png(420, 260) });
  desk.files.set("m7/0", { type: "application/pdf", bytes: Buffer.from("%PDF-1.4\n%%EOF\n") });
  desk.addRite({ spirit: "barista", id: "refund-7f3", session: "wa/5511987654321", action: "refund", arguments: { order: 212, amount: "4.60 €", reason: "arrived spilled" } }, { quietly: true });
  return key;
}

if (process.argv[1] === fileURLToPath(import.meta.url)) {
  const desk = await startStandIn({ conversations: Number(process.argv[2] ?? 10_000) });
  const key = furnish(desk);
  desk.codes.set("hello", "good-token");
  console.log(`${desk.url}#login=hello`);
  setInterval(() => {
    const keys = [...desk.conversations.keys()];
    desk.say(Math.random() < 0.2 ? key : keys[Math.floor(Math.random() * 60)], { kind: "user", text: LINES[Math.floor(Math.random() * LINES.length)] });
  }, 2_000);
}
