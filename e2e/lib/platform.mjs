// A platform of processes on one machine: a control node, an origin and an edge in each of two regions. The edges have addresses
// of their own and one port, as edges have in the world: players take one for another by its host name alone.
import { execFile } from "node:child_process";
import { mkdir, mkdtemp, rm, writeFile } from "node:fs/promises";
import { createServer } from "node:net";
import { tmpdir } from "node:os";
import { join } from "node:path";
import { promisify } from "node:util";
import { BINARY } from "./freshet.mjs";
import { Program, until } from "./process.mjs";

const run = promisify(execFile);

/** Where the regions are, and at which address their edges and clients. */
export const REGIONS = {
  fra: { host: "127.0.0.1", latitude: 50.11, longitude: 8.68 },
  iad: { host: "127.0.0.2", latitude: 39.04, longitude: -77.49 },
};

/** A port that was free a moment ago at all of these addresses. */
async function freePort(hosts = ["127.0.0.1"]) {
  for (;;) {
    const servers = [];
    try {
      let port = 0;
      for (const host of hosts) {
        const server = createServer();
        await new Promise((resolve, reject) => server.once("error", reject).listen(port, host, resolve));
        servers.push(server);
        port = server.address().port;
      }
      return port;
    } catch {
      // Taken at the second address: another one.
    } finally {
      await Promise.all(servers.map((server) => new Promise((resolve) => server.close(resolve))));
    }
  }
}

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
    await this.#join("origin", "origin-1", `[listen]\nrtmp = "127.0.0.1:${this.rtmp}"\n`);
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
  async operate(...words) {
    const { stdout } = await run(BINARY, [...words, "--config", this.nodes["control-1"].config], { timeout: 30_000 });
    return stdout.trim();
  }

  /** Waits until an edge tells a viewer of these regions, in order. */
  async tells(region, expected) {
    const url = `http://${REGIONS[region].host}:${this.port}/api/watch/ada`;
    await until(`${url} that tells of ${expected}`, 40_000, async () => {
      const reply = await fetch(url).catch(() => null);
      const told = reply?.ok ? await reply.json() : null;
      return told?.edges.map((edge) => edge.region).join() === expected.join();
    });
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
    this.key = await until("a channel", 30_000, () => this.operate("channel", "put", "ada").catch(() => null));
  }

  async #join(role, name, listen, more = "") {
    const token = await this.operate("node", "token", "--role", role);
    await this.#configure(name, listen, more);
    const env = { ...process.env, FRESHET_JOIN_TOKEN: token };
    await run(BINARY, ["node", "join", "--name", name, "--data", join(this.dir, name)], { env, timeout: 30_000 });
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
