// Other programs, each in a process group of its own: started, listened to, ended by id, and never left behind.
import assert from "node:assert/strict";
import { spawn } from "node:child_process";
import { once } from "node:events";
import { isDeepStrictEqual } from "node:util";

/** Lines of output kept for each program; the oldest go first. */
const LINES_KEPT = 3_000;
const LINES_TOLD = 100;
const running = new Set();
/** Programs that were started last, the newest at the end: a test that fails tells what they said. */
export const latest = [];
const LATEST_KEPT = 10;
process.on("exit", () => running.forEach((child) => child.signal("SIGKILL")));
for (const name of ["SIGINT", "SIGTERM"]) process.once(name, () => process.exit(1));

/** A check that doesn't end, as of a page that is stuck, is left so long after its time. */
const GRACE_MS = 30_000;
/** How much longer than on a machine that is quick and has nothing else to do anything may take. */
const SLOWNESS = 3;

/** Waits until `check` gives something true; fails after `usual` ms, and as many more as slow machines need, saying what was awaited. */
export async function until(what, usual, check) {
  const ms = usual * SLOWNESS;
  const deadline = performance.now() + ms;
  let stuck;
  const left = new Promise((_, fail) => (stuck = setTimeout(fail, ms + GRACE_MS, new Error(`no answer on whether there is ${what}`))));
  left.catch(() => {});
  try {
    for (;;) {
      const value = await Promise.race([check(), left]);
      if (value) return value;
      if (performance.now() > deadline) throw new Error(`after ${ms} ms still no ${what}`);
      await new Promise((resolve) => setTimeout(resolve, 50));
    }
  } finally {
    clearTimeout(stuck);
  }
}

/** Waits until `read` gives `expected`; fails with what it gave last. */
export async function settles(what, expected, read, ms = 20_000) {
  let last;
  await until(what, ms, async () => isDeepStrictEqual((last = await read()), expected)).catch((error) => {
    assert.deepEqual(last, expected, what);
    throw error;
  });
}

export class Program {
  lines = [];
  /** How it ended: {code, signal}; null while it runs. */
  ended = null;

  constructor(command, args, options = {}) {
    this.name = options.name ?? command;
    this.child = spawn(command, args, {
      detached: true,
      stdio: ["ignore", "pipe", "pipe"],
      cwd: options.cwd,
      env: { ...process.env, ...options.env },
    });
    running.add(this);
    latest.push(this);
    if (latest.length > LATEST_KEPT) latest.shift();
    this.child.on("error", (error) => this.#keep(`${this.name}: ${error.message}`));
    for (const stream of [this.child.stdout, this.child.stderr]) this.#listen(stream);
    this.exit = once(this.child, "close").then(
      ([code, signal]) => this.#end({ code, signal }),
      (error) => this.#end({ code: null, signal: null, error }),
    );
  }

  #end(how) {
    running.delete(this);
    return (this.ended = how);
  }

  #listen(stream) {
    let rest = "";
    stream.setEncoding("utf8");
    stream.on("data", (text) => {
      // ffmpeg's progress ends in carriage returns.
      const lines = (rest + text).split(/\r?\n|\r/);
      rest = lines.pop().slice(-10_000);
      lines.forEach((line) => this.#keep(line));
    });
  }

  #keep(line) {
    this.lines.push(line);
    if (this.lines.length > LINES_KEPT) this.lines.shift();
  }

  get output() {
    return this.lines.join("\n");
  }

  /** What it said last, for a test that fails. */
  get tail() {
    return this.lines.slice(-LINES_TOLD).join("\n");
  }

  /** To the program and all that it has started. */
  signal(name) {
    try {
      if (this.child.pid !== undefined) process.kill(-this.child.pid, name);
    } catch {
      // It has gone by itself.
    }
  }

  /** Waits for a line that matches; fails after `ms`, or when the program ends without it, with what it said. */
  async line(pattern, ms) {
    return until(`line ${pattern} from ${this.name}`, ms, () => {
      const line = this.lines.find((text) => pattern.test(text));
      if (!line && this.ended) throw new Error(`${this.name} ended (${JSON.stringify(this.ended)})`);
      return line;
    }).catch((error) => {
      throw new Error(`${error.message}\n${this.tail}`);
    });
  }

  /** Waits for the end, at most `ms`; gives how it ended. */
  async end(ms) {
    await until(`end of ${this.name}`, ms, () => this.ended).catch((error) => {
      throw new Error(`${error.message}\n${this.tail}`);
    });
    return this.ended;
  }

  /** Ends it: `name` first, and by force where it takes too long. */
  async stop(name = "SIGTERM") {
    for (const signal of [name, "SIGKILL"]) {
      if (this.ended) break;
      this.signal(signal);
      await until(`end of ${this.name}`, 5_000, () => this.ended).catch(() => {});
    }
    this.signal("SIGKILL");
  }
}
