"""
Each option on the command line: what the program makes of it.

What it then does is tested beside, in the other modules, with the values found here.
"""

from __future__ import annotations

from pathlib import Path

import pytest

from socketeer.cli.bench import bench
from socketeer.cli.connect import connect
from socketeer.cli.load import LoadOptions
from socketeer.cli.messages import Display
from socketeer.cli.options import Target
from socketeer.cli.serve import serve
from socketeer.cli.serving import ServeOptions

# Options about connecting, of the client and of the load generator.
TARGET = [
    (["--header", "A: 1", "-H", "b:2"], {"headers": (("A", "1"), ("b", "2"))}),
    (["--origin", "https://example.com"], {"origin": "https://example.com"}),
    (["--subprotocol", "a", "--subprotocol", "b"], {"subprotocols": ("a", "b")}),
    (["--auth", "ada:secret"], {"auth": "ada:secret"}),
    (["-a", "token"], {"auth": "token"}),
    (["--proxy", "socks5h://proxy"], {"proxy": "socks5h://proxy"}),
    (["-x", ""], {"proxy": ""}),
    (["--insecure"], {"insecure": True}),
    (["-k"], {"insecure": True}),
    (["--compression"], {"compression": True}),
    (["--no-compression"], {"compression": False}),
    (["--open-timeout", "0.5"], {"open_timeout": 0.5}),
]

# Options of the client beside: how messages look, and how the pipe works.
CONNECT = [
    (["--json"], {"display": Display(as_json=True)}),
    (["--binary", "hex"], {"display": Display(binary="hex")}),
    (["--binary", "base64"], {"display": Display(binary="base64")}),
    (["--binary", "file"], {"display": Display(binary="file")}),
    (["--reconnect"], {"reconnect": True}),
    (["--jsonl"], {"jsonl": True}),
    (["--linger", "inf"], {"linger": float("inf")}),
]

# What is there as a file, and as a folder.
FILE = __file__
FOLDER = str(Path(__file__).parent)

SERVE = [
    (["module:handler"], {"target": "module:handler"}),
    (["--echo"], {"echo": True}),
    (["--broadcast"], {"broadcast": True}),
    (["--static", FOLDER], {"static": FOLDER}),
    (["--echo", "--host", "::1"], {"echo": True, "host": "::1"}),
    (["--echo", "--port", "0"], {"echo": True, "port": 0}),
    (["--echo", "--unix", "/run/socket"], {"echo": True, "unix": "/run/socket"}),
    (["--echo", "--tls-cert", FILE], {"echo": True, "tls_cert": FILE}),
    (
        ["--echo", "--tls-cert", FILE, "--tls-key", FILE],
        {"echo": True, "tls_cert": FILE, "tls_key": FILE},
    ),
    (["--echo", "--grace", "1.5"], {"echo": True, "grace": 1.5}),
    (["--echo", "--access-log"], {"echo": True, "access_log": True}),
    (["--echo", "--lifespan", "on"], {"echo": True, "lifespan": "on"}),
    (["--echo", "--lifespan", "off"], {"echo": True, "lifespan": "off"}),
    (["--echo", "--lifespan", "auto"], {"echo": True}),
    # With a supervisor: how many workers, and what it watches.
    (["--echo", "--workers", "3"], {"echo": True}, 3, None),
    (["--echo", "--reload"], {"echo": True}, 1, str(Path.cwd())),
]

BENCH = [
    (["--connections", "3"], {"connections": 3}),
    (["-c", "3"], {"connections": 3}),
    (["--rate", "0.5"], {"rate": 0.5}),
    (["-r", "1000"], {"rate": 1000.0}),
    (["--size", "0"], {"size": 0}),
    (["-s", "1024"], {"size": 1024}),
    (["--duration", "0.1"], {"duration": 0.1}),
    (["-d", "60"], {"duration": 60.0}),
    (["--pipeline", "16"], {"pipeline": 16}),
    (["-p", "16"], {"pipeline": 16}),
    (["--mode", "echo"], {"mode": "echo"}),
    (["--mode", "broadcast"], {"mode": "broadcast"}),
    (["-m", "broadcast"], {"mode": "broadcast"}),
]

# These say what to do with the result: tests/cli/test_bench.py looks at it.
OF_THE_RESULT = {"--json", "--plot"}


def used(cases):
    """
    Return the options that the cases use.
    """
    return {word for case in cases for word in case[0] if word.startswith("-")}


@pytest.mark.parametrize(
    ("command", "tested"),
    [
        (connect, used(TARGET) | used(CONNECT)),
        (serve, used(SERVE)),
        (bench, used(TARGET) | used(BENCH) | OF_THE_RESULT),
    ],
    ids=["connect", "serve", "bench"],
)
def test_no_option_is_untested(command, tested):
    """
    The tables of this module name all that there are, in all their spellings.
    """
    there = {
        spelling
        for parameter in command.params
        if parameter.param_type_name == "option"
        for spelling in [*parameter.opts, *parameter.secondary_opts]
    }

    assert there == tested


@pytest.fixture
def started(monkeypatch):
    """
    Note what the client would run, in place of running it.
    """
    found = []

    def run(main):
        found.append(main)
        main.close()
        return 0

    monkeypatch.setattr("socketeer.cli.connect.run", run)
    return found


class Noted(Exception):
    """
    Ends a program that has got as far as it shall.
    """


def note(monkeypatch, name):
    """
    Note the arguments of what the program calls, and end it.
    """
    found = []

    def called(*args, **options):
        found.append((args, options))
        raise Noted

    monkeypatch.setattr(name, called)
    return found


@pytest.mark.parametrize(("arguments", "expected"), TARGET)
def test_options_about_connecting(invoke, monkeypatch, arguments, expected):
    """
    The client and the load generator have the same, with the same meaning.
    """
    monkeypatch.delenv("SOCKETEER_AUTH", raising=False)
    filters = note(monkeypatch, "socketeer.cli.connect._filter")
    loads = note(monkeypatch, "socketeer.cli.bench.Load")
    invoke(*arguments, "ws://x/")
    invoke("connect", "ws://x/", *arguments)
    invoke("bench", *arguments, "ws://x/")

    assert [Target("ws://x/", **expected)] * 3 == [
        args[0] for args, _ in [*filters, *loads]
    ]


def test_credentials_of_the_environment(invoke, monkeypatch):
    """
    Those of the command line are visible to all users of the machine.
    """
    monkeypatch.setenv("SOCKETEER_AUTH", "ada:secret")
    filters = note(monkeypatch, "socketeer.cli.connect._filter")
    invoke("ws://x/")
    invoke("ws://x/", "--auth", "token")

    assert ["ada:secret", "token"] == [args[0].auth for args, _ in filters]


@pytest.mark.parametrize(("arguments", "expected"), CONNECT)
def test_options_of_the_client(invoke, monkeypatch, arguments, expected):
    """
    In a pipe. The defaults are those of the documentation.
    """
    filters = note(monkeypatch, "socketeer.cli.connect._filter")
    invoke("ws://x/", *arguments)
    ((args, options),) = filters
    defaults = {
        "display": Display(),
        "reconnect": False,
        "jsonl": False,
        "linger": 1.0,
    }

    assert {**defaults, **expected} == {"display": args[1], **options}


@pytest.mark.parametrize(
    ("arguments", "in_terminal", "reconnect"),
    [
        ([], True, False),
        (["--reconnect", "--json"], True, True),
        # Lines of JSON are for programs.
        (["--jsonl"], False, False),
    ],
)
def test_options_in_a_terminal(
    invoke, monkeypatch, started, arguments, in_terminal, reconnect
):
    """
    There, the client is interactive.
    """
    terminals = note(monkeypatch, "socketeer.cli.connect._terminal")
    monkeypatch.setattr("socketeer.cli.connect.sys", Streams())
    invoke("ws://x/", *arguments)

    assert (in_terminal, not in_terminal) == (bool(terminals), bool(started))
    assert [reconnect] * len(terminals) == [each[1]["reconnect"] for each in terminals]


class Streams:
    """
    Stands for ``sys`` in a terminal.
    """

    class stdin:  # noqa: N801 - its name there
        @staticmethod
        def isatty():
            return True

    class stdout(stdin):  # noqa: N801 - its name there
        @staticmethod
        def flush():
            pass

    exit = staticmethod(exit)


@pytest.mark.parametrize("case", SERVE, ids=lambda case: " ".join(case[0])[:40])
def test_options_of_the_server(invoke, monkeypatch, case):
    """
    Alone in its process, or with a supervisor of several.
    """
    arguments, expected, *supervision = case
    alone = note(monkeypatch, "socketeer.cli.serve.serve_until_signal")
    supervised = note(monkeypatch, "socketeer.cli.serve.supervise")
    invoke("serve", *arguments)

    ((args, _),) = alone + supervised
    assert (ServeOptions(**expected), *supervision) == args
    assert bool(supervision) is bool(supervised)


@pytest.mark.parametrize(("arguments", "expected"), BENCH)
def test_options_of_the_load_generator(invoke, monkeypatch, arguments, expected):
    """
    The defaults are those of the documentation.
    """
    loads = note(monkeypatch, "socketeer.cli.bench.Load")
    invoke("bench", "ws://x/", *arguments)
    ((args, _),) = loads
    defaults = {
        "connections": 10,
        "rate": None,
        "size": 64,
        "duration": 5.0,
        "pipeline": 1,
        "mode": "echo",
    }

    assert LoadOptions(**{**defaults, **expected}) == args[1]
