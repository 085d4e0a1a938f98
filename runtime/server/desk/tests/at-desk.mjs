// One person at the desk of a real cluster: `node at-desk.mjs URL SPIRIT SESSION STEP...` with the token in EYWA_DESK_TOKEN. The
// suite on the cluster calls it, looks at the cluster between two calls, and is the judge of what happened there.
import assert from "node:assert/strict";
import { AxeBuilder } from "@axe-core/playwright";
import { launch, openDesk } from "./browser.mjs";

const [url, spirit, session, ...steps] = process.argv.slice(2);
const token = process.env.EYWA_DESK_TOKEN;
assert.ok(url && spirit && session && steps.length && token, "usage: EYWA_DESK_TOKEN=… node at-desk.mjs URL SPIRIT SESSION STEP…");

/** What a step does; what stands after the first `=` is given to it. */
const DO = {
  async "take-over"(page) {
    await page.getByRole("button", { name: "Take over" }).click();
    await page.getByRole("textbox", { name: "Reply" }).waitFor();
  },
  async sees(page, words) {
    await page.locator(".text", { hasText: words }).last().waitFor();
  },
  async reply(page, words) {
    const box = page.getByRole("textbox", { name: "Reply" });
    await box.fill(words);
    await box.press("Enter");
    await page.locator(".said.human .text", { hasText: words }).waitFor();
  },
  async "give-back"(page) {
    await page.getByRole("button", { name: "Give back" }).click();
    await page.getByRole("button", { name: "Take over" }).waitFor();
  },
  async approve(page) {
    await page.getByRole("button", { name: "Approve" }).click();
    await page.getByRole("button", { name: "Approve" }).waitFor({ state: "detached" });
  },
  /** The button is there, off, and says which permission is missing. */
  async "may-not-take-over"(page, permission) {
    const button = page.getByRole("button", { name: "Take over" });
    await button.waitFor();
    assert.equal(await button.getAttribute("aria-disabled"), "true");
    await page.getByText(permission).first().waitFor();
  },
  async "may-not-approve"(page, permission) {
    const button = page.getByRole("button", { name: "Approve" });
    await button.waitFor();
    assert.equal(await button.getAttribute("aria-disabled"), "true");
    await page.getByText(permission).first().waitFor();
  },
  async accessible(page) {
    const { violations } = await new AxeBuilder({ page }).analyze();
    const bad = violations.filter((one) => one.impact === "serious" || one.impact === "critical");
    assert.deepEqual(bad.map((one) => `${one.id}: ${one.nodes.map((node) => node.target).join("; ")}`), []);
  },
};

const browser = await launch();
try {
  const page = await openDesk(browser, url, { token: null });
  page.setDefaultTimeout(30_000);
  await page.getByLabel("Kubernetes token").fill(token);
  await page.keyboard.press("Enter");
  await page.getByRole("navigation", { name: "Conversations" }).waitFor();
  await page.evaluate((hash) => { location.hash = hash; }, `#/c/${spirit}/${encodeURIComponent(session)}`);
  for (const step of steps) {
    const [name, ...rest] = step.split("=");
    assert.ok(DO[name], `there is no step ${name}`);
    try {
      await DO[name](page, rest.join("="));
    } catch (error) {
      console.error(await page.locator("body").innerText());
      throw new Error(`${step}: ${error.message}`, { cause: error });
    }
  }
  assert.deepEqual(page.complaints, []);
} finally {
  await browser.close();
}
