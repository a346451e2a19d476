// Ten thousand viewers of one stream, each on a connection of its own.
import assert from "node:assert/strict";
import { after, before, test } from "node:test";
import { join } from "node:path";
import { BINARY, Freshet } from "../lib/freshet.mjs";
import { Program } from "../lib/process.mjs";

const LOADTEST = join(BINARY, "../loadtest");

let freshet;

before(async () => {
  const room = ["http.connections_per_address", "reload.held_per_address"].map((key) => `edge.${key}=12000`);
  // With parts of 2 s each viewer asks once a second: a slow machine can do that, in a debug build. Playlists name the parts of
  // the last segments alone: of long ones, so that whoever stood still for some seconds still finds all.
  const packaging = ["part_ms=2000", "segment_ms=8000"].map((setting) => `origin.packaging.${setting}`);
  freshet = await Freshet.start("--demo", ...[...room, ...packaging].flatMap((setting) => ["--set", setting]));
});
after(() => freshet?.stop());

/** Runs a program to its end; gives what it said. */
async function run(command, args) {
  const program = new Program(command, args);
  const { code } = await program.end(300_000);
  assert.equal(code, 0, program.output);
  return program.output;
}

test("10,000 viewers follow the sound, and what they get is what the origin has", async () => {
  await freshet.live();
  const identity = ["node.pem", "node.key", "ca.pem"].map((file) => join(freshet.dir, "edge", file)).join(",");
  const json = join(freshet.dir, "report.json");
  const said = await run(LOADTEST, [
    ...["view", freshet.info.hls_url, "--viewers", "10000", "--tracks", "audio", "--ramp", "10", "--duration", "40"],
    ...["--origin", freshet.info.quic_address, "--origin-name", "origin", "--identity", identity],
    ...["--server-pids", String(freshet.info.pid), "--json", json],
  ]);
  assert.match(said, /10000 playing/);
  assert.match(said, /hashed and compared with the origin's/);
  console.log(said.replace(/^/gm, "# "));
});
