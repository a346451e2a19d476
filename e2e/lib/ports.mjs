// Ports to be listened at later, and again after a restart.
import { createSocket } from "node:dgram";
import { readFileSync } from "node:fs";
import { createServer } from "node:net";

const RANGE = "/proc/sys/net/ipv4/ip_local_port_range";
/** Above 10080, the last that browsers refuse. */
const LOWEST = 11_000;
/** Those that were given: nobody may listen there yet. */
const given = new Set();

/** Above this the system gives ports to whoever connects somewhere, so that one which is free now may be taken a moment later. */
const limit = () => Math.max(2 * LOWEST, Number.parseInt(readFileSync(RANGE, "utf8"), 10));

/** Whether it can be bound, over TCP and over UDP. */
async function isFree(port, host) {
  const taken = new Promise((resolve) => {
    const server = createServer().once("error", () => resolve(true));
    server.listen(port, host, () => server.close(() => resolve(false)));
  });
  const takenForUdp = new Promise((resolve) => {
    const socket = createSocket("udp4").once("error", () => resolve(true));
    socket.bind(port, host, () => socket.close(() => resolve(false)));
  });
  return !(await taken) && !(await takenForUdp);
}

/** A port that can be bound at all of these addresses, and was not given before. */
export async function freePort(hosts = ["127.0.0.1"]) {
  for (;;) {
    const port = LOWEST + Math.floor(Math.random() * (limit() - LOWEST));
    if (given.has(port)) continue;
    given.add(port);
    const free = await Promise.all(hosts.map((host) => isFree(port, host)));
    if (free.every(Boolean)) return port;
  }
}
