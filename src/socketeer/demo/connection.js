/**
 * A WebSocket that stays open: whenever it is lost, it is opened again, each time
 * after a longer and random wait. It measures round trips on the way.
 */

const PING_EVERY = 2_000; // milliseconds between measurements
const FIRST_PINGS = 4; // measurements made faster, to have something to show
const FIRST_PING_EVERY = 250; // milliseconds
const PONG_WITHIN = 10_000; // milliseconds for a pong, or to connect; then it is lost
const FIRST_WAIT = 500; // milliseconds; doubled after each failure
const LONGEST_WAIT = 10_000; // milliseconds

// The close code after which trying again would only fail again.
const POLICY_VIOLATION = 1008;

export class Connection {
  /** Reports to `page`: onState, onOpen, onEvent, onRoundTrip and onRefused. */
  constructor(url, page) {
    this.url = url;
    this.page = page;
    this.failures = 0;
    this.pingId = 0;
  }

  open() {
    clearTimeout(this.waiting);
    this.retryAt = undefined;
    this.page.onState("connecting");
    this.overdue = setTimeout(() => this.abandon(), PONG_WITHIN);
    this.socket = new WebSocket(this.url);
    this.socket.onopen = () => this.page.onOpen();
    this.socket.onmessage = ({ data }) => this.receive(JSON.parse(data));
    this.socket.onclose = (event) => this.lost(event);
  }

  /** False as soon as the closing handshake begins: send() would discard. */
  get isOpen() {
    return this.socket?.readyState === WebSocket.OPEN;
  }

  send(message) {
    this.socket.send(JSON.stringify(message));
  }

  receive(event) {
    if (event.type === "pong") this.measured(event.id);
    else this.page.onEvent(event);
  }

  /** Call when the server has let us in: failures before that one count. */
  settled() {
    this.failures = 0;
    this.page.onState("open");
    this.startPings();
  }

  lost({ code, reason }) {
    this.stopPings();
    if (code === POLICY_VIOLATION) {
      this.page.onRefused(reason);
      return;
    }
    // "Full jitter": after a restart of the server thousands of pages come
    // back spread over the whole wait, not in waves.
    const longest = Math.min(LONGEST_WAIT, FIRST_WAIT * 2 ** this.failures);
    this.failures += 1;
    const wait = Math.random() * longest;
    this.retryAt = Date.now() + wait;
    this.waiting = setTimeout(() => this.open(), wait);
    this.page.onState("lost");
  }

  retryNow() {
    if (this.retryAt !== undefined) this.open();
  }

  // A browser does not let a page send ping frames, nor see those of the
  // server, so round trips are measured with messages of our own.

  startPings() {
    this.stopPings();
    this.measurements = 0;
    this.ping();
  }

  stopPings() {
    clearTimeout(this.pinging);
    clearTimeout(this.overdue);
  }

  ping() {
    if (!this.isOpen) return;
    this.pingId += 1;
    this.pingSentAt = performance.now();
    this.send({ type: "ping", id: this.pingId });
    this.overdue = setTimeout(() => this.abandon(), PONG_WITHIN);
  }

  measured(id) {
    if (id !== this.pingId) return;
    this.page.onRoundTrip(performance.now() - this.pingSentAt);
    clearTimeout(this.overdue);
    this.measurements += 1;
    const wait = this.measurements < FIRST_PINGS ? FIRST_PING_EVERY : PING_EVERY;
    this.pinging = setTimeout(() => this.ping(), wait);
  }

  /** Give up a connection that died in silence: close() alone would wait. */
  abandon() {
    this.socket.onmessage = null;
    this.socket.onclose = null;
    this.socket.close();
    this.lost({ code: 1006, reason: "" });
  }
}
