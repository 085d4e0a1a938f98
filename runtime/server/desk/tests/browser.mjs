// The browser that the tests drive: Chromium of the machine, headless.
import { existsSync } from "node:fs";
import { chromium } from "playwright-core";

const CANDIDATES = [process.env.EYWA_CHROMIUM, "/usr/bin/chromium", "/usr/bin/chromium-browser", "/usr/bin/google-chrome", "/opt/google/chrome/chrome"];

export async function launch() {
  const executablePath = CANDIDATES.find((path) => path && existsSync(path));
  if (!executablePath) {
    throw new Error("no Chromium on this machine: install the Debian package chromium, or set EYWA_CHROMIUM to the path of one");
  }
  // Chromium's own sandbox needs user namespaces, which root in a container seldom has.
  const args = process.getuid?.() === 0 ? ["--no-sandbox"] : [];
  return chromium.launch({ executablePath, args });
}

/** Opens the page as somebody with a token, at `hash`. `options` are those of a browser context. */
export async function openDesk(browser, url, { hash = "", token = "good-token", ...options } = {}) {
  const context = await browser.newContext({ locale: "en-GB", viewport: { width: 1280, height: 800 }, colorScheme: "light", reducedMotion: "reduce", ...options });
  if (token) await context.addInitScript((value) => sessionStorage.getItem("eywa-token") ?? sessionStorage.setItem("eywa-token", value), token);
  const page = await context.newPage();
  page.setDefaultTimeout(10_000);
  /** What the page complained of: a broken rule of the CSP among it. */
  page.complaints = [];
  page.on("console", (message) => {
    if (message.type() === "error" && !/ERR_CONNECTION|status of (401|403|404|409|422|5\d\d)|ERR_EMPTY_RESPONSE|ERR_INTERNET_DISCONNECTED|ERR_INCOMPLETE/.test(message.text())) page.complaints.push(message.text());
  });
  page.on("pageerror", (error) => page.complaints.push(String(error)));
  await page.goto(url + hash);
  return page;
}
