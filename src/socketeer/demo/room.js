/**
 * A room, as far as this page knows it: who is there, what was said, and the
 * position from which to go on.
 *
 * What others wrote reaches the document as text only (textContent), never as
 * HTML.
 */

import { avatar, element } from "./drawing.js";

const SAME_BREATH = 120; // seconds between messages shown as one group
const MOST_SHOWN = 1_000; // messages and notices; older ones are removed
const MOST_FACES = 3; // shown of those who are in a room
const NEAR_END = 40; // pixels from the end that count as the end

const GAP = "Messages may be missing here: the server has forgotten what was said meanwhile.";

/** "1 message", "2 messages". */
const count = (number, thing, things = `${thing}s`) => `${number} ${number === 1 ? thing : things}`;

export class Room {
  people = new Map(); // nicknames by user
  position = null; // of the last message that is here
  seen = new Set(); // the ids of messages that are here
  outbox = new Map(); // what this page said and has not come back, by key
  unread = 0;
  atEnd = true;
  arriving = null; // messages that came since the room was entered, until it is known what is missing
  isLive = false; // whether messages are shown as they come

  /** `link` leads to the room; `me` is who looks at it. */
  constructor(name, link, me) {
    this.name = name;
    this.link = link;
    this.me = me;
    this.list = element("ol", "messages");
    this.list.setAttribute("role", "log");
    this.list.setAttribute("aria-live", "polite");
    this.list.setAttribute("aria-label", "Messages");
    this.list.tabIndex = 0;
    this.list.hidden = true;
    this.list.addEventListener("scroll", () => this.onScroll());
    this.faces = element("span", "faces");
    this.badge = element("span", "unread");
    link.replaceChildren(element("span", "label", name), this.faces, this.badge);
    this.showLink();
  }

  // ---- coming and going

  /** The server begins to send what is missing here. */
  entering() {
    this.arriving = [];
    this.isLive = false;
  }

  /** All of it has come: show it, after what tells whether it is complete. */
  entered({ recovered, position }, isBack) {
    const arrived = this.arriving.filter(({ data }) => !this.seen.has(data.id));
    if (this.position !== null && !recovered) this.notice(GAP, "gap");
    else if (this.position !== null && arrived.length)
      this.notice(`${count(arrived.length, "message")} while you were away`, "missed");
    else if (isBack) this.notice("Connected again. Nothing was missed.");
    this.position = position;
    for (const message of arrived) this.show(message);
    this.arriving = null;
    this.isLive = true;
    this.unread = 0;
    this.showLink();
  }

  /** The server sends nothing from here any more, or only to tell that it could. */
  left() {
    this.arriving = null;
    this.isLive = false;
  }

  setPeople(people) {
    this.people = new Map(people.map(({ id, nickname }) => [id, nickname]));
    this.showLink();
  }

  /** Returns whether this was news. */
  joined({ id, nickname }) {
    const isNew = !this.people.has(id);
    this.people.set(id, nickname);
    this.showLink();
    if (isNew && this.isLive && id !== this.me.id) this.notice(`${nickname} joined`);
  }

  leaves({ id, nickname }) {
    const wasHere = this.people.delete(id);
    this.showLink();
    if (wasHere && this.isLive && id !== this.me.id) this.notice(`${nickname} left`);
  }

  showLink() {
    const names = [...this.people.values()].sort((a, b) => a.localeCompare(b));
    const faces = names.slice(0, MOST_FACES).map(avatar);
    if (names.length > MOST_FACES) faces.push(element("span", "more", `+${names.length - MOST_FACES}`));
    this.faces.replaceChildren(...faces);
    this.link.dataset.people = names.length || "";
    this.badge.textContent = this.unread || "";
    this.badge.hidden = !this.unread;
    const here = count(names.length, "person", "people");
    this.link.title = names.length ? `${here}: ${names.join(", ")}` : "nobody";
    const news = this.unread ? `, ${count(this.unread, "new message")}` : "";
    this.link.setAttribute("aria-label", `${this.name}, ${this.link.title}${news}`);
  }

  // ---- messages

  /** Takes a message from the server; returns whether it is shown now. */
  take(published) {
    const message = understood(published);
    if (this.arriving) this.arriving.push(message);
    if (!this.isLive || this.seen.has(message.data.id)) return false;
    this.show(message);
    return true;
  }

  /** Something was said elsewhere. */
  countUnread() {
    this.unread += 1;
    this.showLink();
  }

  show({ position, data }) {
    const key = data.by === this.me.id ? data.id.slice(this.me.id.length + 1) : "";
    this.outbox.get(key)?.item.remove();
    this.outbox.delete(key);
    this.position = position;
    this.seen.add(data.id);
    const item = this.said(data, position);
    item.dataset.id = data.id;
  }

  said({ by, nickname, text, at }, position) {
    const isMine = by === this.me.id;
    const item = element("li", isMine ? "message mine" : "message");
    const last = this.lastSaid;
    const who = by ?? nickname;
    if (last && last.who === who && at - last.at < SAME_BREATH && last.item.isConnected) {
      item.classList.add("continued");
    }
    this.lastSaid = { who, at, item };
    const head = element("p", "head");
    head.append(element("bdi", "name", isMine ? "You" : nickname), time(at));
    const line = element("p", "line");
    const words = element("span", "text", text);
    words.dir = "auto";
    // For people to see; programs keep positions as they are.
    const number = position ? position.slice(position.lastIndexOf(".") + 1) : "";
    line.append(words, element("span", "number", number && `#${number}`));
    item.append(avatar(nickname), head, line);
    this.append(item, isMine);
    return item;
  }

  notice(text, kind = "") {
    this.lastSaid = undefined;
    const item = element("li", `notice ${kind}`.trim());
    item.append(element("bdi", "", text));
    this.append(item);
  }

  // ---- what this page says

  /** Shows what is on its way; it is shown again when it comes back. */
  say(key, text) {
    const before = this.lastSaid;
    const item = this.said({ by: this.me.id, nickname: this.me.nickname, text, at: Date.now() / 1000 });
    this.lastSaid = before;
    item.classList.add("pending");
    this.outbox.set(key, { text, item });
  }

  /** The server has it: it need not be said again, whenever it comes back. */
  confirmed(key) {
    const said = this.outbox.get(key);
    if (!said) return;
    said.isConfirmed = true;
    said.item.classList.remove("pending");
  }

  /** What the server may not have, as pairs of key and text. */
  unconfirmed() {
    const said = [...this.outbox].filter(([, { isConfirmed }]) => !isConfirmed);
    return said.map(([key, { text }]) => [key, text]);
  }

  // ---- showing

  append(item, stay = false) {
    this.list.append(item);
    while (this.list.children.length > MOST_SHOWN) this.forget(this.list.firstChild);
    if (stay || this.atEnd) this.showNewest();
    else this.onNewest?.();
  }

  forget(item) {
    this.seen.delete(item.dataset.id);
    item.remove();
  }

  get isEmpty() {
    return !this.list.children.length;
  }

  showNewest() {
    this.list.scrollTop = this.list.scrollHeight;
    this.atEnd = true;
  }

  onScroll() {
    if (this.list.hidden) return;
    const { scrollTop, clientHeight, scrollHeight } = this.list;
    this.atEnd = scrollTop + clientHeight > scrollHeight - NEAR_END;
  }
}

/** Anybody may publish here: plain text is a message, too. */
function understood({ position, data }) {
  const said = typeof data === "object" && data ? data : { text: String(data) };
  return { position, data: { id: position, by: null, nickname: "Somebody", at: Date.now() / 1000, ...said } };
}

function time(at) {
  const date = new Date(at * 1000);
  const made = element("time", "", date.toLocaleTimeString([], { hour: "2-digit", minute: "2-digit" }));
  made.dateTime = date.toISOString();
  return made;
}
