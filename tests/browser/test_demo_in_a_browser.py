"""The main job: a chat in the browser, in several tabs, through restarts."""

from __future__ import annotations

import contextlib
import re
import signal
import subprocess
import sys

import pytest
from playwright.sync_api import expect

from socketeer.demo.rooms import KEPT, RECENT, room_topics, topic_of
from socketeer.pubsub import SyncPublisher
from tests.demo.program import DemoProgram
from tests.pubsub.redis_server import RedisServer

# A page that lost its server waits for up to ten seconds before it looks again.
pytestmark = pytest.mark.timeout(120)


@pytest.fixture
def demo():
    """Run the demo on a free port; who is gone is missed for a moment only."""
    with DemoProgram("--port", "0", "--grace", "0.5") as program:
        yield program


@pytest.fixture
def visit(window, demo):
    """Open tabs of the chat; fail if a page complained in its console."""
    complaints = []

    def complain(message):
        if message.type in {"error", "warning"}:
            complaints.append(message.text)

    def open_tab(nickname=None, *, room="", context=window, demo=demo):
        page = context.new_page()
        page.on("console", complain)
        page.on("pageerror", lambda error: complaints.append(str(error)))
        page.goto(f"{demo.url}#{room}")
        if nickname is not None:
            join(page, nickname)
        return page

    open_tab.complaints = complaints
    yield open_tab
    assert [] == complaints


def join(page, nickname):
    """Enter the room as a person does."""
    page.get_by_label("Nickname").fill(nickname)
    page.get_by_role("button", name="Join").click()
    expect(page.get_by_role("status")).to_have_text("Connected")


def say(page, text):
    """Write a message and send it."""
    page.get_by_label("Message", exact=True).fill(text)
    page.get_by_role("button", name="Send").click()


def messages(page):
    """Return the items of the conversation."""
    return page.get_by_role("log", name="Messages").get_by_role("listitem")


def texts(page):
    """Return what was said, without names, times and notices."""
    return page.get_by_role("log", name="Messages").locator(".text")


def members(page):
    """Return the names of those who are here."""
    return page.get_by_role("list", name="Here now").locator(".name")


def numbers(page):
    """Return the numbers of the messages."""
    return page.get_by_role("log", name="Messages").locator(".number")


def room(page, name):
    """Return the way to a room, which tells what is going on there."""
    return page.get_by_role("link", name=name, exact=True)


def say_elsewhere(redis, room, *lines):
    """Say something from a process of its own."""
    command = [sys.executable, "-W", "error", "-m", "socketeer.demo.say"]
    subprocess.run(
        [*command, "--redis", redis.url, "--room", room],
        input="\n".join(lines),
        check=True,
        capture_output=True,
        text=True,
        timeout=30,
    )


def forgive(visit):
    """
    The browser itself reports each attempt that nobody answers, or not any more.
    """
    visit.complaints[:] = [
        complaint
        for complaint in visit.complaints
        if not re.search("ERR_CONNECTION_(REFUSED|RESET)", complaint)
    ]


def test_two_tabs_talk(visit):
    """
    What one tab says appears in both, each time with its author.
    """
    ada, grace = visit("Ada"), visit("Grace")

    say(ada, "Hello, Grace!")
    say(grace, "Hello, Ada!")

    for page in (ada, grace):
        expect(texts(page)).to_have_text(["Hello, Grace!", "Hello, Ada!"])
    expect(messages(ada).filter(has_text="Hello, Grace!")).to_contain_text("You")
    expect(messages(grace).filter(has_text="Hello, Grace!")).to_contain_text("Ada")


def test_tabs_show_who_is_here(visit):
    """
    The list follows everybody who comes and goes, the own name first.
    """
    grace = visit("Grace")
    ada = visit("Ada")

    expect(members(ada)).to_have_text(["Ada", "Grace"])
    expect(members(grace)).to_have_text(["Grace", "Ada"])
    expect(messages(grace)).to_have_text(["Ada joined"])

    ada.close()

    expect(members(grace)).to_have_text(["Grace"])
    expect(messages(grace)).to_have_text(["Ada joined", "Ada left"])


def test_the_same_nickname_twice_gets_a_number(visit):
    """
    A second Ada is told apart from the first, in every tab.
    """
    first = visit("Ada")
    second = visit("Ada")

    expect(members(first)).to_have_text(["Ada", "Ada 2"])
    expect(members(second)).to_have_text(["Ada 2", "Ada"])


def test_the_round_trip_time_is_shown(visit):
    """
    The page measures by messages of its own; browsers cannot send pings.
    """
    page = visit("Ada")

    reading = page.get_by_label("Round-trip time")
    expect(reading).to_have_text(re.compile(r"^\d+(\.\d+)? ms$"))


def test_tabs_reconnect_when_the_server_restarts(visit, demo, screenshot):
    """
    Both tabs notice, keep what is written, come back by themselves, and talk.
    """
    ada, grace = visit("Ada"), visit("Grace")
    say(ada, "before")
    expect(texts(grace)).to_have_text(["before"])

    assert (0, "") == demo.stop()
    for page in (ada, grace):
        expect(page.get_by_role("status")).to_contain_text("reconnecting")
    ada.get_by_label("Message", exact=True).fill("written while away")
    expect(ada.get_by_role("button", name="Send")).to_be_disabled()
    screenshot(ada, "reconnecting")

    with DemoProgram("--port", str(demo.port)):
        for page in (ada, grace):
            expect(page.get_by_role("status")).to_have_text("Connected", timeout=30_000)
        expect(members(ada)).to_have_text(["Ada", "Grace"])
        ada.get_by_role("button", name="Send").click()
        say(grace, "after")
        for page in (ada, grace):
            expect(texts(page)).to_have_text(["before", "written while away", "after"])
            expect(page.get_by_text("Messages may be missing here")).to_be_visible()

    forgive(visit)


def test_what_was_said_while_the_server_died_is_said_once_it_is_back(visit, demo):
    """
    The server takes a message and dies. The page keeps it, and says it again with
    its key.
    """
    ada = visit("Ada")
    demo.process.send_signal(signal.SIGSTOP)
    say(ada, "in flight")
    expect(texts(ada)).to_have_text(["in flight"])
    expect(numbers(ada)).to_have_text([""])
    demo.process.kill()

    with DemoProgram("--port", str(demo.port)):
        expect(numbers(ada)).to_have_text(["#1"], timeout=30_000)
        expect(texts(ada)).to_have_text(["in flight"])
        grace = visit("Grace")
        expect(texts(grace)).to_have_text(["in flight"])

    forgive(visit)


def test_rooms_are_apart(visit, screenshot):
    """
    What is said in one room is heard there; elsewhere it shows that something was.
    """
    ada, grace = visit("Ada", room="Tavern"), visit("Grace", room="Garden")

    say(ada, "in the tavern")
    say(grace, "in the garden")

    expect(texts(ada)).to_have_text(["in the tavern"])
    expect(texts(grace)).to_have_text(["in the garden"])
    expect(members(ada)).to_have_text(["Ada"])
    expect(room(ada, "Garden, 1 person: Grace, 1 new message")).to_be_visible()
    expect(room(ada, "Tavern, 1 person: Ada")).to_have_attribute("aria-current", "page")
    expect(room(ada, "Library, nobody")).to_be_visible()
    screenshot(ada, "rooms")


def test_one_can_walk_from_room_to_room(visit):
    """
    One is in one room at a time; what was missed is there when one comes back.
    """
    ada, grace = visit("Ada"), visit("Grace")
    say(grace, "one")
    expect(texts(ada)).to_have_text(["one"])

    room(ada, "Library, nobody").click()
    expect(room(grace, "Library, 1 person: Ada")).to_be_visible()
    expect(members(ada)).to_have_text(["Ada"])
    expect(messages(grace).filter(has_text="Ada left")).to_be_visible()
    say(ada, "quiet here")
    say(grace, "two")
    say(grace, "three")
    room(ada, "Tavern, 1 person: Grace, 2 new messages").click()

    expect(texts(ada)).to_have_text(["one", "two", "three"])
    expect(ada.get_by_text("2 messages while you were away")).to_be_visible()
    expect(members(ada)).to_have_text(["Ada", "Grace"])
    ada.go_back()
    expect(texts(ada)).to_have_text(["quiet here"])
    expect(ada.get_by_role("status")).to_have_text("Connected")
    expect(members(grace)).to_have_text(["Grace"])


def test_one_can_go_on_before_one_has_arrived(visit):
    """
    Whatever the page asked for on the way, it ends where its reader went.
    """
    ada, grace = visit("Ada"), visit("Grace", room="Garden")

    ada.evaluate(
        "for (const room of ['Library', 'Tavern', 'Garden']) location = '#' + room"
    )
    say(grace, "welcome")

    expect(texts(ada)).to_have_text(["welcome"])
    expect(members(ada)).to_have_text(["Ada", "Grace"])
    expect(room(ada, "Tavern, nobody")).to_be_visible()
    ada.reload()
    expect(texts(ada)).to_have_text(["welcome"])
    ada.get_by_role("link", name="Library").click()
    say(ada, "and on")
    expect(texts(ada)).to_have_text(["and on"])
    expect(numbers(ada)).to_have_text(["#1"])


@pytest.fixture
def redis(redis_server):
    """Run a Redis."""
    server = RedisServer(redis_server)
    with contextlib.closing(server):
        server.start()
        yield server


def test_nothing_is_missed_while_the_server_is_dead(visit, redis, screenshot):
    """
    Kill the server, write in another process, start it again: both pages have every
    message once and in order, also in the room where they were before.
    """
    options = ("--redis", redis.url, "--port")
    with DemoProgram(*options, "0") as demo:
        ada, grace = visit("Ada", demo=demo), visit("Grace", demo=demo)
        say(ada, "before")
        expect(texts(grace)).to_have_text(["before"])
        room(grace, "Garden, nobody").click()
        expect(members(grace)).to_have_text(["Grace"])
        demo.process.kill()
        expect(ada.get_by_role("status")).to_contain_text("reconnecting")
        for place in ("Tavern", "Garden"):
            say_elsewhere(redis, place, *[f"{place} {n}" for n in range(1, 31)])

    with DemoProgram(*options, str(demo.port)):
        for page in (ada, grace):
            expect(page.get_by_role("status")).to_have_text("Connected", timeout=30_000)
        missed = [f"Tavern {n}" for n in range(1, 31)]
        say(ada, "after")
        expect(texts(ada)).to_have_text(["before", *missed, "after"])
        expect(numbers(ada)).to_have_text([f"#{n}" for n in range(1, 33)])
        expect(ada.get_by_text("30 messages while you were away")).to_be_visible()
        screenshot(ada, "recovered")
        expect(texts(grace)).to_have_text([f"Garden {n}" for n in range(1, 31)])
        grace.get_by_role("link", name="Tavern").click()
        expect(texts(grace)).to_have_text(["before", *missed, "after"])
        for page in (ada, grace):
            expect(page.get_by_text("may be missing")).to_have_count(0)

    forgive(visit)


def test_anybody_may_publish_to_a_room(visit, redis):
    """
    Plain text of another program is shown, as that of somebody.
    """
    with DemoProgram("--redis", redis.url, "--port", "0") as demo:
        ada = visit("Ada", demo=demo)
        with contextlib.closing(
            SyncPublisher(redis.url, topics=room_topics())
        ) as publisher:
            publisher.publish(topic_of("Tavern"), "plain text")

        expect(texts(ada)).to_have_text(["plain text"])
        expect(messages(ada)).to_contain_text(["Somebody"])


def test_a_page_is_told_that_messages_are_missing(visit, redis, screenshot):
    """
    It was away for more messages than are kept: it gets the last ones, and says so.
    """
    with DemoProgram("--redis", redis.url, "--port", "0") as demo:
        ada = visit("Ada", demo=demo)
        say(ada, "before")
        expect(numbers(ada)).to_have_text(["#1"])
        demo.process.kill()
        say_elsewhere(redis, "Tavern", *[str(n) for n in range(2, KEPT + 3)])

    with DemoProgram("--redis", redis.url, "--port", str(demo.port)):
        expect(ada.get_by_role("status")).to_have_text("Connected", timeout=30_000)
        recent = [str(n) for n in range(KEPT + 3 - RECENT, KEPT + 3)]
        expect(texts(ada)).to_have_text(["before", *recent])
        expect(numbers(ada)).to_have_text(["#1", *[f"#{n}" for n in recent]])
        expect(ada.get_by_text("Messages may be missing here")).to_have_count(1)
        ada.get_by_text("Messages may be missing here").scroll_into_view_if_needed()
        screenshot(ada, "gap")

    forgive(visit)


def test_a_reloaded_tab_keeps_its_nickname_and_sees_the_history(visit):
    """
    The nickname is kept for the tab; what was said is told by the server.
    """
    page = visit("Ada")
    say(page, "Still here?")
    expect(texts(page)).to_have_text(["Still here?"])

    page.reload()

    expect(page.get_by_role("status")).to_have_text("Connected")
    expect(members(page)).to_have_text(["Ada"])
    expect(texts(page)).to_have_text(["Still here?"])


def test_a_nickname_that_the_server_refuses_can_be_chosen_again(visit):
    """
    The dialog comes back and tells why.
    """
    page = visit()
    page.get_by_label("Nickname").fill("\u202e")
    page.get_by_role("button", name="Join").click()

    expect(page.get_by_role("alert")).to_have_text("The server said: empty nickname.")

    join(page, "Ada")
    expect(members(page)).to_have_text(["Ada"])


def test_html_in_names_and_messages_stays_text(visit):
    """
    Whatever others write is shown letter by letter, and nothing of it runs.
    """
    markup = "<img src=x onerror=alert(1)>"
    mallory = visit("<b>Mallory</b>")
    ada = visit("Ada")
    alerts = []
    ada.on("dialog", lambda dialog: alerts.append(dialog.message))

    say(mallory, markup)

    expect(texts(ada)).to_have_text([markup])
    expect(members(ada)).to_have_text(["Ada", "<b>Mallory</b>"])
    expect(ada.get_by_role("log").locator("img, b, script")).to_have_count(0)
    assert [] == alerts


# Makes a promise that is fulfilled when the listeners of the page have had their turn.
REOPENED = """() => {
  window.reopened = new Promise((resolve) => {
    const dialog = document.getElementById("dialog");
    dialog.addEventListener("close", () => setTimeout(resolve), { once: true });
  });
}"""


def test_the_keyboard_is_enough(visit):
    """
    The cursor waits where one writes next; Enter joins and sends.
    """
    page = visit()
    # The dialog opens again as soon as it is closed: what is typed meanwhile is lost.
    page.evaluate(REOPENED)
    page.keyboard.press("Escape")
    page.evaluate("reopened")
    expect(page.get_by_label("Nickname")).to_be_focused()
    page.keyboard.type("Ada")
    page.keyboard.press("Enter")
    expect(page.get_by_label("Message", exact=True)).to_be_focused()
    page.keyboard.type("one")
    page.keyboard.press("Shift+Enter")
    page.keyboard.type("two")
    page.keyboard.press("Enter")

    expect(texts(page)).to_have_text(["one\ntwo"], use_inner_text=True)


@pytest.mark.parametrize("scheme", ["light", "dark"])
@pytest.mark.parametrize("device", ["phone", "desktop"])
def test_the_page_fits_its_screen(browser, visit, screenshot, device, scheme):
    """
    No page is wider than its screen, by day and by night.
    """
    size = {"phone": (390, 780), "desktop": (1200, 760)}[device]
    context = browser.new_context(
        viewport={"width": size[0], "height": size[1]},
        device_scale_factor=2 if device == "phone" else 1,
        has_touch=device == "phone",
        is_mobile=device == "phone",
        color_scheme=scheme,
    )
    grace = visit("Grace")
    page = visit(context=context)
    screenshot(page, f"join-{device}-{scheme}")
    join(page, "Ada")
    converse(page, grace)
    page.get_by_text("Reconnects").wait_for(state="attached")
    screenshot(page, f"chat-{device}-{scheme}")

    widths = page.evaluate("[document.documentElement.scrollWidth, innerWidth]")
    assert widths[0] == widths[1]
    expect(page.get_by_role("button", name="Send")).to_be_in_viewport(ratio=1)
    context.close()


def converse(ada, grace):
    """Say a few things, so that there is something to look at."""
    conversation = [
        (ada, "Good evening! Who serves this page?"),
        (grace, "The WebSocket library itself: the page and the chat share a port."),
        (grace, "process_request answers the browser, the handshake does the rest."),
        (ada, "And when the server restarts?"),
        (grace, "Try it. We will all be back in a moment, nicknames included."),
        (ada, "x" * 120),
    ]
    for number, (speaker, text) in enumerate(conversation, 1):
        say(speaker, text)
        expect(texts(ada)).to_have_count(number)
