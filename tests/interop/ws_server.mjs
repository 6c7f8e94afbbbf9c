/**
 * Serves the programs of peers.py with the `ws` package, all in one process.
 *
 * Prints its port, then serves until its standard input ends. The path of a
 * request names the program, its query the options of the connection.
 */

import { createServer } from "node:http";
import { WebSocketServer } from "ws";

/** Turn "10" into 10, "true" into true; what is missing stays undefined. */
function option(query, name) {
  const value = query.get(name);
  return value === null ? undefined : JSON.parse(value);
}

function settings(query) {
  const offered = query.get("subprotocols")?.split(",") ?? [];
  return {
    noServer: true,
    maxPayload: 0,
    handleProtocols: (wanted) => offered.find((name) => wanted.has(name)) ?? false,
    perMessageDeflate: query.has("deflate") && {
      threshold: 0,
      serverNoContextTakeover: option(query, "server_no_context_takeover"),
      clientNoContextTakeover: option(query, "client_no_context_takeover"),
      serverMaxWindowBits: option(query, "server_max_window_bits"),
      clientMaxWindowBits: option(query, "client_max_window_bits"),
    },
  };
}

/** Send a message in fragments of `size` bytes, also within characters. */
function sendFragments(socket, data, binary, size) {
  for (let start = 0; ; start += size) {
    const fin = start + size >= data.length;
    socket.send(data.subarray(start, start + size), { binary, fin });
    if (fin) return;
  }
}

let lastClose = "none";

const programs = {
  "/echo": (socket) => {
    socket.on("message", (data, binary) => socket.send(data, { binary }));
  },
  "/fragments": (socket, query) => {
    const size = option(query, "size");
    socket.on("message", (data, binary) => sendFragments(socket, data, binary, size));
  },
  "/ping": (socket) => {
    socket.on("pong", (data) => socket.send(`pong ${data}`));
    socket.ping("from the server");
  },
  "/close": (socket, query) => {
    const code = option(query, "code");
    if (code === undefined) socket.close();
    else socket.close(code, query.get("reason"));
  },
  "/listen": (socket) => {
    socket.on("close", (code, reason) => { lastClose = `${code} ${reason}`; });
  },
  "/report": (socket) => socket.send(lastClose),
};

const http = createServer();
http.on("upgrade", (request, stream, head) => {
  const url = new URL(request.url, "http://localhost");
  const server = new WebSocketServer(settings(url.searchParams));
  server.handleUpgrade(request, stream, head, (socket) => {
    socket.on("error", () => {}); // "close" follows and tells the code
    programs[url.pathname](socket, url.searchParams);
  });
});
http.listen(0, "127.0.0.1", () => console.log(http.address().port));
process.stdin.on("end", () => process.exit(0)).resume();
