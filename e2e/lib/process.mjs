// Other programs, each in a process group of its own: started, listened to, ended by id, and never left behind.
import { spawn } from "node:child_process";
import { once } from "node:events";

/** Lines of output kept for each program, to show when a test fails; the oldest go first. */
const LINES_KEPT = 600;
const running = new Set();
process.on("exit", () => running.forEach((child) => child.signal("SIGKILL")));

/** Waits until `check` gives something true; fails after `ms`, saying what was awaited. */
export async function until(what, ms, check) {
  const deadline = performance.now() + ms;
  for (;;) {
    const value = await check();
    if (value) return value;
    if (performance.now() > deadline) throw new Error(`after ${ms} ms still no ${what}`);
    await new Promise((resolve) => setTimeout(resolve, 50));
  }
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
      if (!line && this.ended) throw new Error(`${this.name} ended (${JSON.stringify(this.ended)}):\n${this.output}`);
      return line;
    }).catch((error) => {
      throw new Error(`${error.message}\n${this.output}`);
    });
  }

  /** Waits for the end, at most `ms`; gives how it ended. */
  async end(ms) {
    await until(`end of ${this.name}`, ms, () => this.ended).catch((error) => {
      throw new Error(`${error.message}\n${this.output}`);
    });
    return this.ended;
  }

  /** Ends it: `name` first, and by force after 5 s. */
  async stop(name = "SIGTERM") {
    if (!this.ended) {
      this.signal(name);
      await until("end", 5_000, () => this.ended).catch(() => this.signal("SIGKILL"));
      await this.exit;
    }
    this.signal("SIGKILL");
  }
}
