// Bots as they are written for Twitch: unmodified tmi.js over WebSocket and irc-framework over TCP, in one channel.
import assert from "node:assert/strict";
import { after, before } from "node:test";
import { Framework, Tmi, WebSocket, inHex } from "../lib/irc.mjs";
import { chain } from "../lib/chain.mjs";
import { Room } from "../lib/room.mjs";
import { until } from "../lib/process.mjs";

let room;
let owner;
let mod;
let guest;
let bot;
let plain;

const then = chain();
const CAPS = ["twitch.tv/tags", "twitch.tv/commands"];

before(async () => {
  room = await Room.start("ada", "mod", "bot");
  const [ws, tcp] = [room.at("irc_ws_url"), room.at("irc_url")];
  [owner, mod, guest, bot, plain] = await Promise.all([
    Tmi.connect({ ...ws, name: "ada", token: inHex(room.token("ada")) }),
    Tmi.connect({ ...ws, name: "mod", token: `oauth:${inHex(room.token("mod"))}` }),
    Tmi.connect({ ...ws }),
    Framework.connect({ ...tcp, name: "bot", token: room.token("bot"), caps: CAPS }),
    Framework.connect({ ...tcp, name: "justinfan7" }),
  ]);
  // The edge hears of a new channel a moment after its owner.
  await until("the channel at the edge", 20_000, () => owner.client.join("ada").then(() => true, () => false));
  await Promise.all([mod, guest].map(({ client }) => client.join("ada")));
  await Promise.all([bot, plain].map((client) => client.join("#ada")));
  await owner.client.mod("#ada", "mod");
  await until("the moderator's state", 20_000, () => mod.client.isMod("#ada", "mod"));
});
after(async () => {
  await Promise.all([owner, mod, guest, bot, plain].map((client) => client?.close()));
  await room?.stop();
});

then("everybody has each line once, whoever says it with whatever client", async () => {
  await owner.client.say("#ada", "from tmi.js; with a semicolon");
  bot.client.say("#ada", "from irc-framework: über alles 😀");
  bot.client.action("#ada", "waves");
  await mod.client.action("#ada", "nods");
  await until("the bot's lines for all others", 20_000, () => [owner, mod, guest, plain].every((client) => client.heard.includes("bot: waves")));
  await until("the moderator's for the guest", 20_000, () => guest.heard.includes("mod: nods"));
  // The channel has one order: when all have this one, nothing that was said before is on its way any more.
  await owner.client.say("#ada", "the last");
  await until("the last for all", 20_000, () => [mod, guest, bot, plain].every((client) => client.heard.at(-1) === "ada: the last"));

  const said = ["ada: from tmi.js; with a semicolon", "bot: from irc-framework: über alles 😀", "bot: waves", "mod: nods", "ada: the last"];
  assert.deepEqual([...guest.heard].sort(), [...said].sort());
  assert.deepEqual(plain.heard, guest.heard);
  // tmi.js shows by itself what it sends (the star); irc-framework leaves that to the bot. Neither is told it again.
  assert.deepEqual(own(owner), ["*: from tmi.js; with a semicolon", "*: the last"]);
  assert.deepEqual(own(mod), ["*: nods"]);
  for (const [client, name] of [[owner, "ada"], [mod, "mod"], [bot, "bot"]]) {
    const others = guest.heard.filter((line) => !line.startsWith(`${name}: `));
    assert.deepEqual(client.heard.filter((line) => !line.startsWith("*: ")), others, name);
  }
});

function own(client) {
  return client.heard.filter((line) => line.startsWith("*: "));
}

then("a line has its sender, its badges and its kind", async () => {
  const said = await until("mod's line", 20_000, () => guest.messages.find(({ text }) => text === "nods"));
  assert.equal(said.tags["message-type"], "action");
  assert.deepEqual(said.tags.badges, { moderator: "1" });
  assert.equal(said.tags.mod, true);
  assert.equal(said.tags["user-id"], "mod");
  assert.equal(said.tags["room-id"], "ada");
  assert.match(said.tags.id, /^\d+$/);
  assert.ok(Math.abs(Date.now() - Number(said.tags["tmi-sent-ts"])) < 3_600_000);
  const action = plain.messages.find(({ message }) => message === "waves");
  assert.equal(action.kind, "action");
  assert.deepEqual({ ...action.tags }, {}, "it did not ask for tags");
});

then("tmi.js knows who it is", async () => {
  assert.ok(mod.client.isMod("#ada", "mod"));
  assert.equal(mod.client.getUsername(), "mod");
  assert.equal(mod.client.userstate["#ada"].mod, true);
  assert.deepEqual(owner.client.userstate["#ada"].badges, { broadcaster: "1" });
});

then("a moderator's commands are carried out, answered and shown", async () => {
  bot.client.say("#ada", "take this back");
  const { tags } = await until("the bot's line", 20_000, () => mod.messages.find(({ text }) => text === "take this back"));
  await mod.client.deletemessage("#ada", tags.id);
  assert.equal((await guest.event("messagedeleted"))[4]["target-msg-id"], tags.id);

  assert.deepEqual(await mod.client.slow("#ada", 3), ["#ada", 3]);
  assert.deepEqual(await guest.event("slowmode"), ["slowmode", "#ada", true, 3]);
  await mod.client.slow("#ada", 3); // it is so already
  await mod.client.slowoff("#ada");
  await guest.event("slowmode", (_, on) => !on);

  await mod.client.emoteonly("#ada");
  await assert.rejects(mod.client.emoteonly("#ada"), (why) => String(why) === "already_emote_only_on");
  await mod.client.emoteonlyoff("#ada");
  await mod.client.r9kbeta("#ada");
  await mod.client.r9kbetaoff("#ada");
  assert.deepEqual(await mod.client.followersonly("#ada", 10), ["#ada", 10]);
  assert.deepEqual(await guest.event("followersmode"), ["followersmode", "#ada", true, 10]);
  await mod.client.followersonlyoff("#ada");

  await mod.client.timeout("#ada", "bot", 300, "too loud");
  const timeout = await guest.event("timeout");
  assert.deepEqual(timeout.slice(0, 5), ["timeout", "#ada", "bot", null, 300]);
  bot.client.say("#ada", "am I silent?");
  await bot.line(/^@msg-id=msg_timedout :tmi\.twitch\.tv NOTICE #ada :/);
  await mod.client.unban("#ada", "bot");

  await mod.client.ban("#ada", "bot");
  assert.equal((await guest.event("ban"))[2], "bot");
  await bot.line(/msg-id=msg_banned .*NOTICE #ada /);
  await mod.client.unban("#ada", "bot");
  await mod.client.clear("#ada");
  await guest.event("clearchat");
});

then("what may not be done is refused in the name that the client knows", async () => {
  await assert.rejects(mod.client.timeout("#ada", "ada", 9), (why) => String(why) === "bad_timeout_broadcaster");
  await assert.rejects(mod.client.ban("#ada", "ada"), (why) => String(why) === "bad_ban_broadcaster");
  await assert.rejects(mod.client.mod("#ada", "bot"), (why) => String(why) === "no_permission");
  await assert.rejects(mod.client.deletemessage("#ada", "7"), (why) => String(why) === "bad_delete_message_error");
  await assert.rejects(mod.client.unban("#ada", "bot"), (why) => String(why) === "bad_unban_no_ban");
  await owner.client.vip("#ada", "bot");
  await owner.client.unvip("#ada", "bot");
  bot.client.say("#ada", "/ban mod");
  await bot.line(/msg-id=no_permission /);
  await assert.rejects(guest.client.say("#ada", "I am nobody"));
  plain.client.say("#ada", "neither am I");
  await plain.line(/^:tmi\.twitch\.tv NOTICE #ada :Log in to write\.$/);
});

then("pings are answered as each client expects", async () => {
  const [latency] = await mod.client.ping();
  assert.ok(latency >= 0);
  bot.client.ping("12345");
  await bot.line(/^:tmi\.twitch\.tv PONG tmi\.twitch\.tv :12345$/);
});

then("there is TLS, over TCP and over WebSocket", async () => {
  const secure = await Framework.connect({ ...room.at("ircs_url"), name: "justinfan8", tls: true, rejectUnauthorized: false });
  await secure.join("#ada");
  const url = room.freshet.info.irc_wss_url;
  // tmi.js knows no port but 443 for this, so it is its WebSocket alone.
  const socket = new WebSocket(url, "irc", { rejectUnauthorized: false });
  let told = "";
  socket.on("message", (text) => (told += text));
  await new Promise((opened, failed) => socket.once("open", opened).once("error", failed));
  socket.send("NICK justinfan9\r\nJOIN #ada\r\n");
  await until("a channel over wss", 20_000, () => / 366 justinfan9 #ada /.test(told));
  await owner.client.say("#ada", "well kept");
  await until("the line over both", 20_000, () => secure.heard.includes("ada: well kept") && told.includes(" PRIVMSG #ada :well kept\r\n"));
  socket.terminate();
  await secure.close();
});

then("who leaves hears nothing more", async () => {
  const other = await Tmi.connect(room.at("irc_ws_url"));
  await other.client.join("ada");
  await other.client.part("ada");
  await owner.client.say("#ada", "are they gone?");
  await until("the line for the guest", 20_000, () => guest.heard.at(-1) === "ada: are they gone?");
  await other.client.ping(); // what was sent before would have come before
  assert.deepEqual(other.heard, []);
  await other.close();
});

then("a token that is not good, and none, end the attempt", async () => {
  const wrong = new Tmi({ ...room.at("irc_ws_url"), name: "ada", token: inHex("not a token") });
  await assert.rejects(wrong.client.connect(), (why) => /Login authentication failed/.test(String(why)));
  const none = new Framework();
  none.client.connect({ ...room.at("irc_url"), nick: "ada", auto_reconnect: false });
  await none.line(/NOTICE \* :Login authentication failed/);
  await until("the end", 20_000, () => !none.client.connected);
});

then("tmi.js understands all that it is sent", () => {
  for (const { complaints } of [owner, mod, guest]) {
    assert.deepEqual(complaints.filter((complaint) => /Could not parse/.test(complaint)), []);
  }
});
