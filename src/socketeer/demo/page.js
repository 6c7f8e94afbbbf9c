/**
 * The page of the chat.
 *
 * What others wrote reaches the document as text only (textContent), never as
 * HTML. The connection is one object with one rule: whenever it is lost, try
 * again, each time after a longer and random wait.
 */

const PING_EVERY = 2_000; // milliseconds between measurements
const FIRST_PINGS = 4; // measurements made faster, to have something to show
const FIRST_PING_EVERY = 250; // milliseconds
const PONG_WITHIN = 10_000; // milliseconds for a pong, or to connect; then it is lost
const FIRST_WAIT = 500; // milliseconds; doubled after each failure
const LONGEST_WAIT = 10_000; // milliseconds
const MEASUREMENTS = 40; // round trips shown
const SAME_BREATH = 120; // seconds between messages shown as one group

// Close codes after which trying again would only fail again.
const POLICY_VIOLATION = 1008;

const $ = (id) => document.getElementById(id);

/** Make an element that shows text, whatever the text contains. */
function element(tag, className, text) {
  const made = document.createElement(tag);
  if (className) made.className = className;
  if (text !== undefined) made.textContent = text;
  return made;
}

// ------------------------------------------------------------------ connection

class Connection {
  /** Opens a WebSocket to `url` and keeps it open; reports to `page`. */
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

// ------------------------------------------------------------------------ page

class Page {
  constructor() {
    this.members = [];
    this.roundTrips = [];
    this.reconnects = 0;
    this.unread = 0;
    this.shown = { epoch: undefined, number: 0 };
    const url = new URL("chat", location.href);
    url.protocol = url.protocol.replace("http", "ws");
    this.connection = new Connection(url, this);
  }

  start() {
    this.listen();
    this.nickname = sessionStorage.getItem("nickname");
    if (this.nickname) this.connection.open();
    else this.askNickname();
  }

  listen() {
    $("join").addEventListener("submit", () => this.join());
    // Escape closes the dialog, and would leave the page without a nickname.
    $("dialog").addEventListener("close", () => this.nickname || this.askNickname());
    $("composer").addEventListener("submit", (event) => {
      event.preventDefault();
      this.say();
    });
    $("text").addEventListener("keydown", (event) => {
      if (event.key === "Enter" && !event.shiftKey && !event.isComposing) {
        event.preventDefault();
        this.say();
      }
    });
    $("text").addEventListener("input", () => this.updateComposer());
    $("retry").addEventListener("click", () => this.connection.retryNow());
    $("newest").addEventListener("click", () => this.showNewest());
    $("messages").addEventListener("scroll", () => this.onScroll());
    window.addEventListener("resize", () => this.atEnd && this.showNewest());
    window.addEventListener("online", () => this.connection.retryNow());
    document.addEventListener("visibilitychange", () => this.onVisibility());
  }

  // ---- coming in

  askNickname(problem = "") {
    this.onState("idle");
    $("problem").textContent = problem;
    $("problem").hidden = !problem;
    $("nickname").value = this.nickname ?? "";
    this.nickname = null;
    if (!$("dialog").open) $("dialog").showModal();
    $("nickname").select();
  }

  join() {
    this.nickname = $("nickname").value;
    sessionStorage.setItem("nickname", this.nickname);
    this.connection.open();
  }

  onOpen() {
    this.connection.send({ type: "join", nickname: this.nickname });
  }

  onRefused(reason) {
    sessionStorage.removeItem("nickname");
    this.askNickname(reason ? `The server said: ${reason}.` : "");
  }

  // ---- what the server tells

  onEvent(event) {
    switch (event.type) {
      case "welcome": return this.onWelcome(event);
      case "joined": return this.onJoined(event);
      case "left": return this.onLeft(event);
      case "said": return this.onSaid(event);
      case "slow down": return this.notice("Slow down: the last message was not sent.");
    }
  }

  onWelcome({ nickname, members, epoch, history, server, core }) {
    const before = this.shown.epoch;
    // What this browser calls us stays in sessionStorage; the server may have
    // added a number because another page has the same name.
    this.me = nickname;
    this.members = members;
    if (before !== undefined) {
      this.reconnects += 1;
      $("reconnects").textContent = this.reconnects;
      this.notice(before === epoch ? "Connected again." : "Connected again; the server has restarted.");
    }
    if (before !== epoch) this.shown = { epoch, number: 0 };
    for (const message of history) this.onSaid(message, false);
    $("server").textContent = `${server}, ${core} core`;
    this.showMembers();
    this.connection.settled();
    this.updateComposer();
    if (before === undefined) $("text").focus();
  }

  onJoined({ nickname }) {
    this.members.push(nickname);
    this.showMembers();
    this.notice(`${nickname} joined`);
  }

  onLeft({ nickname }) {
    this.members = this.members.filter((member) => member !== nickname);
    this.showMembers();
    this.notice(`${nickname} left`);
  }

  onSaid({ number, nickname, text, at }, isNew = true) {
    if (number <= this.shown.number) return; // seen before the reconnection
    this.shown.number = number;
    const mine = nickname === this.me;
    const item = element("li", mine ? "message mine" : "message");
    const last = this.lastSaid;
    if (last && last.nickname === nickname && at - last.at < SAME_BREATH) {
      item.classList.add("continued");
    }
    this.lastSaid = { nickname, at };
    const head = element("p", "head");
    head.append(element("bdi", "name", mine ? "You" : nickname), this.time(at));
    const text_ = element("p", "text", text);
    text_.dir = "auto";
    item.append(avatar(nickname), head, text_);
    this.append(item, mine);
    if (isNew && !mine && document.hidden) this.countUnread(this.unread + 1);
  }

  time(at) {
    const date = new Date(at * 1000);
    const time = element("time", "", date.toLocaleTimeString([], { hour: "2-digit", minute: "2-digit" }));
    time.dateTime = date.toISOString();
    return time;
  }

  notice(text) {
    this.lastSaid = undefined;
    const item = element("li", "notice");
    item.append(element("bdi", "", text));
    this.append(item);
  }

  // ---- talking

  say() {
    const text = $("text").value.trim();
    // A text that cannot be sent now stays where it is.
    if (!text || !this.isOpen || !this.connection.isOpen) return;
    this.connection.send({ type: "say", text });
    $("text").value = "";
    this.updateComposer();
    $("text").focus();
  }

  updateComposer() {
    const text = $("text");
    $("send").disabled = !this.isOpen || !text.value.trim();
    text.style.height = "auto";
    text.style.height = `${text.scrollHeight}px`;
  }

  // ---- the state of the connection

  onState(state) {
    this.isOpen = state === "open";
    $("connection").dataset.state = state;
    $("retry").hidden = state !== "lost";
    document.body.classList.toggle("offline", state === "lost");
    clearInterval(this.countdown);
    if (state === "lost") {
      this.countdown = setInterval(() => this.showWait(), 250);
      this.clearRoundTrip();
    }
    const words = {
      idle: "Not connected",
      connecting: "Connecting…",
      open: "Connected",
      lost: "Connection lost, reconnecting…",
    };
    $("status").textContent = words[state];
    $("connection").removeAttribute("title");
    this.updateComposer();
  }

  showWait() {
    // Outside the live region: nobody wants to hear a countdown.
    const wait = Math.max(0, this.connection.retryAt - Date.now());
    $("connection").title = `Next try in ${Math.ceil(wait / 1000)} s`;
  }

  onRoundTrip(milliseconds) {
    this.roundTrips = [...this.roundTrips, milliseconds].slice(-MEASUREMENTS);
    const sorted = [...this.roundTrips].sort((a, b) => a - b);
    $("rtt").textContent = duration(milliseconds);
    $("best").textContent = duration(sorted[0]);
    $("median").textContent = duration(sorted[sorted.length >> 1]);
    drawSpark(this.roundTrips);
  }

  clearRoundTrip() {
    $("rtt").textContent = "–";
  }

  // ---- showing

  showMembers() {
    const names = [...this.members].sort((a, b) => (b === this.me) - (a === this.me) || a.localeCompare(b));
    $("count").textContent = names.length;
    $("members").replaceChildren(...names.map((name) => {
      const item = element("li", "member");
      item.append(avatar(name), element("bdi", "name", name));
      if (name === this.me) item.append(element("span", "you", "you"));
      return item;
    }));
  }

  append(item, mine = false) {
    const stay = mine || this.atEnd !== false;
    $("nothing").hidden = true;
    $("messages").append(item);
    if (stay) this.showNewest();
    else $("newest").hidden = false;
  }

  showNewest() {
    $("messages").scrollTop = $("messages").scrollHeight;
    $("newest").hidden = true;
    this.atEnd = true;
  }

  onScroll() {
    const { scrollTop, clientHeight, scrollHeight } = $("messages");
    this.atEnd = scrollTop + clientHeight > scrollHeight - 40;
    if (this.atEnd) $("newest").hidden = true;
  }

  onVisibility() {
    if (document.hidden) return;
    this.countUnread(0);
    this.connection.retryNow();
  }

  countUnread(count) {
    this.unread = count;
    document.title = count ? `(${count}) Socketeer chat` : "Socketeer chat";
  }
}

// --------------------------------------------------------------------- drawing

/** A disc with the first letter of a name, in a colour of its own. */
function avatar(name) {
  let hash = 7;
  for (const character of name) hash = (hash * 31 + character.codePointAt(0)) % 65_521;
  const letters = new Intl.Segmenter().segment(name)[Symbol.iterator]();
  const disc = element("span", "avatar", letters.next().value.segment.toUpperCase());
  // Steps of the golden angle keep even similar names apart.
  disc.style.setProperty("--hue", Math.round(hash * 137.508) % 360);
  disc.setAttribute("aria-hidden", "true");
  return disc;
}

function duration(milliseconds) {
  if (milliseconds < 1) return `${milliseconds.toFixed(2)} ms`;
  return milliseconds < 100 ? `${milliseconds.toFixed(1)} ms` : `${Math.round(milliseconds)} ms`;
}

/** Draw the last round trips; the tallest fills the height. */
function drawSpark(values) {
  const tallest = Math.max(...values, 0.5);
  const step = 120 / (MEASUREMENTS - 1);
  const left = 120 - (values.length - 1) * step;
  const points = values.map((value, i) => `${(left + i * step).toFixed(1)},${(34 - (30 * value) / tallest).toFixed(1)}`);
  $("spark-line").setAttribute("points", points.join(" "));
  $("spark-area").setAttribute("points", [`${left},36`, ...points, "120,36"].join(" "));
}

new Page().start();
