// A channel that IRC clients can be in: `freshet dev` with three people, each of whom has a channel by that.
import { Freshet } from "./freshet.mjs";
import { until } from "./process.mjs";

const PASSWORD = "correct horse battery";

export class Room {
  /** Starts a server where `names` have accounts; the channel is of the first, the second its moderator. */
  static async start(...names) {
    const room = new Room();
    room.freshet = await Freshet.start("--set", "accounts.registration=open");
    room.tokens = {};
    for (const name of names) room.tokens[name] = await room.#register(name);
    return room;
  }

  async #register(username) {
    const body = { username, email: `${username}@example.org`, password: PASSWORD };
    const tried = (what, ask) => until(what, 20_000, () => ask().catch((error) => ((this.last = error), null))).catch((error) => {
      throw new Error(`${error.message}: ${this.last?.message}\n${this.freshet.program.tail}`);
    });
    await tried("account", () => this.freshet.api("POST", "/api/auth/register", body));
    const { access_token } = await this.freshet.api("POST", "/api/auth/login", { username, password: PASSWORD });
    await tried("key at the edge", () => this.freshet.api("GET", "/api/me", undefined, access_token));
    return access_token;
  }

  token(name) {
    return this.tokens[name];
  }

  /** Where clients of a kind come: {host, port}. */
  at(url) {
    const { hostname, port } = new URL(this.freshet.info[url].replace(/^ircs?:/, "http:"));
    return { host: hostname, port: Number(port) };
  }

  stop() {
    return this.freshet.stop();
  }
}
