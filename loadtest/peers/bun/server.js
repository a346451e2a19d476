// The peer of our fan-out in `make bench`: Bun.serve, whose publish() is µWebSockets'. Every text that comes is sent to all.
// usage: bun server.js plain|batch [CERT.pem KEY.pem]
//   batch: what comes within one turn of the loop is published as one text, a message a line.
const [mode, certificate, key] = process.argv.slice(2);

let waiting = [];
function publish() {
  server.publish("bench", waiting.join("\n"));
  waiting = [];
}

const server = Bun.serve({
  hostname: "127.0.0.1",
  port: 0,
  tls: certificate ? { cert: Bun.file(certificate), key: Bun.file(key) } : undefined,
  fetch: (request, server) => (server.upgrade(request) ? undefined : new Response("a WebSocket", { status: 426 })),
  websocket: {
    idleTimeout: 0,
    perMessageDeflate: false,
    open: (socket) => socket.subscribe("bench"),
    message: (_socket, text) => {
      if (mode === "plain") return server.publish("bench", text);
      if (waiting.push(text) === 1) setImmediate(publish);
    },
  },
});
console.log(JSON.stringify({ address: `127.0.0.1:${server.port}` }));
