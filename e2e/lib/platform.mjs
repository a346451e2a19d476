// A platform of processes on one machine: a control node, an origin and an edge in each of two regions. The edges have addresses
// of their own and one port, as edges have in the world: players take one for another by its host name alone.
import { execFile } from "node:child_process";
import { mkdir, mkdtemp, rm, writeFile } from "node:fs/promises";
import { tmpdir } from "node:os";
import { join } from "node:path";
import { promisify } from "node:util";
import { BINARY, LOST_AFTER_MS } from "./freshet.mjs";
import { freePort } from "./ports.mjs";
import { Program, until } from "./process.mjs";

const run = promisify(execFile);

/** Runs a command; gives what it printed. */
async function led(words, options) {
  // On a machine that is busy a control node may miss its own time for a moment; an operator tries again.
  const { stdout } = await until("control node that leads", 40_000, () =>
    run(BINARY, words, { timeout: 30_000, ...options }).catch((error) => {
      if (!error.message.includes("no control node leads")) throw error;
    }),
  );
  return stdout.trim();
}

/** Where the regions are, and at which address their edges and clients. */
export const REGIONS = {
  fra: { host: "127.0.0.1", latitude: 50.11, longitude: 8.68 },
  iad: { host: "127.0.0.2", latitude: 39.04, longitude: -77.49 },
};

export class Platform {
  nodes = {};

  /** Founds it and starts everything; the channel is `ada`. */
  static async start() {
    const platform = new Platform();
    platform.dir = await mkdtemp(join(tmpdir(), "freshet-e2e-"));
    await platform.#begun().catch(async (error) => {
      await platform.stop();
      throw error;
    });
    return platform;
  }

  async #begun() {
    this.port = await freePort(Object.values(REGIONS).map((region) => region.host));
    this.rtmp = await freePort();
    await this.#found();
    await this.#join("origin", "origin-1", `[listen]\nrtmp = "127.0.0.1:${this.rtmp}"\n`, `[origin]\nlost_after_ms = ${LOST_AFTER_MS}\n`);
    for (const [region, { host, latitude, longitude }] of Object.entries(REGIONS)) {
      const place = `[place]\nregion = "${region}"\nlatitude = ${latitude}\nlongitude = ${longitude}\npublic_url = "http://${host}:${this.port}"\n`;
      await this.#join("edge", `edge-${region}`, `[listen]\nhttp = "${host}:${this.port}"\n`, place);
    }
  }

  /** Where a region's edge serves the channel. */
  index(region) {
    return `http://${REGIONS[region].host}:${this.port}/live/ada/index.m3u8`;
  }

  get publishUrl() {
    return `rtmp://127.0.0.1:${this.rtmp}/live/${this.key}`;
  }

  /** Asks as an operator; gives what was printed. */
  operate(...words) {
    return led([...words, "--config", this.nodes["control-1"].config]);
  }

  /** Waits until an edge tells a viewer of these regions, in order. */
  async tells(region, expected) {
    const url = `http://${REGIONS[region].host}:${this.port}/api/watch/ada`;
    let last = null;
    await until(`${url} that tells of ${expected}`, 40_000, async () => {
      const reply = await fetch(url, { signal: AbortSignal.timeout(20_000) }).catch(() => null);
      const told = reply?.ok ? await reply.json() : null;
      last = told?.edges.map((edge) => edge.region).join() ?? reply?.status;
      return last === expected.join();
    }).catch((error) => {
      throw new Error(`${error.message}; the last it told was ${last}\n${this.said}`);
    });
  }

  /** Waits until each region's edge has a playlist of the channel, which players that are not ours ask for only once. */
  async live() {
    for (const region of Object.keys(REGIONS)) {
      let last = null;
      await until(`playlist at ${this.index(region)}`, 40_000, async () => {
        last = await fetch(this.index(region), { signal: AbortSignal.timeout(20_000) }).then((reply) => reply.status, (error) => error.message);
        return last === 200;
      }).catch((error) => {
        throw new Error(`${error.message}; the last answer was ${last}\n${this.said}`);
      });
    }
  }

  /** What the nodes printed last. */
  get said() {
    return Object.entries(this.nodes).map(([name, { program }]) => `${name}:\n${program?.tail}`).join("\n");
  }

  /** As a power cut ends a node. */
  async kill(name) {
    await this.nodes[name].program.stop("SIGKILL");
  }

  async stop() {
    await Promise.all(Object.values(this.nodes).map((node) => node.program?.stop()));
    await rm(this.dir, { recursive: true, force: true });
  }

  async #found() {
    await this.#configure("control-1", "", "");
    await this.#begin("control", "control-1", "--bootstrap");
    let last = null;
    this.key = await until("a channel", 30_000, () => this.operate("channel", "put", "ada").catch((error) => ((last = error), null))).catch((error) => {
      throw new Error(`${error.message}: ${last?.message}\n${this.said}`);
    });
  }

  async #join(role, name, listen, more = "") {
    const token = await this.operate("node", "token", "--role", role);
    await this.#configure(name, listen, more);
    const env = { ...process.env, FRESHET_JOIN_TOKEN: token };
    await led(["node", "join", "--name", name, "--data", join(this.dir, name)], { env });
    await this.#begin(role, name);
  }

  async #configure(name, listen, more) {
    const config = join(this.dir, `${name}.toml`);
    const quic = `quic = "127.0.0.1:${await freePort()}"\nadmin = "127.0.0.1:0"\n`;
    await mkdir(join(this.dir, name), { recursive: true, mode: 0o700 });
    await writeFile(config, `[node]\nname = "${name}"\ndata = "${join(this.dir, name)}"\n${listen || "[listen]\n"}${quic}${more}`);
    this.nodes[name] = { config };
  }

  async #begin(role, name, ...flags) {
    const node = this.nodes[name];
    node.program = new Program(BINARY, [role, "--config", node.config, ...flags], { name });
    await node.program.line(/listens/, 30_000);
  }
}
