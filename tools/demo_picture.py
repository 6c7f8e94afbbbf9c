"""
Takes the picture of the demo in the documentation: docs/images/demo.png.

A browser and a phone talk; the server is killed, another process says something, and
the server is back. Needs a Redis server, Chromium and the group `test`.

    python tools/demo_picture.py
"""

from __future__ import annotations

import base64
import contextlib
import shutil
import sys
from collections.abc import Iterator
from pathlib import Path
from typing import Any

from playwright.sync_api import Browser, Page, expect, sync_playwright

ROOT = Path(__file__).parent.parent
sys.path.insert(0, str(ROOT))

from socketeer.demo.rooms import room_topics, saying, topic_of  # noqa: E402
from socketeer.pubsub import SyncPublisher  # noqa: E402
from tests.demo.program import DemoProgram  # noqa: E402
from tests.pubsub.redis_server import RedisServer  # noqa: E402

__all__ = ["main"]

PICTURE = ROOT / "docs" / "images" / "demo.png"

DESKTOP: dict[str, Any] = {
    "viewport": {"width": 1000, "height": 630},
    "color_scheme": "light",
}
PHONE: dict[str, Any] = {
    "viewport": {"width": 320, "height": 570},
    "color_scheme": "dark",
    "is_mobile": True,
}

# Both screens, side by side.
FRAME = """
<style>
  body { margin: 0; display: flex; align-items: center; gap: 28px; padding: 28px;
         width: max-content; background: #dadeee; }
  img { display: block; border-radius: 14px;
        box-shadow: 0 12px 40px rgb(25 28 46 / 18%); }
  img + img { border: 6px solid #23243a; border-radius: 34px; }
</style>
"""


def main() -> None:
    """
    Play the scene and take the picture.
    """
    chromium = shutil.which("chromium") or shutil.which("google-chrome")
    redis = RedisServer(shutil.which("redis-server") or shutil.which("valkey-server"))
    with contextlib.closing(redis), sync_playwright() as playwright:
        redis.start()
        flags = ["--no-sandbox"]
        browser = playwright.chromium.launch(executable_path=chromium, args=flags)
        publisher = SyncPublisher(redis.url, topics=room_topics())
        with contextlib.closing(publisher), contextlib.closing(browser):
            pictures = play(browser, redis.url, publisher)
            compose(browser, pictures)


def play(browser: Browser, url: str, publisher: SyncPublisher) -> list[bytes]:
    """
    Play the scene; return pictures of the screens.
    """
    options = ["--redis", url, "--port"]
    with DemoProgram(*options, "0") as demo:
        address, port = demo.url, str(demo.port)
        ada = enter(browser, address, "Ada", DESKTOP)
        zoe = enter(browser, address, "Zoë", PHONE)
        grace = enter(browser, address, "Grace", DESKTOP)
        athos = enter(browser, f"{address}#Garden", "Athos", DESKTOP)
        conversation = [
            (grace, "Where does this page come from?"),
            (ada, "From the WebSocket library itself."),
            (zoe, "Hello from my phone! And when the server is killed?"),
            (ada, "Try it."),
        ]
        for number, (page, text) in enumerate(conversation, 1):
            say(page, text)
            for screen in (ada, zoe):
                expect(screen.locator(".number").last).to_have_text(f"#{number}")
        demo.process.kill()
        expect(ada.get_by_role("status")).to_contain_text("reconnecting")
    for number, text in enumerate(
        ["The server is down.", "I say this to Redis alone."]
    ):
        said = saying(text, key=str(number), nickname="Cron", at=now(ada))
        publisher.publish_json(topic_of("Tavern"), said)
    with DemoProgram(*options, port):
        for page in (ada, zoe, grace, athos):
            expect(page.get_by_role("status")).to_have_text("Connected", timeout=30_000)
        say(athos, "Anybody in the garden?")
        say(ada, "Everybody is back, and nothing is missing.")
        expect(zoe.locator(".text")).to_have_count(7)
        expect(ada.locator(".unread:visible")).to_have_text("1")
        ada.wait_for_timeout(2_000)  # for a few round trips to be drawn
        return [page.screenshot() for page in (ada, zoe)]


def enter(browser: Browser, url: str, nickname: str, screen: dict[str, Any]) -> Page:
    """
    Open a page and join.
    """
    page = browser.new_page(device_scale_factor=1.25, **screen)
    page.goto(url)
    page.get_by_label("Nickname").fill(nickname)
    page.get_by_role("button", name="Join").click()
    expect(page.get_by_role("status")).to_have_text("Connected")
    return page


def say(page: Page, text: str) -> None:
    """
    Write a message and send it.
    """
    page.get_by_label("Message", exact=True).fill(text)
    page.get_by_role("button", name="Send").click()


def now(page: Page) -> float:
    """
    Return the time of day, in seconds.
    """
    milliseconds: float = page.evaluate("Date.now()")
    return milliseconds / 1000


def compose(browser: Browser, pictures: list[bytes]) -> None:
    """
    Show the screens beside each other.
    """
    page = browser.new_page(
        viewport={"width": 1500, "height": 700}, device_scale_factor=1.25
    )
    page.set_content(FRAME + "".join(images(pictures)))
    page.locator("body").screenshot(path=PICTURE)


def images(pictures: list[bytes]) -> Iterator[str]:
    """
    Return the pictures in HTML, at the size of the screens.
    """
    for picture, screen in zip(pictures, (DESKTOP, PHONE), strict=True):
        data = base64.b64encode(picture).decode("ascii")
        width = screen["viewport"]["width"]
        yield f'<img width="{width}" src="data:image/png;base64,{data}">'


if __name__ == "__main__":
    main()
