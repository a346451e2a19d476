// Debian's Chromium without a screen, and pages in it that tell what went wrong.
import { chromium } from "playwright-core";
import { observe } from "./failure.mjs";

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

/** A page whose errors and requests are kept: `page.faults` and `page.hosts`; a test that wants an error says so in `page.expected`. */
export async function newPage(browser, options = {}) {
  const context = await browser.newContext({ viewport: { width: 1280, height: 800 }, ignoreHTTPSErrors: true, ...options });
  const page = await context.newPage();
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
