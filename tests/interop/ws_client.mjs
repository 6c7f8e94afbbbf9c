/**
 * Runs scripts of peers.py with a client of the `ws` package.
 *
 * Each line of the standard input is a script: an address, options, and steps.
 * Each line of the standard output is what happened: a result for each step
 * that has one. Messages are strings, or {"binary": base64}.
 */

import { createInterface } from "node:readline";
import WebSocket from "ws";

const encode = (data, binary) => (binary ? { binary: data.toString("base64") } : data.toString());
const decode = (data) => (typeof data === "string" ? data : Buffer.from(data.binary, "base64"));

/** A queue to wait at. */
class Queue {
  constructor() {
    this.items = [];
    this.waiting = [];
  }

  put(item) {
    if (this.waiting.length) this.waiting.shift()(item);
    else this.items.push(item);
  }

  get() {
    if (this.items.length) return Promise.resolve(this.items.shift());
    return new Promise((resolve) => this.waiting.push(resolve));
  }
}

function open({ url, subprotocols, deflate }) {
  const perMessageDeflate = deflate && {
    threshold: 0,
    serverNoContextTakeover: deflate.server_no_context_takeover ?? undefined,
    clientNoContextTakeover: deflate.client_no_context_takeover ?? undefined,
    serverMaxWindowBits: deflate.server_max_window_bits ?? undefined,
    clientMaxWindowBits: deflate.client_max_window_bits ?? undefined,
  };
  const socket = new WebSocket(url, subprotocols, {
    maxPayload: 0,
    perMessageDeflate: perMessageDeflate ?? false,
  });
  const messages = new Queue();
  const pongs = new Queue();
  socket.on("message", (data, binary) => messages.put(encode(data, binary)));
  socket.on("pong", (data) => pongs.put(data.toString()));
  const opened = new Promise((resolve, reject) => {
    socket.on("open", resolve);
    socket.on("error", reject);
  });
  const closed = new Promise((resolve) => {
    socket.on("close", (code, reason) => {
      resolve([code, reason.toString()]);
      messages.put({ closed: code });
    });
  });
  return { socket, messages, pongs, opened, closed };
}

const steps = {
  send: ({ socket }, data) => socket.send(decode(data)),
  fragments: ({ socket }, pieces, text) => {
    pieces.forEach((piece, i) => {
      socket.send(decode(piece), { binary: !text, fin: i === pieces.length - 1 });
    });
  },
  receive: ({ messages }) => messages.get(),
  ping: ({ socket, pongs }, data) => {
    socket.ping(data);
    return pongs.get();
  },
  close: ({ socket }, ...how) => socket.close(...how),
  closed: ({ closed }) => closed,
};

async function run(script) {
  const connection = open(script);
  await connection.opened;
  const results = [];
  for (const [name, ...values] of script.steps) {
    const result = await steps[name](connection, ...values);
    if (result !== undefined) results.push(result);
  }
  const { protocol } = connection.socket;
  connection.socket.close();
  await connection.closed;
  return { results, subprotocol: protocol || null };
}

for await (const line of createInterface({ input: process.stdin })) {
  const answer = await run(JSON.parse(line)).catch((error) => ({ error: String(error) }));
  console.log(JSON.stringify(answer));
}
