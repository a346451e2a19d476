// What was to be seen when a test failed: of each open page its address, headings, messages, errors and last requests; and what
// servers, encoders and others said last.
import { writeFile } from "node:fs/promises";
import { afterEach } from "node:test";
import { keep } from "./pictures.mjs";
import { latest } from "./process.mjs";

/** Requests and words of the console kept of each page; the oldest go first. */
const KEPT = 500;
/** Of those, how many a failed test prints; all are in the file beside its screenshot. */
const PRINTED = 8;
/** A page that is stuck is not asked for longer. */
const PATIENCE = 5_000;

const open = new Set();

/** Keeps what a page asks and says, as `page.told`. */
export function observe(page) {
  const began = performance.now();
  page.told = [];
  const keepLine = (text) => {
    page.told.push(`${((performance.now() - began) / 1000).toFixed(2)} ${text}`);
    if (page.told.length > KEPT) page.told.shift();
  };
  open.add(page);
  page.on("close", () => open.delete(page));
  page.on("crash", () => keepLine("the page crashed"));
  page.on("pageerror", (error) => keepLine(`thrown: ${error.message}`));
  page.on("console", (message) => keepLine(`${message.type()}: ${message.text()}`));
  page.on("response", (reply) => keepLine(`${reply.status()} ${reply.request().method()} ${reply.url()}`));
  page.on("requestfailed", (request) => keepLine(`${request.failure()?.errorText} ${request.method()} ${request.url()}`));
  page.on("framenavigated", (frame) => frame === page.mainFrame() && keepLine(`at ${frame.url()}`));
}

/** What a person would tell who looks at the page. */
function look() {
  const texts = (selector) => [...document.querySelectorAll(selector)].map((found) => found.innerText?.trim()).filter(Boolean);
  const video = document.querySelector("video");
  const { readyState, networkState, currentTime, paused, error } = video ?? {};
  const buffered = Array.from(video?.buffered ?? [], (_, n) => [video.buffered.start(n), video.buffered.end(n)]);
  return {
    h1: texts("h1"),
    messages: texts('[role="status"], [role="alert"], [data-testid="notice"]'),
    dialog: texts('[role="dialog"]').map((text) => text.slice(0, 300)),
    video: video && { readyState, networkState, currentTime, paused, error: error?.message, buffered },
    player: globalThis.told?.slice(-20) ?? globalThis.faults,
  };
}

const within = (promise) => Promise.race([promise, new Promise((_, late) => setTimeout(late, PATIENCE, new Error("no answer")).unref())]);

async function describe(page) {
  const seen = await within(page.evaluate(look)).catch((error) => ({ unseen: error.message }));
  const filled = Object.entries(seen).filter(([, value]) => value && value.length !== 0);
  return [page.url(), ...filled.map(([name, value]) => `${name}: ${JSON.stringify(value)}`)];
}

/** Tells of the programs that were started last. */
async function tellOfPrograms(t) {
  if (latest.length === 0) return;
  const heading = ({ name, ended }) => `${name}, ${ended ? `which has ended with ${ended.signal ?? ended.code}` : "which runs"}:`;
  for (const program of latest) for (const line of [heading(program), ...program.lines.filter((line) => !line.includes('"level":"INFO"')).slice(-PRINTED)]) t.diagnostic(line.slice(0, 500));
  const file = await keep(`failed ${t.name} programs`.replaceAll(/[^\w]+/g, "-"));
  await writeFile(`${file}.txt`, latest.map((program) => `${heading(program)}\n${program.output}\n`).join("\n"));
  t.diagnostic(`all that they said in ${file}.txt`);
}

/** Tells of all open pages and of programs when a test has failed. */
async function tell(t) {
  if (t.passed !== false) return;
  await tellOfPrograms(t);
  for (const [n, page] of [...open].entries()) {
    const seen = await describe(page);
    const faults = page.told.filter((line) => !/^\S+ ([123]\d\d|at|log:|info:) ?/.test(line)).slice(-PRINTED);
    for (const line of [...seen, ...faults, "and last:", ...page.told.slice(-PRINTED)]) t.diagnostic(`${n === 0 ? "" : `page ${n + 1}: `}${line.slice(0, 2_000)}`);
    const file = await keep(`failed ${t.name} ${n + 1}`.replaceAll(/[^\w]+/g, "-"));
    await writeFile(`${file}.txt`, [...seen, ...page.told, ""].join("\n"));
    await within(page.screenshot({ path: `${file}.png` })).catch((error) => t.diagnostic(`no screenshot: ${error.message}`));
    t.diagnostic(`all of it in ${file}.txt and .png`);
  }
}

// Whoever measures or takes pictures has pages too, and no tests.
if (process.argv[1]?.endsWith(".test.mjs")) afterEach(tell);
