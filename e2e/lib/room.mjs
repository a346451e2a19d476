// The example server of IRC: one channel, `ada`, of ada, with the moderator mod.
import { spawn } from "node:child_process";
import { once } from "node:events";
import { join, resolve } from "node:path";

const ROOT = resolve(import.meta.dirname, "../..");
const TARGET = process.env.CARGO_TARGET_DIR ?? join(ROOT, "target");

export class Room {
  static async start() {
    const room = new Room();
    room.child = spawn(join(TARGET, "debug/examples/irc"), [], { stdio: ["pipe", "pipe", "inherit"] });
    const [line] = await once(room.child.stdout, "data");
    Object.assign(room, JSON.parse(String(line)));
    return room;
  }

  token(name) {
    return `${name}.X.Y`;
  }

  async stop() {
    const end = once(this.child, "exit");
    this.child.stdin.end();
    await end;
  }
}
