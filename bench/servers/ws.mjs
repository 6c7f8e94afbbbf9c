// A server on ws, the library of Node.js: node ws.mjs PORT [--broadcast]
import { WebSocketServer } from "ws";

const [port, mode] = process.argv.slice(2);
const server = new WebSocketServer({ host: "127.0.0.1", port: Number(port), perMessageDeflate: false });
server.on("connection", (connection) => {
  connection.on("error", () => {});
  connection.on("message", (data, binary) => {
    if (mode === "--broadcast") for (const client of server.clients) client.send(data, { binary });
    else connection.send(data, { binary });
  });
});
