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
await shot("list-light", {});
await shot("desk-light", { hash: here });
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
desk.me.silenced = [{ spirit: "barista", by: "carlos@cafe.example", since: new Date(Date.now() - 600_000).toISOString() }];
await shot("silenced-dark", { hash: here, colorScheme: "dark" });
await browser.close();
await desk.stop();
