// How the page behaves, in a real browser, against a small server with the desk's API.
import assert from "node:assert/strict";
import { after, afterEach, before, describe, it } from "node:test";
import { AxeBuilder } from "@axe-core/playwright";
import { launch, openDesk } from "./browser.mjs";
import { furnish, startStandIn } from "./stand-in.mjs";

let browser;
let desk;
let pages = [];

before(async () => {
  browser = await launch();
});
after(() => browser?.close());
afterEach(async () => {
  for (const page of pages) {
    assert.deepEqual(page.complaints, [], "the page complained in its console");
    await page.context().close();
  }
  pages = [];
  await desk?.stop();
  desk = undefined;
});

async function start(options) {
  desk = await startStandIn(options);
  return desk;
}

async function open(options) {
  const page = await openDesk(browser, desk.url, options);
  pages.push(page);
  return page;
}

const hashOf = (key) => {
  const [spirit, session] = key.split(" ");
  return `#/c/${spirit}/${encodeURIComponent(session)}`;
};
const keyOf = (of) => `${of.spirit} ${of.session}`;
const phone = { viewport: { width: 390, height: 844 }, hasTouch: true, isMobile: true };

/** Waits until `condition` gives something true. */
async function until(condition, what) {
  const deadline = Date.now() + 10_000;
  for (;;) {
    const found = await condition();
    if (found) return found;
    if (Date.now() > deadline) throw new Error(`waited in vain: ${what}`);
    await new Promise((resolve) => setTimeout(resolve, 25));
  }
}

async function assertAccessible(page, what) {
  const { violations } = await new AxeBuilder({ page }).analyze();
  const bad = violations.filter((one) => one.impact === "serious" || one.impact === "critical");
  assert.deepEqual(
    bad.map((one) => `${what}: ${one.id}: ${one.nodes.map((node) => node.target + " " + node.failureSummary).join("; ")}`),
    [],
  );
}

/** The line of a person in the list. */
const line = (page, name) => page.locator(".row").filter({ has: page.locator(".row-name", { hasText: new RegExp(`^${name}$`) }) });
const focused = (page) => page.evaluate(() => document.activeElement?.id || document.activeElement?.textContent || "");

describe("login", () => {
  it("a one-time link signs in, and leaves neither the address nor the history", async () => {
    await start();
    desk.codes.set("once", "good-token");
    const page = await open({ hash: "#login=once", token: null });
    await page.getByRole("navigation", { name: "Conversations" }).waitFor();
    assert.equal(new URL(page.url()).hash, "");
    assert.equal(await page.evaluate(() => history.length), 2);
    assert.equal(await page.evaluate(() => sessionStorage.getItem("eywa-token")), "good-token");
    assert.equal(await page.evaluate(() => localStorage.length), 0);
  });

  it("a spent link says so, and a token can be pasted instead", async () => {
    await start();
    const page = await open({ hash: "#login=spent", token: null });
    await page.getByText("This link has been used").waitFor();
    await assertAccessible(page, "login");
    await page.getByLabel("Kubernetes token").fill("bad-token");
    await page.keyboard.press("Enter");
    await page.getByText("This token is not accepted").waitFor();
    await page.getByLabel("Kubernetes token").fill("good-token");
    await page.keyboard.press("Enter");
    await page.getByRole("navigation", { name: "Conversations" }).waitFor();
  });

  it("a token that ends in the middle asks for a login, and loses nothing of what was written", async () => {
    await start();
    const key = furnish(desk);
    const page = await open({ hash: hashOf(key) });
    await page.getByRole("textbox", { name: "Reply" }).fill("half a sentence");
    // All that the page asks for by itself has been answered: the click is what finds out.
    await line(page, "Ana Ribeiro").waitFor();
    await until(() => desk.streams.size === 1 && desk.requests.some((one) => one.path === "/api/rites"), "the stream and the Rites");
    desk.tokens.clear();
    await line(page, "Ana Ribeiro").click();
    await page.getByText("Your session has ended").waitFor();
    desk.tokens.add("another-token");
    await page.getByLabel("Kubernetes token").fill("another-token");
    await page.keyboard.press("Enter");
    await line(page, "Marina Duarte").click();
    await page.getByRole("heading", { name: "Marina Duarte" }).waitFor();
    assert.equal(await page.getByRole("textbox", { name: "Reply" }).inputValue(), "half a sentence");
    await page.getByRole("button", { name: "Preferences" }).click();
    await page.getByRole("button", { name: "Sign out" }).click();
    await page.getByRole("heading", { name: "Sign in to the desk" }).waitFor();
    assert.equal(await page.evaluate(() => sessionStorage.length), 0);
  });

  it("somebody who may not look is told which permission is missing", async () => {
    await start();
    desk.overrides.set("/api/me", () => [403, { title: "Forbidden", status: 403, permission: "get vigils.eywa.dev in namespace cafe" }]);
    const page = await open({});
    await page.getByText("get vigils.eywa.dev in namespace cafe").waitFor();
  });

  it("somebody whose token is good but who may not look is told the same", async () => {
    await start({ may: { read: false, takeOver: false, decide: false } });
    desk.overrides.set("/api/conversations", () => [403, { title: "Forbidden", status: 403, permission: "get vigils.eywa.dev in namespace cafe" }]);
    const page = await open({});
    await page.getByText("You are signed in, but may not see conversations here.").waitFor();
    await page.getByText("get vigils.eywa.dev in namespace cafe").waitFor();
    await assertAccessible(page, "the refusal");
  });
});

describe("the list", () => {
  it("stays quick with ten thousand conversations, and reaches the last of them", async () => {
    await start({ conversations: 10_000 });
    const page = await open({});
    await line(page, "Ana Ribeiro").waitFor();
    // Down to the end, page by page.
    await until(async () => {
      await page.evaluate(() => {
        const lines = document.querySelector(".lines");
        lines.scrollTop = lines.scrollHeight;
      });
      const size = await page.locator(".slot").last().getAttribute("aria-setsize");
      return size === "10000";
    }, "the last page").catch(async (error) => {
      throw new Error(`${error.message}: ${await page.locator(".slot").last().getAttribute("aria-posinset")}`);
    });
    await page.evaluate(() => {
      const lines = document.querySelector(".lines");
      lines.scrollTop = lines.scrollHeight;
    });
    await until(async () => (await page.locator(".slot").last().getAttribute("aria-posinset")) === "10000", "the last line");
    assert.ok((await page.locator(".slot").count()) < 60, "only what is in sight is in the page");
    // With all of them there, a burst of news is taken in at once, and the list answers the keyboard.
    const took = await page.evaluate(async () => {
      const begun = performance.now();
      const lines = document.querySelector(".lines");
      for (let step = 0; step < 40; step += 1) {
        lines.scrollTop = (lines.scrollHeight / 40) * step;
        await new Promise((resolve) => requestAnimationFrame(resolve));
      }
      return performance.now() - begun;
    });
    assert.ok(took < 4_000, `forty jumps through the list took ${took} ms`);
    const last = desk.sorted().at(-1);
    for (const one of desk.sorted().slice(200, 400)) desk.change(keyOf(one), { lastText: "again", lastAt: new Date().toISOString() });
    desk.change(keyOf(last), { phase: "Requested", requestedAt: new Date().toISOString(), lastAt: new Date(Date.now() + 1_000).toISOString() });
    await page.keyboard.press("/");
    await page.keyboard.press("ArrowDown");
    await until(async () => (await page.locator(".slot").first().textContent()).includes(last.user.name), "the one who now waits at the top");
  });

  it("puts who waits for a human first, then those in human hands, and moves them as that changes", async () => {
    await start();
    const page = await open({});
    const names = () => page.locator(".slot .row-name").allTextContents();
    await until(async () => (await names())[0] === "Ana Ribeiro", "the first who waits");
    const other = desk.sorted()[10];
    desk.change(keyOf(other), { phase: "Requested", requestedAt: new Date().toISOString(), unanswered: 4, lastAt: new Date(Date.now() + 1_000).toISOString() });
    await until(async () => (await names())[0] === other.user.name, "the new one on top");
    await page.getByRole("link", { name: new RegExp(`${other.user.name}.*4 unanswered messages`) }).waitFor();
    await until(async () => (await page.title()).startsWith("(4)"), "the count in the title");
  });

  it("searches, filters by state and Spirit, and says when nothing matches", async () => {
    await start();
    const page = await open({});
    const count = async () => Number(await page.locator(".slot").first().getAttribute("aria-setsize", { timeout: 500 }).catch(() => 0));
    await until(async () => (await count()) === 40, "all of them");
    await page.getByLabel("State").selectOption("Requested");
    await until(async () => (await count()) === 3, "those who wait");
    await page.getByLabel("State").selectOption("mine");
    await until(async () => (await count()) === 1, "those of the one at the desk");
    await page.getByLabel("State").selectOption("");
    await page.getByLabel("Spirit").selectOption("billing");
    await until(async () => (await count()) === 6, "those of one Spirit");
    await page.getByLabel("Search").fill("nobody of this name");
    await page.getByText("Nothing matches").waitFor();
    await page.getByRole("button", { name: "Clear filters" }).click();
    await until(async () => (await count()) === 40, "all of them again");
    assert.equal(await page.getByLabel("Search").inputValue(), "");
  });

  it("keeps the keyboard's place when lines move", async () => {
    await start();
    const page = await open({});
    await line(page, "Ana Ribeiro").waitFor();
    await page.keyboard.press("j");
    await page.keyboard.press("j");
    await page.keyboard.press("j");
    const at = desk.sorted()[2];
    await until(async () => (await focused(page)).includes(desk.sorted()[2].user.name) || (await focused(page)).includes(desk.sorted()[3].user.name), "the focus in the list");
    const name = await page.evaluate(() => document.activeElement.querySelector(".row-name").textContent);
    desk.change(keyOf(at), { lastAt: new Date(Date.now() + 1_000).toISOString() });
    desk.change(keyOf(desk.sorted()[9]), { phase: "Requested", lastAt: new Date(Date.now() + 2_000).toISOString() });
    await until(async () => (await page.locator(".slot").nth(1).textContent()).includes(at.user.name), "the lines in their new order");
    assert.equal(await page.evaluate(() => document.activeElement.querySelector(".row-name")?.textContent), name);
    // News of the open conversation move nothing either.
    await page.keyboard.press("Enter");
    await page.locator("#conversation-name").waitFor();
    await page.keyboard.press("j");
    await until(() => page.evaluate(() => document.activeElement.classList.contains("row")), "the focus in the list");
    const next = await page.evaluate(() => document.activeElement.querySelector(".row-name").textContent);
    desk.say(keyOf(at), { kind: "user", text: "something new" });
    await page.locator(".said", { hasText: "something new" }).waitFor();
    assert.equal(await page.evaluate(() => document.activeElement.querySelector(".row-name")?.textContent), next);
    await page.keyboard.press("End");
    await until(async () => (await page.evaluate(() => document.activeElement.parentElement.getAttribute("aria-posinset"))) === "40", "the end of the list");
  });
});

describe("a takeover", () => {
  it("is done by the keyboard alone: found, taken over, answered, given back", async () => {
    await start();
    const page = await open({});
    await line(page, "Bruno Costa").waitFor();
    await page.keyboard.press("/");
    await page.keyboard.type("Bruno Costa");
    await until(async () => (await page.locator(".lines:not(.stale) .slot").first().getAttribute("aria-setsize", { timeout: 500 }).catch(() => "")) === "3", "the search");
    await page.keyboard.press("ArrowDown");
    await page.keyboard.press("Enter");
    await page.getByRole("heading", { name: "Bruno Costa" }).waitFor();
    await until(async () => (await focused(page)) === "conversation-name", "the focus on the conversation's name");
    await page.getByText("asks for a refund").waitFor();
    await page.keyboard.press("t");
    await until(async () => (await focused(page)) === "reply", "the focus in the reply");
    await page.getByText("bea@cafe.example took over").first().waitFor();
    await page.keyboard.type("Hello, here is Bea.");
    await page.keyboard.press("Shift+Enter");
    await page.keyboard.type("How can I help?");
    await page.keyboard.press("Enter");
    await page.locator(".said.human:not(.unsent)").waitFor();
    assert.equal(await page.locator(".said.human .text").textContent(), "Hello, here is Bea.\nHow can I help?");
    await page.keyboard.press("Escape");
    await page.keyboard.press("g");
    await page.getByText("bea@cafe.example gave it back to the agent").first().waitFor();
    await page.getByRole("button", { name: "Take over" }).waitFor();
    await page.keyboard.press("Escape");
    await until(async () => page.evaluate(() => document.activeElement.classList.contains("row")), "the focus in the list");
    const deeds = desk.requests.filter((one) => one.method === "POST" && !one.path.endsWith("/typing")).map((one) => one.path.split("/").at(-1));
    assert.deepEqual(deeds, ["takeover", "reply", "release"]);
  });

  it("that somebody else has is refused with their name, and shown", async () => {
    await start();
    const one = desk.sorted()[0];
    const page = await open({ hash: hashOf(keyOf(one)) });
    await page.getByRole("button", { name: "Take over" }).waitFor();
    // Taken without an event having come yet.
    desk.conversations.set(keyOf(one), { ...one, phase: "Active", by: "carlos@cafe.example", since: new Date().toISOString() });
    await page.getByRole("button", { name: "Take over" }).click();
    await page.getByText("carlos@cafe.example has this conversation.").first().waitFor();
    await page.getByText(/carlos@cafe.example has this conversation since/).waitFor();
    assert.equal(await page.getByRole("textbox", { name: "Reply" }).count(), 0);
  });

  it("of another is given back only after a question", async () => {
    await start();
    const one = desk.sorted().find((other) => other.by === "carlos@cafe.example");
    const page = await open({ hash: hashOf(keyOf(one)) });
    await page.getByRole("button", { name: "Give back" }).click();
    const dialog = page.getByRole("alertdialog");
    await dialog.waitFor();
    await assertAccessible(page, "the question");
    assert.equal(await focused(page), "Cancel");
    await page.keyboard.press("Escape");
    await dialog.waitFor({ state: "detached" });
    assert.equal(desk.requests.filter((request) => request.path.endsWith("/release")).length, 0);
    await page.getByRole("button", { name: "Give back" }).click();
    await page.getByRole("button", { name: "Give back anyway" }).click();
    await page.getByRole("button", { name: "Take over" }).waitFor();
    assert.deepEqual(desk.requests.find((request) => request.path.endsWith("/release")).body, { force: true });
  });

  it("shows those who may only look why the buttons are off", async () => {
    await start({ may: { read: true, takeOver: false, decide: false } });
    const key = furnish(desk);
    const page = await open({ hash: hashOf(keyOf(desk.sorted()[0])) });
    const button = page.getByRole("button", { name: "Take over" });
    await button.waitFor();
    assert.equal(await button.getAttribute("aria-disabled"), "true");
    await page.getByText("“update vigils.eywa.dev” in the namespace cafe").waitFor();
    await button.click({ force: true });
    await page.keyboard.press("t");
    await page.goto(`${desk.url}${hashOf(key)}`);
    await page.getByRole("button", { name: "Approve" }).click({ force: true });
    await page.getByText("“update rites.eywa.dev” in the namespace cafe").waitFor();
    await assertAccessible(page, "the viewer's page");
    assert.equal(desk.requests.filter((request) => request.method === "POST").length, 0);
  });
});

describe("the transcript", () => {
  it("shows hostile text as text, and makes links of web addresses alone", async () => {
    await start();
    const key = furnish(desk);
    const page = await open({ hash: hashOf(key) });
    await page.getByRole("heading", { name: "Marina Duarte" }).waitFor();
    const hostile = `<img src=x onerror="window.owned=1"><script>window.owned=1</script> javascript:alert(1) https://cafe.example/a?b=1. https://bank.example@evil.example/ \u202Etxt.exe`;
    desk.say(key, { kind: "user", name: "<b>Marina</b>", text: hostile });
    desk.say(key, { kind: "agent", spirit: "barista", text: "", calls: [{ id: "h1", name: "<i>tool</i>", arguments: { x: "<img src=x onerror=window.owned=1>" } }] });
    desk.say(key, { kind: "tools", results: [{ call: "h1", name: "tool", content: "<svg onload=window.owned=1>", failed: true }] });
    await until(async () => (await page.locator(".said.user .text").last().textContent()) === hostile, "the text as it is");
    await page.locator("summary", { hasText: "<i>tool</i>" }).click();
    await page.getByText("<svg onload=window.owned=1>").waitFor();
    const links = await page.locator(".said.user").last().locator("a").evaluateAll((all) => all.map((a) => [a.href, a.rel, a.target]));
    assert.deepEqual(links, [["https://cafe.example/a?b=1", "noopener noreferrer nofollow", "_blank"]]);
    assert.equal(await page.evaluate(() => window.owned), undefined);
    assert.equal(await page.locator(".said img[src=x], .said script").count(), 0);
  });

  it("shows who said what, tools and findings folded away, pictures and documents", async () => {
    await start();
    const key = furnish(desk);
    const page = await open({ hash: hashOf(key) });
    await page.getByRole("heading", { name: "Marina Duarte" }).waitFor();
    await page.getByText("Yesterday").first().waitFor();
    await page.getByText("bea@cafe.example took over").first().waitFor();
    const tool = page.locator("summary", { hasText: "place_order" });
    assert.match(await tool.textContent(), /done/);
    assert.ok(!(await page.getByText('"ready_in_minutes": 6').isVisible()));
    await tool.click();
    await page.getByText('"ready_in_minutes": 6').waitFor();
    await page.locator("summary", { hasText: "What the agent did" }).click();
    await page.getByText("812.0 ms").waitFor();
    await page.locator("summary", { hasText: "A Scout looked something up" }).click();
    await page.getByText('"usual": "flat white"').waitFor();
    await page.getByText("One of them arrived like this").scrollIntoViewIfNeeded();
    const image = page.getByRole("img", { name: "cup.png" });
    await image.waitFor();
    await until(() => image.evaluate((element) => element.complete && element.naturalWidth === 420), "the picture");
    assert.match(await image.getAttribute("src"), /^blob:/);
    await page.getByRole("button", { name: "Show" }).click();
    const download = page.waitForEvent("download");
    await page.getByRole("link", { name: "Download" }).last().click();
    assert.equal((await download).suggestedFilename(), "receipt-212.pdf");
  });

  it("stays at the end while it is there, and says what is new when it is not", async () => {
    await start();
    const key = furnish(desk);
    for (let index = 0; index < 250; index += 1) desk.say(key, { kind: index % 2 ? "agent" : "user", spirit: "barista", text: `line ${index}` }, { quietly: true });
    const page = await open({ hash: hashOf(key) });
    await page.locator(".said").getByText("line 249", { exact: true }).waitFor();
    const box = page.getByRole("region", { name: "Messages" });
    const toEnd = () => box.evaluate((element) => element.scrollHeight - element.scrollTop - element.clientHeight);
    await until(async () => (await toEnd()) < 2, "the end");
    desk.say(key, { kind: "user", text: "one more" });
    await page.locator(".said", { hasText: "one more" }).waitFor();
    await until(async () => (await toEnd()) < 2, "still the end");
    await box.evaluate((element) => (element.scrollTop = element.scrollHeight / 2));
    await page.getByRole("button", { name: "To the newest message" }).waitFor();
    const place = await box.evaluate((element) => element.scrollTop);
    desk.say(key, { kind: "user", text: "and another" });
    desk.say(key, { kind: "user", text: "and a third" });
    await page.getByRole("button", { name: "2 new messages" }).waitFor();
    assert.equal(await box.evaluate((element) => element.scrollTop), place);
    // Older ones come in above, and what is read stays where it is.
    await box.evaluate((element) => (element.scrollTop = 0));
    await page.locator(".said").getByText("line 100", { exact: true }).waitFor();
    await until(async () => (await box.evaluate((element) => element.scrollTop)) > 100, "the place kept");
    await page.getByRole("button", { name: "2 new messages" }).click();
    await until(async () => (await toEnd()) < 2, "the end again");
    // The screen reader hears of what comes.
    desk.say(key, { kind: "user", text: "spoken aloud" });
    await until(async () => (await page.locator("#polite").textContent()).includes("Marina Duarte: spoken aloud"), "the announcement");
  });

  it("shows who is typing, and for how long", async () => {
    await start();
    const key = furnish(desk);
    const page = await open({ hash: hashOf(key) });
    await page.getByRole("heading", { name: "Marina Duarte" }).waitFor();
    const of = { spirit: "barista", session: key.split(" ")[1] };
    desk.send("typing", of);
    await page.getByText("Marina Duarte is typing…").first().waitFor();
    desk.send("typing", { ...of, by: "carlos@cafe.example" });
    await page.getByText("carlos@cafe.example is typing…").first().waitFor();
    desk.send("typing", { ...of, by: desk.me.user });
    desk.say(key, { kind: "user", text: "there" });
    await page.getByText("carlos@cafe.example is typing…").first().waitFor({ state: "detached" });
    desk.change(key, { answering: true });
    await page.getByText("barista is answering…").waitFor();
  });
});

describe("a reply", () => {
  it("is kept as a draft of its conversation", async () => {
    await start();
    const key = furnish(desk);
    const page = await open({ hash: hashOf(key) });
    await page.getByRole("textbox", { name: "Reply" }).fill("not yet sent");
    await line(page, "David Okafor").click();
    await page.getByRole("heading", { name: "David Okafor" }).waitFor();
    assert.equal(await page.getByRole("textbox", { name: "Reply" }).inputValue(), "");
    await line(page, "Marina Duarte").click();
    await page.getByRole("heading", { name: "Marina Duarte" }).waitFor();
    assert.equal(await page.getByRole("textbox", { name: "Reply" }).inputValue(), "not yet sent");
    await page.reload();
    assert.equal(await page.getByRole("textbox", { name: "Reply" }).inputValue(), "not yet sent");
  });

  it("whose answer was lost is sent again under the same id, and stands once", async () => {
    await start();
    const key = furnish(desk);
    let failures = 2;
    const ids = [];
    desk.overrides.set("/reply", ({ body }) => {
      ids.push(body.id);
      failures -= 1;
      return failures >= 0 ? [503, { title: "Service Unavailable", status: 503 }] : null;
    });
    const page = await open({ hash: hashOf(key) });
    await page.getByRole("textbox", { name: "Reply" }).fill("once only");
    await page.keyboard.press("Enter");
    await page.locator(".unsent", { hasText: "once only" }).waitFor();
    await page.locator(".said.human:not(.unsent)", { hasText: "once only" }).waitFor();
    assert.equal(await page.locator(".said", { hasText: "once only" }).count(), 1);
    assert.equal(ids.length, 3);
    assert.equal(new Set(ids).size, 1);
  });

  it("that the channel refuses says why, and its words can be edited", async () => {
    await start();
    const key = furnish(desk);
    desk.overrides.set("/reply", () => [422, { title: "Unprocessable", status: 422, detail: "More than 24 hours have passed: only a template may be sent." }]);
    const page = await open({ hash: hashOf(key) });
    await page.getByRole("textbox", { name: "Reply" }).fill("too late");
    await page.keyboard.press("Enter");
    await page.getByText("More than 24 hours have passed").waitFor();
    assert.equal(await page.getByRole("button", { name: "Send again" }).count(), 0);
    await assertAccessible(page, "a refused reply");
    await page.getByRole("button", { name: "Edit" }).click();
    assert.equal(await page.getByRole("textbox", { name: "Reply" }).inputValue(), "too late");
    assert.equal(await page.locator(".unsent").count(), 0);
  });
});

describe("Rites", () => {
  it("are approved and denied with a comment, in the conversation and in their own list", async () => {
    await start();
    const key = furnish(desk);
    desk.addRite({ spirit: "barista", id: "second", session: key.split(" ")[1], action: "cancel_order", arguments: { order: 7 } }, { quietly: true });
    const page = await open({ hash: hashOf(key) });
    const refund = page.locator("[data-rite='refund-7f3']");
    await refund.getByText("arrived spilled").waitFor();
    await refund.getByRole("timer").waitFor();
    await refund.getByRole("button", { name: "Approve" }).click();
    await page.getByText("Approved by bea@cafe.example").waitFor();
    await page.getByRole("link", { name: /Rites/ }).click();
    const second = page.locator("[data-rite='second']");
    await second.getByRole("button", { name: "Deny…" }).click();
    await page.getByRole("dialog").waitFor();
    await assertAccessible(page, "the denial");
    await page.keyboard.type("made already");
    await page.getByRole("button", { name: "Deny", exact: true }).click();
    await second.getByText("Denied by bea@cafe.example").waitFor();
    await second.getByText("made already").waitFor();
    await page.getByText("Nothing waits for a decision").waitFor();
  });

  it("that ended are told apart: expired, denied, void, done, failed", async () => {
    await start();
    const past = new Date(Date.now() - 60_000).toISOString();
    const of = { spirit: "barista", session: "web/1", action: "refund", expiresAt: past };
    desk.addRite({ ...of, id: "e", phase: "Expired" });
    desk.addRite({ ...of, id: "d", phase: "Denied", by: "carlos", decidedAt: past });
    desk.addRite({ ...of, id: "v", phase: "Void" });
    desk.addRite({ ...of, id: "s", phase: "Consumed", outcome: "Succeeded", by: "carlos", decidedAt: past });
    desk.addRite({ ...of, id: "f", phase: "Consumed", outcome: "Failed", by: "carlos", decidedAt: past });
    const page = await open({ hash: "#/rites" });
    const text = async (id) => page.locator(`[data-rite='${id}']`).textContent();
    await page.locator("[data-rite='f']").waitFor();
    assert.match(await text("e"), /Expired.*Nobody decided in time/s);
    assert.match(await text("d"), /Denied by carlos/);
    assert.match(await text("v"), /Void.*has changed/s);
    assert.match(await text("s"), /Approved by carlos, and done/);
    assert.match(await text("f"), /Approved by carlos, but it failed/);
    await assertAccessible(page, "the Rites");
  });

  it("do not go back when the answer to a decision comes after the news of its end", async () => {
    await start();
    const key = furnish(desk);
    const rite = desk.rites.get("barista refund-7f3");
    desk.overrides.set("/decision", () => {
      desk.addRite({ ...rite, phase: "Consumed", outcome: "Succeeded", by: desk.me.user, decidedAt: new Date().toISOString() });
      return [200, { ...rite, phase: "Approved", by: desk.me.user, decidedAt: new Date().toISOString() }];
    });
    const page = await open({ hash: hashOf(key) });
    const answered = page.waitForResponse((response) => response.url().endsWith("/decision"));
    await page.getByRole("button", { name: "Approve" }).click();
    await answered;
    await page.getByText("Approved by bea@cafe.example, and done.").waitFor();
    await page.getByRole("timer").waitFor({ state: "detached" });
    await page.getByText("Approved by bea@cafe.example, and done.").waitFor();
  });

  it("that are kept no more are told from the conversation", async () => {
    await start();
    const key = furnish(desk);
    desk.say(key, { kind: "agent", spirit: "barista", text: "", calls: [{ id: "old", name: "cancel_order", arguments: { order: 3 } }] }, { quietly: true });
    desk.say(key, { kind: "rite", rite: "gone", standing: "Denied", by: "carlos", comment: "made already", result: { call: "old", name: "cancel_order", content: "denied", failed: true } }, { quietly: true });
    const page = await open({ hash: hashOf(key) });
    await page.getByText("Denied by carlos.").waitFor();
    await page.getByText("made already").waitFor();
  });

  it("decided by another meanwhile say by whom and how", async () => {
    await start();
    const key = furnish(desk);
    desk.overrides.set("/decision", () => [409, { title: "Conflict", status: 409, phase: "Denied", by: "carlos@cafe.example" }]);
    const page = await open({ hash: hashOf(key) });
    await page.getByRole("button", { name: "Approve" }).click();
    await page.getByText("Denied by carlos@cafe.example.").waitFor();
  });
});

describe("the whole Spirit", () => {
  it("is silenced behind a question, shown to every desk, and lifted", async () => {
    await start();
    const page = await open({});
    const other = await open({});
    await page.getByRole("button", { name: "Spirits" }).click();
    await page.getByRole("button", { name: "Silence barista" }).click();
    await page.getByRole("alertdialog", { name: "Silence barista everywhere?" }).waitFor();
    await assertAccessible(page, "the red button's question");
    await page.getByLabel(/Reason/).fill("wrong prices");
    await page.getByRole("alertdialog").getByRole("button", { name: "Silence barista" }).click();
    await other.getByText("barista is silent in every conversation: bea@cafe.example took it over as a whole.").waitFor();
    await assertAccessible(other, "the notice");
    await other.reload();
    await other.getByText("barista is silent in every conversation").waitFor();
    await page.getByRole("button", { name: "Let barista answer again" }).click();
    await other.getByText("barista is silent in every conversation").waitFor({ state: "detached" });
    assert.deepEqual(desk.requests.find((request) => request.path === "/api/spirits/barista/takeover").body, { reason: "wrong prices" });
  });
});

describe("the connection", () => {
  it("that is lost is shown, and what was missed is there when it is back", async () => {
    await start();
    const key = furnish(desk);
    const page = await open({ hash: hashOf(key) });
    await page.getByRole("heading", { name: "Marina Duarte" }).waitFor();
    await until(() => desk.streams.size === 1, "the stream");
    await desk.vanish();
    await page.getByText("Connection lost.").waitFor();
    await assertAccessible(page, "the lost connection");
    desk.say(key, { kind: "user", text: "said while the line was down" }, { quietly: true });
    const quiet = desk.sorted()[12];
    desk.conversations.set(keyOf(quiet), { ...quiet, phase: "Requested", lastAt: new Date().toISOString() });
    await desk.comeBack();
    await page.getByRole("button", { name: "Try now" }).click({ timeout: 2_000 }).catch(() => undefined);
    await page.getByText("said while the line was down").first().waitFor({ timeout: 30_000 });
    await page.getByText("Connection lost.").waitFor({ state: "detached" });
    await until(async () => (await page.locator(".slot").first().textContent()).includes(quiet.user.name), "the list as it is now");
    await until(async () => (await page.locator("#polite").textContent()).includes("Connected again"), "the announcement");
  });

  it("that comes back sends what could not be sent, once", async () => {
    await start();
    const key = furnish(desk);
    const page = await open({ hash: hashOf(key) });
    await page.getByRole("heading", { name: "Marina Duarte" }).waitFor();
    await until(() => desk.streams.size === 1, "the stream");
    await desk.vanish();
    await page.getByText("Connection lost.").waitFor();
    await page.getByRole("textbox", { name: "Reply" }).fill("written while the line was down");
    await page.keyboard.press("Enter");
    await page.locator(".unsent.failed").waitFor({ timeout: 30_000 });
    await desk.comeBack();
    await page.locator(".said.human:not(.unsent)", { hasText: "written while the line was down" }).waitFor({ timeout: 30_000 });
    assert.equal(desk.echoes.get(key).filter((echo) => echo.text === "written while the line was down").length, 1);
    assert.equal(await page.locator(".unsent").count(), 0);
  });

  it("is asked for again with the last event's id, and a resync fetches anew", async () => {
    await start();
    const key = furnish(desk);
    const page = await open({ hash: hashOf(key) });
    await page.getByRole("heading", { name: "Marina Duarte" }).waitFor();
    await until(() => desk.streams.size === 1, "the stream");
    desk.say(key, { kind: "user", text: "heard" });
    await page.getByText("heard", { exact: true }).first().waitFor();
    const again = page.waitForRequest((request) => request.url().endsWith("/api/events") && request.headers()["last-event-id"] !== undefined);
    for (const stream of desk.streams) stream.end();
    assert.match((await again).headers()["last-event-id"], /^\d+$/);
    await until(() => desk.streams.size === 1, "the new stream");
    desk.say(key, { kind: "user", text: "told by nobody" }, { quietly: true });
    desk.send("resync", {});
    await page.getByText("told by nobody").first().waitFor();
  });
});

describe("on a phone", () => {
  it("the list and the conversation are two pages, and nothing is wider than the screen", async () => {
    await start();
    const key = furnish(desk);
    const page = await open(phone);
    const fits = () => page.evaluate(() => document.documentElement.scrollWidth <= window.innerWidth);
    await line(page, "Marina Duarte").waitFor();
    assert.ok(await fits());
    await assertAccessible(page, "the phone's list");
    await line(page, "Marina Duarte").tap();
    await page.getByRole("heading", { name: "Marina Duarte" }).waitFor();
    assert.ok(!(await page.getByRole("navigation").isVisible()));
    assert.ok(await fits());
    await assertAccessible(page, "the phone's conversation");
    await page.getByRole("button", { name: "Back to the list" }).tap();
    await page.getByRole("navigation").waitFor();
    assert.equal(key.length > 0, true);
    await page.goBack();
    await page.getByRole("heading", { name: "Marina Duarte" }).waitFor();
  });
});

describe("looks and words", () => {
  for (const colorScheme of ["light", "dark"]) {
    it(`nothing serious is in the way of anybody, in ${colorScheme}`, async () => {
      await start();
      const key = furnish(desk);
      const page = await open({ colorScheme });
      await line(page, "Ana Ribeiro").waitFor();
      await assertAccessible(page, "the list");
      await line(page, "Ana Ribeiro").click();
      await page.getByText("asks for a refund").waitFor();
      await assertAccessible(page, "one who waits");
      await page.goto(`${desk.url}${hashOf(key)}`);
      await page.getByRole("heading", { name: "Marina Duarte" }).waitFor();
      for (const summary of await page.locator("summary").all()) await summary.click();
      await assertAccessible(page, "the transcript");
      for (const name of ["Help", "Preferences", "Spirits"]) {
        await page.getByRole("button", { name }).click();
        await page.getByRole("dialog").waitFor();
        await assertAccessible(page, name);
        await page.keyboard.press("Escape");
        await page.getByRole("dialog").waitFor({ state: "detached" });
        await until(async () => (await page.evaluate(() => document.activeElement.ariaHasPopup)) === "dialog", "the focus back on the button");
      }
      await page.getByRole("button", { name: "Preferences" }).click();
      const ground = () => page.evaluate(() => getComputedStyle(document.body).backgroundColor);
      const was = await ground();
      await page.getByLabel(colorScheme === "light" ? "Dark" : "Light").check();
      assert.notEqual(await ground(), was);
      await assertAccessible(page, "the other theme");
    });
  }

  for (const [locale, over, title] of [
    ["pt-BR", "Assumir", "Conversas"],
    ["es-ES", "Tomar", "Conversaciones"],
  ]) {
    it(`speaks ${locale} to those whose browser does, and English when asked to`, async () => {
      await start();
      const page = await open({ locale, hash: hashOf(keyOf(desk.sorted()[0])) });
      await page.getByRole("button", { name: over, exact: true }).waitFor();
      await page.getByRole("navigation", { name: title }).waitFor();
      assert.equal(await page.evaluate(() => document.documentElement.lang), locale);
      await page.keyboard.press("?");
      await page.keyboard.press("Escape");
      await page.locator(".bar button").nth(1).click();
      await page.getByLabel("English").check();
      await page.getByRole("dialog", { name: "Preferences" }).waitFor();
      assert.equal(await page.evaluate(() => document.documentElement.lang), "en");
      await page.reload();
      await page.getByRole("button", { name: "Take over" }).waitFor();
    });
  }

  it("single keys can be turned off", async () => {
    await start();
    const page = await open({});
    await page.getByRole("button", { name: "Preferences" }).click();
    await page.getByLabel(/Single keys/).uncheck();
    await page.keyboard.press("Escape");
    await page.keyboard.press("?");
    await page.keyboard.press("a");
    assert.equal(await page.getByRole("dialog").count(), 0);
    assert.equal(new URL(page.url()).hash, "");
  });
});
