// Pictures of the page in both themes and on a phone, for looking at: `node tests/look.mjs [FOLDER]`.
import { mkdir } from "node:fs/promises";
import { join } from "node:path";
import { launch, openDesk } from "./browser.mjs";
import { furnish, startStandIn } from "./stand-in.mjs";

const folder = process.argv[2] ?? "tests/artifacts";
await mkdir(folder, { recursive: true });
const desk = await startStandIn({ conversations: 60 });
const key = furnish(desk);
const browser = await launch();
const [spirit, session] = key.split(" ");
const here = `#/c/${spirit}/${encodeURIComponent(session)}`;
const phone = { viewport: { width: 390, height: 844 }, deviceScaleFactor: 2, hasTouch: true, isMobile: true };

async function shot(name, options, deed = async () => {}) {
  const page = await openDesk(browser, desk.url, options);
  await page.waitForTimeout(700);
  await deed(page);
  await page.waitForTimeout(300);
  await page.screenshot({ path: join(folder, `${name}.png`) });
  if (page.complaints.length > 0) console.error(name, page.complaints);
  await page.context().close();
}
const asked = desk.sorted()[0];
const askedHash = `#/c/${asked.spirit}/${encodeURIComponent(asked.session)}`;
await shot("login", { token: null });
// The one of the documentation, in the morning somewhere.
const hours = (new Date().getUTCHours() + 24 - 10) % 24;
await shot("desk", { hash: here, timezoneId: `Etc/GMT${hours < 13 ? `+${hours}` : `-${24 - hours}`}` });
await shot("list-light", {});
await shot("desk-light", { hash: here });
const unfold = async (page) => {
  await page.locator("summary", { hasText: "place_order" }).click();
  await page.locator("summary", { hasText: "What the agent did" }).click();
  await page.locator(".transcript").evaluate((element) => (element.scrollTop = 120));
};
await shot("unfolded-light", { hash: here, viewport: { width: 1280, height: 1100 } }, unfold);
await shot("unfolded-dark", { hash: here, colorScheme: "dark", viewport: { width: 1280, height: 1100 } }, unfold);
await shot("desk-dark", { hash: here, colorScheme: "dark" });
await shot("asked-light", { hash: askedHash });
await shot("phone-list", { ...phone });
await shot("phone-list-dark", { ...phone, colorScheme: "dark" });
await shot("phone-desk", { ...phone, hash: here });
await shot("phone-asked-dark", { ...phone, hash: askedHash, colorScheme: "dark" });
await shot("help", { hash: here }, (page) => page.getByRole("button", { name: "Help" }).click());
await shot("preferences-dark-pt", { hash: here, colorScheme: "dark", locale: "pt-BR" }, (page) => page.getByRole("button", { name: "Preferências" }).click());
desk.addRite({ spirit: "barista", id: "r2", session, action: "refund", arguments: { order: 210, amount: "3.20 €" }, phase: "Denied", by: "carlos@cafe.example", comment: "Already refunded on Monday", decidedAt: new Date(Date.now() - 300_000).toISOString() });
desk.addRite({ spirit: "barista", id: "r3", session, action: "refund", arguments: {}, phase: "Expired", expiresAt: new Date(Date.now() - 3_000_000).toISOString() });
desk.addRite({ spirit: "barista", id: "r4", session, action: "cancel_order", arguments: { order: 199 }, phase: "Consumed", outcome: "Succeeded", by: desk.me.user, decidedAt: new Date(Date.now() - 4_000_000).toISOString() });
await shot("rites-light", { hash: "#/rites" });
await shot("rites-phone-dark", { ...phone, hash: "#/rites", colorScheme: "dark" });
await shot("spirits", { hash: here }, async (page) => {
  await page.getByRole("button", { name: "Spirits" }).click();
  await page.getByRole("button", { name: "Silence barista" }).click();
});
desk.me.may = { read: true, takeOver: false, decide: false };
await shot("viewer-light", { hash: here });
await shot("viewer-asked-dark", { hash: askedHash, colorScheme: "dark", viewport: { width: 820, height: 700 } });
desk.me.may = { read: true, takeOver: true, decide: true };
desk.me.silenced = [{ spirit: "barista", by: "carlos@cafe.example", since: new Date(Date.now() - 600_000).toISOString() }];
await shot("silenced-dark", { hash: here, colorScheme: "dark" });
await shot("lost-light", { hash: here }, async (page) => {
  await desk.vanish();
  await page.getByText("Connection lost.").waitFor();
  await page.getByRole("textbox", { name: "Reply" }).fill("Your new cup is ready");
  await page.keyboard.press("Enter");
  await page.locator(".unsent.failed").waitFor({ timeout: 30_000 });
});
await browser.close();
