"""
The page and the charts that are made of results.
"""

from __future__ import annotations

import pytest

from bench.charts import draw, panel
from bench.memory import Part
from bench.report import BEGIN, END, PAGE, generated, replaced, summary
from bench.rows import named

ECHO = named("echo-64")[0]


def sample(value, **more):
    return {"value": value, **more}


@pytest.fixture
def results():
    return {
        "about": {"date": "2026-11-21", "python": "CPython 3.11.2"},
        "rows": {
            "echo-64": {
                "socketeer": [sample(340_000.0), sample(345_000.0), sample(380_000.0)],
                "websockets": [sample(100_000.0)] * 3,
                "echo server in C": [sample(400_000.0)] * 3,
            },
            "deflate": {"websockets": [sample(9_000.0, bytes=300.4)]},
        },
        "memory": [
            {
                "loop": "uvloop",
                "parts": [Part("Link", 1, 608), Part("str", 2, 120)],
                "traced": 900.2,
                "resident": 1000.0,
            }
        ],
        "failed": [],
    }


def test_the_page_shows_targets_with_what_was_reached(results):
    """
    Targets that were measured have a median, a range and a verdict.
    """
    lines = generated(results).splitlines()

    row = "Echo, 64 B, 1 in flight"
    reached = "≥ 3.4 × | 3.45 (3.40 to 3.80) | 4.00 | ok"
    assert f"| {row} | socketeer / websockets | {reached} |" in lines
    unknown = f"| {row} | socketeer / picows core | ≥ 1 × | – |  | not measured |"
    assert unknown in lines


def test_the_page_shows_figures_of_measured_rows(results):
    """
    Large figures are rounded; bytes are reported where messages are compressed.
    """
    page = generated(results)

    assert "| socketeer | 345 000 | 340 000 to 380 000 |" in page
    assert "| websockets | 9 000 | 9 000 to 9 000 | 300 |" in page
    assert "### Opening handshakes" not in page


def test_the_page_shows_how_busy_servers_were(results):
    """
    Where a server was not, something else was the limit.
    """
    busy = {"server_core": 0.98, "load_core": 0.5}
    results["rows"]["echo-64"]["socketeer"] = [sample(9_000.0, **busy)]
    samples = results["rows"]["echo-64"]

    page = generated(results)

    assert "| socketeer | 9 000 | 9 000 to 9 000 | 98 % |" in page
    assert "| websockets | 100 000 | 100 000 to 100 000 |  |" in page
    assert "(9 000 to 9 000)   server 98 %, load 50 %" in summary(ECHO, samples)


def test_the_page_tells_how_many_connections_were_watched(results):
    """
    There may have been fewer than planned.
    """
    results["rows"]["idle-cpu"] = {"socketeer": [sample(2.5, connections=19_900)]}

    assert "| socketeer, 19900 connections | 2.50 | 2.50 to 2.50 |" in generated(
        results
    )


def test_the_page_shows_how_bytes_add_up(results):
    """
    Objects, their sum, and what is counted around them.
    """
    page = generated(results)

    assert "| `Link` | 1 | 608 |" in page
    assert "| all objects | 3 | 728 |" in page
    assert "| resident, as the system counts | | 1000 |" in page


def test_only_charts_that_were_drawn_are_shown(results):
    """
    No link leads nowhere.
    """
    page = generated(results, ["echo"])

    assert 1 == page.count("](images/performance-")


def test_the_generated_part_replaces_the_one_before(results):
    """
    What was written by hand stays, and a second time changes nothing.
    """
    page = f"before\n{BEGIN}\nold\n{END}\nafter\n"

    new = replaced(page, generated(results))

    assert new.startswith(f"before\n{BEGIN}")
    assert new.endswith(f"{END}\nafter\n")
    assert "old" not in new
    assert new == replaced(new, generated(results))


def test_a_page_without_markers_is_an_error():
    """
    Nothing is written where it does not belong.
    """
    with pytest.raises(ValueError, match="does not have the two markers"):
        replaced("by hand", "generated")


def test_the_page_has_its_markers():
    """
    The page in the repository can be written anew.
    """
    text = PAGE.read_text("utf-8")

    assert (1, 1) == (text.count(BEGIN), text.count(END))


def test_the_terminal_shows_medians_and_verdicts(results):
    """
    The same figures, for whoever waits for them.
    """
    text = summary(ECHO, results["rows"]["echo-64"])

    assert "345 000   (340 000 to 380 000)" in text
    assert "socketeer / websockets: 3.45 (3.40 to 3.80), wanted ≥ 3.4 ×: ok" in text


class Axes:
    """
    Remembers what is drawn on it.
    """

    def __init__(self):
        self.drawn = {}
        self.xaxis = self
        self.spines = {"top": self, "right": self}

    def __getattr__(self, name):
        def remember(*arguments, **keywords):
            self.drawn[name] = (arguments, keywords)

        return remember


def test_bars_are_medians_with_the_range_of_the_rounds():
    """
    Ours have a colour of their own; who was not measured has no bar.
    """
    axes = Axes()
    panel(axes, ECHO, {"socketeer": [2.0, 1.0, 4.0], "peer": [1.0], "absent": []})
    (names, medians), keywords = axes.drawn["barh"]

    assert (["socketeer", "peer"], [2.0, 1.0]) == (names, medians)
    assert [[1.0, 0.0], [2.0, 0.0]] == keywords["xerr"]
    assert keywords["color"][0] != keywords["color"][1]


def test_the_same_figures_give_the_same_picture(tmp_path):
    """
    Running again changes no file unless figures changed.
    """
    pytest.importorskip("matplotlib", reason="only the bench environment draws")
    samples = {ECHO.name: {"socketeer": [1.0, 2.0]}}
    pictures = []
    for name in ("one", "two"):
        folder = tmp_path / name
        folder.mkdir()
        draw(samples, folder)
        pictures.append({p.name: p.read_bytes() for p in folder.iterdir()})

    assert pictures[0] == pictures[1]
    assert b"Echo, 64 B, 1 in flight" in pictures[0]["performance-echo.svg"]
