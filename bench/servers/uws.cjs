// A server on uWebSockets, C++ that is called from Node.js: node uws.cjs PORT [--broadcast [--deflate]]
const uws = require("@trufflesuite/uws-js-unofficial");

const [port, ...options] = process.argv.slice(2);
const broadcasts = options.includes("--broadcast"), compresses = options.includes("--deflate");
const application = uws.App();
application.ws("/*", {
  // One compressor for all, and so one compression of each message; clients have context.
  compression: compresses ? uws.SHARED_COMPRESSOR | uws.DEDICATED_DECOMPRESSOR_4KB : uws.DISABLED,
  idleTimeout: 0,
  maxBackpressure: 16 * 1024 * 1024,
  maxPayloadLength: 16 * 1024 * 1024,
  open: (connection) => connection.subscribe("all"),
  message: (connection, message, binary) => {
    if (broadcasts) application.publish("all", message, binary, compresses);
    else connection.send(message, binary, compresses);
  },
});
application.listen("127.0.0.1", Number(port), (socket) => {
  if (!socket) process.exit(1);
});
