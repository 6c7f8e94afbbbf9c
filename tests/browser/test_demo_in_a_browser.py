"""The main job: a chat in the browser, in several tabs, through restarts."""

from __future__ import annotations

import re

import pytest
from playwright.sync_api import expect

from tests.demo.program import DemoProgram


@pytest.fixture
def demo():
    """Run the demo on a free port."""
    with DemoProgram("--port", "0") as program:
        yield program


@pytest.fixture
def visit(window, demo):
    """Open tabs of the chat; fail if a page complained in its console."""
    complaints = []

    def complain(message):
        if message.type in {"error", "warning"}:
            complaints.append(message.text)

    def open_tab(nickname=None, *, context=window):
        page = context.new_page()
        page.on("console", complain)
        page.on("pageerror", lambda error: complaints.append(str(error)))
        page.goto(demo.url)
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
            expect(page.get_by_text("the server has restarted")).to_be_visible()

    # The browser itself reports each attempt that nobody answers.
    visit.complaints[:] = [
        complaint
        for complaint in visit.complaints
        if "ERR_CONNECTION_REFUSED" not in complaint
    ]


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


def test_the_keyboard_is_enough(visit):
    """
    The cursor waits where one writes next; Enter joins and sends.
    """
    page = visit()
    page.keyboard.press("Escape")
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
