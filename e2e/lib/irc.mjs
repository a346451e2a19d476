// IRC clients as bots have them: tmi.js over WebSocket, irc-framework over TCP; and what they heard.
import { createRequire } from "node:module";
import { until } from "./process.mjs";

const require = createRequire(import.meta.url);
const tmi = require("tmi.js");
const { Client: IrcClient } = require("irc-framework");
/** What tmi.js connects with. */
export const WebSocket = createRequire(require.resolve("tmi.js"))("ws");

/** Longer than anything here takes. */
const PATIENCE = 20_000;

// tmi.js takes whatever isn't answered within 600 ms for refused.
require("tmi.js/lib/utils").promiseDelay = () => new Promise((late) => setTimeout(late, PATIENCE).unref());

/** tmi.js makes tokens lower case, which no JWT survives; in hexadecimal it stays what it is. */
export const inHex = (token) => Buffer.from(token).toString("hex");

/** Quiet where all is well; what it complains about is kept. */
function logger(said) {
  const keep = (text) => said.push(text);
  return { setLevel() {}, trace() {}, debug() {}, info() {}, warn: keep, error: keep, fatal: keep };
}

/** A client of tmi.js: `messages` as `NAME: TEXT`, those that it sent itself with a star; `events` all others. */
export class Tmi {
  messages = [];
  events = [];
  raw = [];
  complaints = [];

  constructor({ host = "127.0.0.1", port, name, token }) {
    this.client = new tmi.Client({
      options: { skipUpdatingEmotesets: true },
      connection: { server: host, port, secure: false, reconnect: false },
      logger: logger(this.complaints),
      ...(token && { identity: { username: name, password: token } }),
    });
    this.client.on("message", (channel, tags, text, self) => this.messages.push({ channel, tags: { ...tags }, text, self }));
    this.client.on("raw_message", (message) => this.raw.push(message.raw));
    for (const event of ["notice", "timeout", "ban", "clearchat", "messagedeleted", "slowmode", "followersmode", "emoteonly", "r9kbeta", "roomstate", "hosting", "usernotice", "join", "part", "ping", "pong", "disconnected"]) {
      this.client.on(event, (...what) => this.events.push([event, ...what]));
    }
  }

  static async connect(options) {
    const client = new Tmi(options);
    await client.client.connect();
    return client;
  }

  get heard() {
    return this.messages.map(({ tags, text, self }) => `${self ? "*" : tags.username}: ${text}`);
  }

  /** The first event of this name; waits for it. */
  event(name, fits = () => true) {
    return until(`${name} for tmi.js`, PATIENCE, () => this.events.find(([kind, ...what]) => kind === name && fits(...what))).catch((error) => {
      throw new Error(`${error.message}\n${this.raw.join("\n")}`);
    });
  }

  async close() {
    if (this.client.readyState() === "OPEN") await this.client.disconnect();
  }
}

/** A client of irc-framework. */
export class Framework {
  messages = [];
  raw = [];

  constructor() {
    this.client = new IrcClient();
    for (const kind of ["privmsg", "action"]) this.client.on(kind, (event) => this.messages.push({ kind, ...event }));
    this.client.on("raw", ({ line, from_server }) => from_server && this.raw.push(line.trimEnd()));
  }

  /** `caps` are asked for beside its own. */
  static async connect({ host = "127.0.0.1", port, name, token, caps = [], ...more }) {
    const framework = new Framework();
    framework.client.requestCap(caps);
    framework.client.connect({ host, port, nick: name, password: token, auto_reconnect: false, ping_interval: 0, ...more });
    await framework.line(/ 376 /);
    return framework;
  }

  get heard() {
    return this.messages.map(({ nick, message }) => `${nick}: ${message}`);
  }

  /** The first line that fits; waits for it. */
  line(pattern) {
    return until(`${pattern} for irc-framework`, PATIENCE, () => this.raw.find((line) => pattern.test(line))).catch((error) => {
      throw new Error(`${error.message}\n${this.raw.join("\n")}`);
    });
  }

  async join(channel) {
    this.client.join(channel);
    await this.line(new RegExp(` 366 \\S+ ${channel} `));
  }

  async close() {
    this.client.quit();
    await until("the end for irc-framework", PATIENCE, () => !this.client.connected);
  }
}
