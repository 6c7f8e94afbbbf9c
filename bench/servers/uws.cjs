// A server on uWebSockets, C++ that is called from Node.js: node uws.cjs PORT [--broadcast]
const uws = require("@trufflesuite/uws-js-unofficial");

const [port, mode] = process.argv.slice(2);
const application = uws.App();
application.ws("/*", {
  compression: uws.DISABLED,
  idleTimeout: 0,
  maxBackpressure: 16 * 1024 * 1024,
  maxPayloadLength: 16 * 1024 * 1024,
  open: (connection) => connection.subscribe("all"),
  message: (connection, message, binary) => {
    if (mode === "--broadcast") application.publish("all", message, binary);
    else connection.send(message, binary);
  },
});
application.listen("127.0.0.1", Number(port), (socket) => {
  if (!socket) process.exit(1);
});
