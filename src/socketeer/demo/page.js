/**
 * The page of the chat: one connection, a few rooms, and the room one is in.
 *
 * It remembers of each room the position of the last message that it has, and says
 * so when it comes (back) there. The server then sends what is missing, or tells that
 * it cannot.
 */

import { Connection } from "./connection.js";
import { $, RoundTrips, avatar, element } from "./drawing.js";
import { Room } from "./room.js";

const TOPIC = "demo:"; // what the topics of rooms begin with
const SAY_AGAIN_AFTER = 2_000; // milliseconds, when the server could not publish

/** Text that nobody guesses, and no other page has. */
function randomText() {
  // crypto.randomUUID() exists for https and localhost only.
  const bytes = crypto.getRandomValues(new Uint8Array(12));
  return Array.from(bytes, (byte) => byte.toString(16).padStart(2, "0")).join("");
}

class Page {
  me = { id: undefined, nickname: null };
  roundTrips = new RoundTrips();
  connections = 0;
  unread = 0;
  isOpen = false;

  constructor() {
    this.rooms = new Map();
    for (const link of document.querySelectorAll("#rooms a")) {
      const room = new Room(link.hash.slice(1), link, this.me);
      room.onNewest = () => this.updateConversation();
      room.list.addEventListener("scroll", () => this.updateConversation());
      $("lists").append(room.list);
      this.rooms.set(room.name, room);
    }
    const url = new URL("chat", location.href);
    url.protocol = url.protocol.replace("http", "ws");
    url.hash = "";
    this.connection = new Connection(url, this);
  }

  start() {
    this.listen();
    // Kept for this tab, through reloads: whoever has the token is the same person.
    this.token = sessionStorage.getItem("token") ?? randomText();
    sessionStorage.setItem("token", this.token);
    this.me.nickname = sessionStorage.getItem("nickname");
    this.showRoom();
    if (this.me.nickname) this.connection.open();
    else this.askNickname();
  }

  listen() {
    $("join").addEventListener("submit", () => this.join());
    // Escape closes the dialog, and would leave the page without a nickname.
    $("dialog").addEventListener("close", () => this.me.nickname || this.askNickname());
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
    window.addEventListener("hashchange", () => this.walk());
    window.addEventListener("resize", () => this.room.atEnd && this.showNewest());
    window.addEventListener("online", () => this.connection.retryNow());
    document.addEventListener("visibilitychange", () => this.onVisibility());
  }

  // ---- coming in

  askNickname(problem = "") {
    this.onState("idle");
    $("problem").textContent = problem;
    $("problem").hidden = !problem;
    $("nickname").value = this.me.nickname ?? "";
    this.me.nickname = null;
    if (!$("dialog").open) $("dialog").showModal();
    $("nickname").select();
  }

  join() {
    this.me.nickname = $("nickname").value;
    this.connection.open();
  }

  onOpen() {
    this.goTo(this.room, { type: "join", token: this.token, nickname: this.me.nickname });
  }

  onRefused(reason) {
    sessionStorage.removeItem("nickname");
    this.askNickname(reason ? `The server said: ${reason}.` : "");
  }

  // ---- walking from room to room

  /** The room that the address names; the first one if it names none. */
  showRoom() {
    const [first] = this.rooms.values();
    this.room = this.rooms.get(location.hash.slice(1)) ?? first;
    for (const room of this.rooms.values()) {
      const isCurrent = room === this.room;
      room.list.hidden = !isCurrent;
      room.link.setAttribute("aria-current", isCurrent ? "page" : "false");
      if (!isCurrent) room.left();
    }
    this.room.link.scrollIntoView({ block: "nearest", inline: "nearest" });
    if (this.room.atEnd) this.room.showNewest();
    this.updateConversation();
    this.showMembers();
  }

  walk() {
    this.showRoom();
    if (this.isOpen && this.connection.isOpen) this.follow();
  }

  /** Has the server go where the page went. */
  follow() {
    if (this.goingTo !== this.room) this.goTo(this.room, { type: "enter" });
  }

  goTo(room, message) {
    this.goingTo = room;
    this.connection.send({ ...message, room: room.name, since: room.position });
  }

  // ---- what the server tells

  onEvent(event) {
    switch (event.type) {
      case undefined: return this.onMessage(event);
      case "welcome": return this.onWelcome(event);
      case "entering": return this.rooms.get(event.room).entering();
      case "entered": return this.onEntered(event);
      case "joined":
      case "left": return this.onPresence(event);
      case "said": return this.rooms.forEach((room) => room.confirmed(event.key));
      case "not said": return this.onNotSaid();
    }
  }

  onWelcome({ id, nickname, server, core, keeper }) {
    this.me.id = id;
    // The server may have added a number because somebody else has this name.
    this.me.nickname = nickname;
    sessionStorage.setItem("nickname", nickname);
    $("server").textContent = `${server}, ${core} core. Rooms are kept in ${keeper}.`;
    this.isNew = true;
  }

  onEntered({ room: name, people, ...position }) {
    for (const [where, who] of Object.entries(people)) this.rooms.get(where).setPeople(who);
    const room = this.rooms.get(name);
    room.entered(position, this.isNew && this.connections > 0);
    if (this.isNew) this.onSettled();
    this.isNew = false;
    // Meanwhile, one may have gone on to another room.
    if (room !== this.room) room.left();
    this.follow();
    this.sayAgain(room);
    this.showMembers();
    this.updateConversation();
  }

  onSettled() {
    this.connections += 1;
    $("reconnects").textContent = this.connections - 1;
    this.connection.settled();
    if (this.connections === 1) $("text").focus();
  }

  onPresence(event) {
    const room = this.rooms.get(event.room);
    if (event.type === "joined") room.joined(event);
    else room.leaves(event);
    this.showMembers();
  }

  onMessage(message) {
    const room = this.rooms.get(message.topic.slice(TOPIC.length));
    if (room !== this.room) {
      room.countUnread();
    } else if (room.take(message) && document.hidden && message.data.by !== this.me.id) {
      this.countUnread(this.unread + 1);
    }
    this.updateConversation();
  }

  // ---- talking

  say() {
    const text = $("text").value.trim();
    // A text that cannot be sent now stays where it is.
    if (!text || !this.isOpen || !this.connection.isOpen) return;
    const key = randomText();
    this.room.say(key, text);
    // Until the room is entered, the server believes this page to be elsewhere.
    if (this.room.isLive) this.connection.send({ type: "say", key, text });
    $("text").value = "";
    this.updateComposer();
    this.updateConversation();
    $("text").focus();
  }

  /** With the same keys, so that nothing is said twice. */
  sayAgain(room) {
    if (room !== this.room || !room.isLive || !this.connection.isOpen) return;
    for (const [key, text] of room.unconfirmed()) this.connection.send({ type: "say", key, text });
  }

  onNotSaid() {
    clearTimeout(this.sayingAgain);
    this.sayingAgain = setTimeout(() => this.sayAgain(this.room), SAY_AGAIN_AFTER);
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
      this.roundTrips.clear();
      this.room.left();
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
    this.roundTrips.add(milliseconds);
  }

  // ---- showing

  showMembers() {
    const mine = ([id]) => id === this.me.id;
    const people = [...this.room.people].sort((a, b) => mine(b) - mine(a) || a[1].localeCompare(b[1]));
    $("count").textContent = people.length;
    $("members").replaceChildren(...people.map(([id, name]) => {
      const item = element("li", "member");
      item.append(avatar(name), element("bdi", "name", name));
      if (id === this.me.id) item.append(element("span", "you", "you"));
      return item;
    }));
  }

  updateConversation() {
    $("nothing").hidden = !this.room.isEmpty;
    $("newest").hidden = this.room.atEnd;
  }

  showNewest() {
    this.room.showNewest();
    this.updateConversation();
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

new Page().start();
