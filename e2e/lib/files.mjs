// The pages of other players, and the players themselves from node_modules, on a port of our own.
import { createServer } from "node:http";
import { readFile } from "node:fs/promises";
import { extname, join, resolve } from "node:path";

const HERE = resolve(import.meta.dirname, "..");
const TYPES = { ".html": "text/html; charset=utf-8", ".js": "text/javascript; charset=utf-8" };

async function find(path) {
  const [, root, ...rest] = path.split("/");
  const directory = { players: "players", modules: "node_modules" }[root];
  if (!directory || rest.includes("..")) return null;
  return readFile(join(HERE, directory, ...rest)).catch(() => null);
}

/** Serves /players/ and /modules/; gives {url, close}. */
export async function serveFiles() {
  const server = createServer(async (request, reply) => {
    const { pathname } = new URL(request.url, "http://localhost");
    const body = await find(pathname);
    reply.writeHead(body ? 200 : 404, { "content-type": TYPES[extname(pathname)] ?? "application/octet-stream" });
    reply.end(body ?? "");
  });
  await new Promise((listening) => server.listen(0, "127.0.0.1", listening));
  return {
    url: `http://127.0.0.1:${server.address().port}`,
    close: () => new Promise((closed) => (server.closeAllConnections(), server.close(closed))),
  };
}
