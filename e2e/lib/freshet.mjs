// `freshet dev`, the real binary, on ports of its own in a directory of its own.
import { mkdtemp, readFile, rm } from "node:fs/promises";
import { tmpdir } from "node:os";
import { join, resolve } from "node:path";
import "./failure.mjs";
import { freePort } from "./ports.mjs";
import { Program, until } from "./process.mjs";

const ROOT = resolve(import.meta.dirname, "../..");
const TARGET = process.env.CARGO_TARGET_DIR ?? join(ROOT, "target");
/** The binary under test; FRESHET_BIN names another. */
export const BINARY = process.env.FRESHET_BIN ?? join(TARGET, "debug/freshet");

const LISTENERS = ["http", "https", "rtmp", "rtmps", "quic", "admin"];

/** An encoder that stands still with all of a busy machine is not taken for lost; one that is killed closes its connection. */
export const LOST_AFTER_MS = 60_000;
/** With this flag, what comes after such a halt follows what was before it, as for a test that looks for breaks. */
export const UNBROKEN = ["--set", "origin.packaging.limits.stall_ms=60000"];

export class Freshet {
  /** Starts it on free ports; gives it when it serves. `extra` are further flags of `freshet dev`. */
  static async start(...extra) {
    const freshet = new Freshet();
    freshet.dir = await mkdtemp(join(tmpdir(), "freshet-e2e-"));
    freshet.extra = extra;
    freshet.ports = {};
    for (const name of LISTENERS) freshet.ports[name] = await freePort();
    await freshet.begin();
    return freshet;
  }

  /** Starts it (again) with its data, on its ports; waits until everything listens. */
  async begin() {
    const file = join(this.dir, "dev.json");
    await rm(file, { force: true });
    const flags = LISTENERS.flatMap((name) => [`--${name}`, `127.0.0.1:${this.ports[name]}`]);
    this.program = new Program(BINARY, ["dev", "--data", this.dir, ...flags, "--set", `origin.lost_after_ms=${LOST_AFTER_MS}`, ...this.extra], { name: "freshet" });
    const text = await until("dev.json", 30_000, () => {
      if (this.program.ended) throw new Error(`freshet ended (${JSON.stringify(this.program.ended)})`);
      return readFile(file, "utf8").catch(() => null);
    }).catch((error) => {
      throw new Error(`${error.message}\n${this.program.tail}`);
    });
    this.info = JSON.parse(text);
  }

  /** As a power cut ends it. */
  async kill() {
    await this.program.stop("SIGKILL");
  }

  async stop() {
    await this.program.stop();
    await rm(this.dir, { recursive: true, force: true });
  }

  get http() {
    return this.info.http_url.replace(/\/$/, "");
  }

  /** Where encoders publish, with the key or with another. */
  publishUrl(key = this.info.stream_key) {
    return `${this.info.rtmp_url.replace(/\/$/, "")}/${key}`;
  }

  async get(path) {
    const reply = await fetch(new URL(path, `${this.http}/`), { signal: AbortSignal.timeout(20_000) });
    return { status: reply.status, url: reply.url, text: await reply.text() };
  }

  /** Asks the REST API; gives the JSON of an answer that is none of failure. */
  async api(method, path, body, token) {
    const headers = { "content-type": "application/json", ...(token && { authorization: `Bearer ${token}` }) };
    const options = { method, headers, body: body && JSON.stringify(body), signal: AbortSignal.timeout(20_000) };
    const reply = await fetch(new URL(path, `${this.http}/`), options);
    const text = await reply.text();
    if (!reply.ok) throw new Error(`${method} ${path}: ${reply.status} ${text}`);
    return text ? JSON.parse(text) : null;
  }

  /** Signs the first administrator in; gives the access token. */
  async administrator() {
    const { access_token } = await this.api("POST", "/api/auth/login", { link: this.info.admin_link });
    return access_token;
  }

  /** Waits until the channel's playlist names media; gives the multivariant playlist. */
  async live(ms = 30_000) {
    const index = new URL(this.info.hls_url).pathname;
    let last = null;
    return until("live playlist", ms, async () => {
      last = await this.get(index).catch((error) => ({ status: error.message }));
      const { status, text, url } = last;
      return status === 200 && text.includes("#EXT-X-STREAM-INF") ? { text, url } : null;
    }).catch((error) => {
      throw new Error(`${error.message}; the last answer was ${last?.status}\n${this.program.tail}`);
    });
  }
}
