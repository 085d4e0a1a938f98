// The page against the real thing: `eywa up`, its desk, its stores and its Weave. Needs the `eywa`
// binary: `cargo build -p eywa --all-features`, or EYWA_BIN for one that is elsewhere.
import assert from "node:assert/strict";
import { spawn } from "node:child_process";
import { createHmac, randomUUID } from "node:crypto";
import { existsSync } from "node:fs";
import { mkdtemp, mkdir, rm, writeFile } from "node:fs/promises";
import { createServer } from "node:http";
import { tmpdir } from "node:os";
import { dirname, join } from "node:path";
import { after, before, describe, it } from "node:test";
import { fileURLToPath } from "node:url";
import { AxeBuilder } from "@axe-core/playwright";
import { launch, openDesk } from "./browser.mjs";

const root = join(dirname(fileURLToPath(import.meta.url)), "../../../..");
const binary = [process.env.EYWA_BIN, join(process.env.CARGO_TARGET_DIR ?? join(root, "target"), "debug/eywa"), join(root, "target/debug/eywa")].find(
  (path) => path && existsSync(path),
);
/** The HTTP voice's key, plainly no secret. */
const KEY = "whsec_bm90IGEgc2VjcmV0LCBhbiBleGFtcGxl";

let browser;
before(async () => {
  assert.ok(binary, "there is no eywa binary: run `cargo build -p eywa --all-features`, or set EYWA_BIN");
  browser = await launch();
});
after(() => browser?.close());

/** Runs `eywa up` on a folder, with a home and ports of its own. */
async function up(folder, { desk = "127.0.0.1:0", home } = {}) {
  const own = home ?? (await mkdtemp(join(tmpdir(), "eywa-desk-")));
  const env = { ...process.env, HOME: own, XDG_RUNTIME_DIR: join(own, "run"), USER: "bea" };
  for (const name of ["XDG_STATE_HOME", "KUBECONFIG", "RUST_LOG"]) delete env[name];
  const child = spawn(binary, ["up", folder, "--http", "127.0.0.1:0", "--admin", "127.0.0.1:0", "--desk", desk], { cwd: root, env, stdio: ["ignore", "pipe", "pipe"] });
  let said = "";
  child.stdout.on("data", (part) => (said += part));
  child.stderr.on("data", (part) => (said += part));
  let ended = false;
  const exit = new Promise((resolve) =>
    child.on("exit", () => {
      ended = true;
      resolve();
    }),
  );
  await until(() => {
    assert.ok(!ended, `eywa up ended:\n${said}`);
    return said.includes("Ctrl-C stops");
  }, "eywa up to be ready", 120_000);
  const link = /(http:\/\/\S+?)\/?#login=(\S+)/.exec(said);
  assert.ok(link, `eywa up printed no link to the desk:\n${said}`);
  const pulses = new Map([...said.matchAll(/POST (http:\S+?\/spirits\/([a-z-]+)\/pulses)/g)].map((found) => [found[2], found[1]]));
  return {
    home: own,
    desk: `${link[1]}/`,
    hash: `#login=${link[2]}`,
    said: () => said,
    /** Says something as a person; the answer is the response, or at once a 202 when `wait` is false. */
    async tell(spirit, user, text, { wait = true } = {}) {
      const body = JSON.stringify({ user, text });
      const [id, time] = [`msg_${randomUUID()}`, String(Math.floor(Date.now() / 1_000))];
      const signature = createHmac("sha256", Buffer.from(KEY.slice(6), "base64")).update(`${id}.${time}.${body}`).digest("base64");
      const response = await fetch(pulses.get(spirit), {
        method: "POST",
        headers: {
          "Content-Type": "application/json",
          "webhook-id": id,
          "webhook-timestamp": time,
          "webhook-signature": `v1,${signature}`,
          ...(wait ? {} : { Prefer: "respond-async" }),
        },
        body,
        signal: AbortSignal.timeout(60_000),
      });
      return { status: response.status, body: await response.text() };
    },
    async stop({ keep = false } = {}) {
      child.kill("SIGTERM");
      const late = setTimeout(() => child.kill("SIGKILL"), 30_000);
      await exit;
      clearTimeout(late);
      if (!keep) await rm(own, { recursive: true, force: true });
    },
  };
}

async function until(condition, what, within = 20_000) {
  const deadline = Date.now() + within;
  for (;;) {
    const found = await condition();
    if (found) return found;
    if (Date.now() > deadline) throw new Error(`waited in vain: ${what}`);
    await new Promise((resolve) => setTimeout(resolve, 50));
  }
}

async function assertAccessible(page, what) {
  const { violations } = await new AxeBuilder({ page }).analyze();
  const bad = violations.filter((one) => one.impact === "serious" || one.impact === "critical");
  assert.deepEqual(bad.map((one) => `${what}: ${one.id}: ${one.nodes.map((node) => node.target).join("; ")}`), []);
}

const line = (page, name) => page.locator(".row").filter({ has: page.locator(".row-name", { hasText: new RegExp(`^${name}$`) }) });

async function atDesk(machine, options = {}) {
  const page = await openDesk(browser, machine.desk, { hash: machine.hash, token: null, ...options });
  await page.getByRole("navigation", { name: "Conversations" }).waitFor();
  return page;
}

describe("with eywa up examples/barista", () => {
  let machine;
  let page;
  before(async () => {
    machine = await up(join(root, "examples/barista"));
    page = await atDesk(machine);
  });
  after(async () => {
    await page?.context().close();
    await machine?.stop();
  });

  it("the link signed in, the address is clean, and the same link works no second time", async () => {
    assert.equal(new URL(page.url()).hash, "");
    const other = await openDesk(browser, machine.desk, { hash: machine.hash, token: null });
    await other.getByText("This link has been used").waitFor();
    await other.context().close();
  });

  it("a conversation appears as it happens, with the tools that were called", async () => {
    const answer = await machine.tell("barista", { id: "marina", name: "Marina Duarte" }, "2 large flat whites, please");
    assert.match(answer.body, /Order/);
    await line(page, "Marina Duarte").click();
    await page.getByRole("heading", { name: "Marina Duarte" }).waitFor();
    await page.locator(".said.user", { hasText: "2 large flat whites, please" }).waitFor();
    await page.locator(".said.agent", { hasText: "2 large flat white" }).waitFor();
    const tool = page.locator("summary", { hasText: "place_order" });
    await tool.click();
    await page.getByText('"quantity": 2').first().waitFor();
    await page.locator("summary", { hasText: "regulars" }).click();
    await page.getByText('"orders": 0').waitFor();
    await page.locator("summary", { hasText: "What the agent did" }).click();
    await page.locator(".steps").getByText(/ms$/).first().waitFor();
    await assertAccessible(page, "the transcript");
  });

  it("the keyboard alone takes it over: the agent is silent, and answers again once it is given back", async () => {
    await page.locator("#conversation-name").focus();
    await page.keyboard.press("t");
    await page.getByRole("textbox", { name: "Reply" }).waitFor();
    await until(() => page.evaluate(() => document.activeElement?.id === "reply"), "the focus in the reply");
    await page.locator(".handover.took_over", { hasText: "bea took over" }).waitFor();
    await machine.tell("barista", { id: "marina", name: "Marina Duarte" }, "is anybody there?", { wait: false });
    await page.locator(".said.user", { hasText: "is anybody there?" }).waitFor();
    await page.getByRole("link", { name: /Marina Duarte.*1 unanswered message/ }).waitFor();
    const agents = await page.locator(".said.agent").count();
    await page.keyboard.press("Escape");
    await page.keyboard.press("g");
    await page.locator(".handover.gave_back", { hasText: "bea gave it back" }).waitFor();
    assert.equal(await page.locator(".said.agent").count(), agents, "the agent said nothing meanwhile");
    await machine.tell("barista", { id: "marina", name: "Marina Duarte" }, "hello");
    await until(async () => (await page.locator(".said.agent").count()) > agents, "the agent's answer");
  });

  it("hostile names and texts stay text", async () => {
    const hostile = `<img src=x onerror="window.owned=1"> https://cafe.example/x`;
    await machine.tell("barista", { id: "mallory", name: "<b>Mallory</b>" }, hostile);
    await page.locator(".row", { hasText: "<b>Mallory</b>" }).click();
    await page.locator(".said.user .text", { hasText: hostile }).first().waitFor();
    assert.equal(await page.evaluate(() => window.owned), undefined);
    assert.deepEqual(page.complaints, []);
  });

  it("the red button silences the Spirit everywhere, and lifts it", async () => {
    await page.getByRole("button", { name: "Spirits", exact: true }).click();
    await page.getByRole("button", { name: "Silence barista" }).click();
    await page.getByRole("alertdialog").getByRole("button", { name: "Silence barista" }).click();
    await page.getByText("barista is silent in every conversation").waitFor();
    await machine.tell("barista", { id: "pedro", name: "Pedro Alves" }, "hello?", { wait: false });
    await page.getByRole("dialog").getByRole("button", { name: "Close" }).click();
    await line(page, "Pedro Alves").click();
    await page.locator(".said.user", { hasText: "hello?" }).waitFor();
    assert.equal(await page.locator(".said.agent").count(), 0);
    await page.getByRole("button", { name: "Spirits", exact: true }).click();
    await page.getByRole("button", { name: "Let barista answer again" }).click();
    await page.getByText("barista is silent in every conversation").waitFor({ state: "detached" });
    await page.getByRole("dialog").getByRole("button", { name: "Close" }).click();
    const answer = await machine.tell("barista", { id: "pedro", name: "Pedro Alves" }, "hello");
    assert.equal(answer.status, 200);
    await page.locator(".said.agent").first().waitFor();
  });

  it("a phone shows it too", async () => {
    await page.setViewportSize({ width: 390, height: 844 });
    assert.ok(await page.evaluate(() => document.documentElement.scrollWidth <= window.innerWidth));
    await assertAccessible(page, "the phone");
  });
});

describe("with a Spirit whose refunds need a yes", () => {
  let machine;
  let page;
  let folder;
  let shop;
  const refunds = [];
  const replies = [];

  before(async () => {
    shop = createServer(async (request, response) => {
      let text = "";
      for await (const part of request) text += part;
      (request.url === "/refunds" ? refunds : replies).push(JSON.parse(text || "{}"));
      response.writeHead(200, { "Content-Type": "application/json" });
      response.end('{"refunded":true}');
    });
    await new Promise((resolve) => shop.listen(0, "127.0.0.1", resolve));
    const url = `http://127.0.0.1:${shop.address().port}`;
    folder = await mkdtemp(join(tmpdir(), "eywa-cashier-"));
    await mkdir(folder, { recursive: true });
    await writeFile(
      join(folder, "cashier.yaml"),
      `apiVersion: eywa.dev/v1alpha1
kind: Spirit
metadata: {name: cashier}
spec:
  persona: {text: You keep the till.}
  oracle:
    provider: scripted
    script:
      rules:
      - when: {text: "^I want a refund"}
        reply: {toolCalls: [{name: refund, arguments: {order: 212, reason: spilled}}]}
      default: {text: "Is there anything else?"}
  voices: [{name: web, http: {secretRef: {name: web, key: signing-key}, replyUrl: "${url}/replies"}}]
  actions:
  - name: refund
    description: Gives money back.
    parameters: {type: object, properties: {order: {type: integer}, reason: {type: string}}}
    http: {method: POST, url: "${url}/refunds"}
  rites: [{actions: ["refund"], timeout: 15m}]
---
apiVersion: v1
kind: Secret
metadata: {name: web}
stringData: {signing-key: ${KEY}}
`,
    );
    machine = await up(folder);
    page = await atDesk(machine);
  });
  after(async () => {
    await page?.context().close();
    await machine?.stop();
    shop?.close();
    if (folder) await rm(folder, { recursive: true, force: true });
  });

  it("a Rite appears with its arguments, and its approval makes the call, once", async () => {
    await machine.tell("cashier", { id: "ana", name: "Ana Ribeiro" }, "I want a refund", { wait: false });
    await line(page, "Ana Ribeiro").click();
    const rite = page.locator(".rite.pending");
    await rite.getByText("spilled").waitFor();
    await page.locator("summary", { hasText: "waits for a yes" }).waitFor();
    assert.deepEqual(refunds, []);
    await assertAccessible(page, "a Rite that waits");
    await rite.getByRole("button", { name: "Approve" }).click();
    await until(() => refunds.length > 0, "the refund");
    await page.getByText(/Approved by bea/).first().waitFor();
    await page.locator(".said.agent", { hasText: "Is there anything else?" }).waitFor();
    await page.getByText("Approved by bea, and done.").waitFor();
    await page.locator("summary", { hasText: /^refunddone$/ }).waitFor();
    assert.deepEqual(refunds, [{ order: 212, reason: "spilled" }]);
  });

  it("a denial with its comment is told apart, and makes no call", async () => {
    await machine.tell("cashier", { id: "bruno", name: "Bruno Costa" }, "I want a refund too", { wait: false });
    await page.getByRole("link", { name: /Rites/ }).click();
    await page.locator(".rite.pending").getByRole("button", { name: "Deny…" }).click();
    await page.getByLabel(/Comment/).fill("refunded on Monday");
    await page.getByRole("button", { name: "Deny", exact: true }).click();
    await page.getByText("Denied by bea.").waitFor();
    await page.getByText("refunded on Monday").first().waitFor();
    assert.equal(refunds.length, 1);
  });

  it("what a human writes goes out through the channel, and a lost connection loses none of it", async () => {
    await line(page, "Ana Ribeiro").click();
    await page.getByRole("button", { name: "Take over" }).click();
    await page.getByRole("textbox", { name: "Reply" }).fill("Hello Ana, here is Bea.");
    await page.keyboard.press("Enter");
    await page.locator(".said.human:not(.unsent)", { hasText: "Hello Ana, here is Bea." }).waitFor();
    await until(() => replies.some((reply) => JSON.stringify(reply).includes("Hello Ana, here is Bea.")), "the words at the channel");

    await page.context().setOffline(true);
    await page.getByText("Connection lost.").waitFor({ timeout: 60_000 });
    await page.getByRole("textbox", { name: "Reply" }).fill("Are you still there?");
    await page.keyboard.press("Enter");
    await page.locator(".unsent", { hasText: "Are you still there?" }).waitFor();
    await machine.tell("cashier", { id: "ana", name: "Ana Ribeiro" }, "yes, I am here", { wait: false });
    await page.context().setOffline(false);
    await page.locator(".said.user", { hasText: "yes, I am here" }).waitFor({ timeout: 60_000 });
    const again = page.getByRole("button", { name: "Send again" });
    await until(async () => {
      if (await again.isVisible()) await again.click();
      return (await page.locator(".said.human:not(.unsent)", { hasText: "Are you still there?" }).count()) === 1;
    }, "the words, once");
    await page.getByText("Connection lost.").waitFor({ state: "detached" });
    await until(() => replies.filter((reply) => JSON.stringify(reply).includes("Are you still there?")).length === 1, "the words at the channel, once");
    await page.getByRole("button", { name: "Give back" }).click();
    await page.getByRole("button", { name: "Take over" }).waitFor();
    assert.deepEqual(page.complaints, []);
  });
});
