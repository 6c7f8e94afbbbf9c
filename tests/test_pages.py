"""
The machinery that runs the documentation does what it promises.
"""

from __future__ import annotations

import pytest

from tests.pages import Part, parts, run_page

SERVER = """\
```python
# server.py
import socket

with socket.create_server(("localhost", 8765)) as listener:
    print("listening", flush=True)
    while True:
        listener.accept()[0].close()
```
"""

# What a page does so that its test can see how far it came.
WRITE = "__import__('pathlib').Path('seen').write_text(str({}))"


@pytest.fixture
def run(tmp_path, monkeypatch):
    monkeypatch.chdir(tmp_path)

    def run(text):
        source = tmp_path / "page.md"
        source.write_text(text)
        run_page(source, tmp_path)

    return run


PARTS = [
    ("```python\nx = 1\n```", Part("code", "x = 1\n", 2)),
    ("-   item\n\n    ```python\n    x = 1\n    ```", Part("code", "x = 1\n", 4)),
    (":::{tab}\n```python\nx = 1\n```\n:::", Part("code", "x = 1\n", 3)),
    ("````{note}\n```python\nx = 1\n```\n````", Part("code", "x = 1\n", 3)),
    ("```{code-block} python\nx = 1\n```", Part("code", "x = 1\n", 2)),
    ("```python\n# a.py\nx\n```", Part("file", "# a.py\nx\n", 2, "a.py")),
    ("```python\n# a/b/c.py\nx\n```", Part("file", "# a/b/c.py\nx\n", 2, "a/b/c.py")),
    (
        "```python\n# a.py, at the end\nx\n```",
        Part("more", "# a.py, at the end\nx\n", 2, "a.py"),
    ),
    ("```js\n// a.js\nx\n```", Part("file", "// a.js\nx\n", 2, "a.js")),
    (
        "```html\n<!-- a.html -->\n<p>\n```",
        Part("file", "<!-- a.html -->\n<p>\n", 2, "a.html"),
    ),
    (
        "<!-- not run: takes a year -->\n```python\nx = 1\n```",
        Part("excused", "x = 1\n", 3),
    ),
    ("<!-- test x = 1 -->", Part("code", "x = 1 \n", 1)),
    ("<!-- test\nx = 1\n-->", Part("code", "\nx = 1\n\n", 1)),
]


@pytest.mark.parametrize(("page", "part"), PARTS)
def test_finds_the_parts_of_a_page(page, part):
    """
    Blocks, files, hidden tests and excuses are told apart, wherever they stand.
    """
    assert [part] == list(parts(page))


MEANINGLESS = [
    "```sh\nmake test\n```",
    "<!-- tests are elsewhere -->",
    "````markdown\n```python\nx = 1\n```\n````",
]


@pytest.mark.parametrize("page", MEANINGLESS)
def test_leaves_the_rest_alone(page):
    """
    Other languages, other comments and quoted blocks mean nothing.
    """
    assert [] == list(parts(page))


def test_a_block_must_be_closed():
    """
    A block without an end would hide the rest of the page.
    """
    with pytest.raises(ValueError, match="line 1: the block is never closed"):
        list(parts("```python\nx = 1"))


def test_blocks_share_a_namespace_and_may_await(run, tmp_path):
    """
    A block uses what blocks above it defined; ``await`` needs no function.
    """
    run(
        "```python\nimport asyncio\nx = 1\n```\n"
        "```python\nx += await asyncio.sleep(0, 1)\n```\n"
        f"<!-- test {WRITE.format('x')} -->"
    )

    assert "2" == (tmp_path / "seen").read_text()


def test_a_failure_tells_the_line_of_the_page(run):
    """
    An author sees where the page is wrong.
    """
    with pytest.raises(ZeroDivisionError) as failure:
        run("# Title\n\n```python\nx = 1\nx / 0\n```")

    assert ("page.md", 5) == (
        failure.traceback[-1].path.name,
        failure.traceback[-1].lineno + 1,
    )


def test_an_excused_block_must_still_be_python(run):
    """
    Not running a block is no excuse for a syntax error.
    """
    with pytest.raises(SyntaxError):
        run("<!-- not run: no reason -->\n```python\nx =\n```")


def test_runs_a_file_to_its_end(run, tmp_path):
    """
    ``run`` gives a program its input and returns its output.
    """
    run(
        "```python\n# a.py\nprint(input() * 2)\n```\n"
        '<!-- test output = await run("a.py", input="77") -->\n'
        f"<!-- test {WRITE.format('output')} -->"
    )

    assert "7777" in (tmp_path / "seen").read_text()


def test_a_block_adds_to_a_file(run):
    """
    A file in a folder is written, and gets more at its end.
    """
    run(
        "```python\n# a/b.py\nx = 1\n```\n"
        "```python\n# a/b.py, at the end\nprint(x + 4711)\n```\n"
        '<!-- test assert "4712" in await run("a/b.py") -->'
    )


def test_a_block_adds_to_no_file_that_is_not_there(run):
    """
    The name is a mistake, then.
    """
    with pytest.raises(FileNotFoundError):
        run("```python\n# a.py, at the end\nx = 1\n```")


def test_a_failed_program_fails_the_page(run):
    """
    The failure shows what the program printed.
    """
    with pytest.raises(AssertionError, match="ZeroDivisionError"):
        run('```python\n# a.py\n1 / 0\n```\n<!-- test await run("a.py") -->')


def test_a_server_runs_until_it_is_stopped(run, tmp_path):
    """
    ``start`` returns when the port is open; the page connects to the same port.
    """
    run(
        f'{SERVER}\n<!-- test server = await start("server.py") -->\n'
        "```python\nimport socket\n"
        'socket.create_connection(("localhost", 8765)).close()\n```\n'
        "<!-- test output = await stop(server) -->\n"
        f"<!-- test {WRITE.format('output')} -->"
    )

    assert "listening" in (tmp_path / "seen").read_text()


def test_a_server_that_ends_early_fails_the_page(run):
    """
    Nobody waits for a server that is no more.
    """
    with pytest.raises(AssertionError, match="gone"):
        run(
            '```python\n# a.py\nprint("gone")\n```\n<!-- test await start("a.py") -->',
        )


FAILS = [
    ('fails(ValueError, "bad"):\n    raise ValueError("bad")', None),
    ("fails(ValueError):\n    pass", "ValueError was not raised"),
    ('fails(ValueError, "bad"):\n    raise ValueError("good")', "'bad' is not in"),
]


@pytest.mark.parametrize(("code", "error"), FAILS)
def test_a_block_can_expect_a_failure(run, code, error):
    """
    ``fails`` checks the class and the text of an exception.
    """
    page = f"<!-- test\nwith {code}\n-->"

    if error is None:
        run(page)
    else:
        with pytest.raises(AssertionError, match=error):
            run(page)
