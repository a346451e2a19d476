// Debian's Chromium without a screen, and pages in it that tell what went wrong.
import { chromium } from "playwright-core";
import { observe } from "./failure.mjs";
import { until } from "./process.mjs";

const ARGUMENTS = [
  "--no-sandbox",
  "--disable-gpu",
  "--disable-quic",
  "--no-first-run",
  "--disable-background-networking",
  "--disable-component-update",
  "--disable-sync",
  "--autoplay-policy=no-user-gesture-required",
];

export async function launch() {
  return chromium.launch({ executablePath: process.env.CHROMIUM ?? "/usr/bin/chromium", headless: true, args: ARGUMENTS });
}

/** What no page may do, whatever happens around it. A file of tests in whose pages it happened fails at its end. */
const offences = new Set();
process.on("exit", () => {
  if (offences.size === 0) return;
  console.error(`pages did what none may:\n${[...offences].join("\n")}`);
  process.exitCode = 1;
});
/** What Chromium itself writes of a request that failed, as where a server was killed. */
const NETWORK = /^Failed to load resource|^WebSocket connection to|net::ERR_/;
const here = (host) => /^(localhost|127\.\d+\.\d+\.\d+|\[::1\])(:\d+)?$/.test(host);

/** Runs in a page: keeps what it says in words that leave by themselves. */
function listen() {
  window.heard = new Set();
  const hear = () => {
    for (const status of document.querySelectorAll("[role=status]")) {
      const words = status.textContent.trim();
      if (words && !window.heard.has(words) && status.checkVisibility()) window.heard.add(words);
    }
  };
  new MutationObserver(hear).observe(document, { subtree: true, childList: true, characterData: true });
}

/** Waits until the page has said this, though it may have left again. */
export const heard = (page, words) => until(`"${words}" from the page`, 20_000, () => page.evaluate((words) => [...window.heard].some((text) => text.includes(words)), words));

/** A page whose errors and requests are kept: `page.faults` and `page.hosts`; a test that wants an error says so in `page.expected`. */
export async function newPage(browser, options = {}) {
  const context = await browser.newContext({ viewport: { width: 1280, height: 800 }, ignoreHTTPSErrors: true, ...options });
  const page = await context.newPage();
  await page.addInitScript(listen);
  observe(page);
  page.faults = [];
  page.hosts = new Set();
  page.on("pageerror", (error) => {
    page.faults.push(error.message);
    offences.add(`${page.url()}: ${error.stack ?? error.message}`);
  });
  page.on("console", (message) => {
    if (message.type() !== "error") return;
    page.faults.push(`${message.text()} ${message.location().url}`);
    if (!NETWORK.test(message.text()) && !page.expected?.test(message.text())) offences.add(`${page.url()}: ${message.text()}`);
  });
  page.on("request", (request) => {
    const { protocol, host } = new URL(request.url());
    page.hosts.add(host);
    if (protocol.startsWith("http") && !here(host)) offences.add(`${page.url()}: asked ${request.url()}`);
  });
  return page;
}
