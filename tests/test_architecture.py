"""
The house stands as it was drawn, and every rule can be broken.
"""

from __future__ import annotations

from pathlib import Path

import pytest

from tests import architecture

ROOT = Path(__file__).parent.parent
PACKAGE = ROOT / "src" / "socketeer"
CORE = PACKAGE / "_core"
FAST = PACKAGE / "_fast"

# What the repository consists of; the rest is made by tools.
TREES = ("docs", "news", "src", "tests", "tools", ".ci", ".github", "bench")
# In a worktree, .git is a file.
MADE = {".git", ".venv", "__pycache__", "_build", "node_modules"}
BINARY = {".png", ".pyd", ".so", ".svg"}


def dotted(path, folder):
    name = ".".join(path.relative_to(folder).with_suffix("").parts)
    return name.removesuffix("__init__").removesuffix(".")


def read(folder, suffix):
    return {
        dotted(path, folder): path.read_text("utf-8")
        for path in sorted(folder.rglob(f"*{suffix}"))
    }


def repository_files():
    files = [path for path in ROOT.iterdir() if path.is_file()]
    for tree in TREES:
        files += (ROOT / tree).rglob("*")
    for path in files:
        parts = path.relative_to(ROOT).parts
        made = MADE.intersection(parts) or any(
            part.endswith(".egg-info") or part.startswith(".coverage") for part in parts
        )
        if path.is_file() and not made and path.suffix not in BINARY:
            yield path


SOURCES = read(PACKAGE, ".py")
CORE_SOURCES = read(CORE, ".py")
TYPES = read(FAST, ".pxd")
KERNELS = read(FAST, ".pyx")
TEXTS = {
    path.relative_to(ROOT).as_posix(): path.read_text("utf-8")
    for path in repository_files()
}
PYTHON = {name: text for name, text in TEXTS.items() if name.endswith(".py")}
# These name what they forbid.
OWN = {f"tests/{name}.py" for name in ("architecture", "test_architecture")}

# For each rule, code that breaks it and what the rule says then.
BROKEN_ARROWS = [
    (
        "frames",
        "from .protocol import Protocol",
        "ground imports protocol, first floor",
    ),
    ("frames", "import socketeer.server", "ground imports server, first floor"),
    ("_core.session", "from ..server import x", "cellar imports server, first floor"),
    (
        "_core.session",
        "from .aio import link",
        "cellar imports _core.aio.link, adapter",
    ),
    ("sync.server", "from ..asyncio import x", "sync imports asyncio, asyncio"),
    (
        "sync.server",
        "from .._core.aio import link",
        "sync imports _core.aio.link, adapter",
    ),
    ("pubsub.hub", "from ..asyncio import x", "annexe imports asyncio, asyncio"),
    ("frames", "if TYPE_CHECKING:\n  from . import server", "ground imports server"),
    ("attic", "", "on no floor of the house"),
]

# Present in every example, so that names can be resolved.
HOUSE = {"": "", "_core.aio.link": "", "server": "", "asyncio.server": ""}


def test_arrows_point_down():
    """
    A floor knows itself and what is below; rooms do not know each other.
    """
    assert [] == architecture.arrows_point_down(SOURCES)


@pytest.mark.parametrize(("module", "source", "complaint"), BROKEN_ARROWS)
def test_an_arrow_that_points_up_is_found(module, source, complaint):
    """
    Imports are found in every form, also those for types only.
    """
    complaints = architecture.arrows_point_down({**HOUSE, module: source})

    assert 1 == len(complaints)
    assert complaint in complaints[0]


def test_there_are_no_cycles():
    """
    Modules can be imported in an order in which none waits for itself.
    """
    assert [] == architecture.no_cycles(SOURCES)


def test_a_cycle_is_found():
    """
    Two modules that import each other are one.
    """
    broken = {"frames": "from . import utils", "utils": "from .frames import x"}

    assert 1 == len(architecture.no_cycles(broken))


def test_a_cycle_of_types_is_none():
    """
    Type checkers do not mind; nothing is executed.
    """
    fine = {
        "frames": "from . import utils",
        "utils": "if TYPE_CHECKING:\n  from .frames import x",
    }

    assert [] == architecture.no_cycles(fine)


def test_imports_stand_at_the_top():
    """
    What a module needs is seen at its top, but for optional dependencies.
    """
    assert [] == architecture.no_late_imports(SOURCES)


def test_an_import_inside_a_function_is_found():
    """
    Also one inside a method.
    """
    broken = {"frames": "class A:\n  def f(self):\n    import json"}

    expected = ["frames:3: imports json inside a function"]
    assert expected == architecture.no_late_imports(broken)


def test_below_the_rooms_there_is_no_outside_world():
    """
    Bytes, time and random numbers come in as arguments.
    """
    assert [] == architecture.no_outside_world(SOURCES)


BROKEN_WORLDS = [
    ("frames", "import time", "frames:1: imports time"),
    ("_core.session", "from asyncio import Task", "_core.session:1: imports asyncio"),
    ("client", "import email.utils", "client:1: imports email.utils"),
    ("frames", "import os\nos.urandom(4)", "frames:2: uses urandom"),
]


@pytest.mark.parametrize(("module", "source", "complaint"), BROKEN_WORLDS)
def test_a_window_to_the_outside_world_is_found(module, source, complaint):
    """
    Clocks, chance, sockets and event loops are known by their modules.
    """
    assert [complaint] == architecture.no_outside_world({module: source})


def test_the_adapter_may_see_the_outside_world():
    """
    ``_core.aio`` is the part of the cellar that belongs to the asyncio room.
    """
    assert [] == architecture.no_outside_world({"_core.aio.link": "import asyncio"})


def test_no_file_is_too_long():
    """
    A file is read in one sitting: 600 lines at most, tests included.
    """
    assert [] == architecture.file_sizes(PYTHON)


def test_a_long_file_is_found():
    """
    The limit itself is allowed.
    """
    files = {"good.py": "\n" * 600, "bad.py": "\n" * 601}

    expected = ["bad.py: 601 lines, 600 are allowed"]
    assert expected == architecture.file_sizes(files)


def test_no_function_is_too_long():
    """
    A function fits on a screen: 60 lines at most, tests included.
    """
    assert [] == architecture.function_sizes(PYTHON)


def test_a_long_function_is_found():
    """
    A docstring does not count.
    """
    good = 'def f():\n    """\n' + "    x\n" * 99 + '    """\n' + "    x = 1\n" * 60
    bad = "async def f():\n" + "    x = 1\n" * 61

    found = architecture.function_sizes({"good.py": good, "bad.py": bad})

    assert ["bad.py:1: f has 61 lines"] == found


def test_slots_and_types_match():
    """
    A class of the core has the same attributes in both builds.
    """
    typed = {name: text for name, text in TYPES.items() if name not in KERNELS}

    assert [] == architecture.slots_match(CORE_SOURCES, typed)


SLOTS = """
class A:
    __slots__ = ("b", "c", "__weakref__")
"""
ALIKE = """
cdef int _CONSTANT

cdef class A(B):
    cdef readonly long long b
    cdef public list[int] c
    cdef object __weakref__

    cpdef f(self, int x)
    @cython.locals(x=int)
    cdef bint g(self) except -1
"""
UNLIKE = [
    (SLOTS, ALIKE.replace(" c\n", " d\n"), "session.A: on one side only: c, d"),
    (
        SLOTS + "class B:\n    __slots__ = ()",
        "cdef class B:",
        "session.A: has __slots__ and no types",
    ),
    ("class A: pass", ALIKE, "session.A: has types and no __slots__"),
    ("", ALIKE, "session.A: has types and no __slots__"),
]


def test_like_classes_match():
    """
    Constants, methods and local variables are no attributes.
    """
    assert [] == architecture.slots_match({"session": SLOTS}, {"session": ALIKE})


@pytest.mark.parametrize(("source", "types", "complaint"), UNLIKE)
def test_an_attribute_of_one_build_is_found(source, types, complaint):
    """
    Whichever side it is missing on.
    """
    found = architecture.slots_match({"session": source}, {"session": types})

    assert [complaint] == found


def test_every_compiled_file_has_a_twin():
    """
    Nothing exists in the compiled build alone.
    """
    found = architecture.every_compiled_file_has_a_twin(
        set(CORE_SOURCES), set(TYPES), set(KERNELS)
    )

    assert [] == found


def test_a_missing_twin_is_found():
    """
    For types as well as for kernels.
    """
    found = architecture.every_compiled_file_has_a_twin({"a"}, {"a", "b"}, {"aio.c"})

    assert ["aio.c: no _core/aio/c.py", "b: no _core/b.py"] == found


def test_twins_offer_the_same():
    """
    A kernel has the public names of its portable twin.
    """
    assert [] == architecture.twins_match(CORE_SOURCES, KERNELS)


def test_a_difference_between_twins_is_found():
    """
    A kernel may import a name from its twin; what is C only does not count.
    """
    kernel = "cpdef bytes a(bytes x):\ncdef class B:\nfrom x import c\ncdef int d():"

    found = architecture.twins_match(
        {"masking": "__all__ = ['B', 'a', 'c', 'd']", "outbox": "x = 1"},
        {"masking": kernel, "outbox": ""},
    )

    assert [
        "masking: the kernel has no d",
        "outbox: the portable twin has no __all__",
    ] == found


def test_nothing_tells_where_it_was_made():
    """
    The repository names no folder of a machine and no host of a registry.
    """
    texts = {name: text for name, text in TEXTS.items() if name not in OWN}

    assert [] == architecture.no_machine_paths(texts)


@pytest.mark.parametrize("text", ["see /work/x", "/root/.venv", '  "resolved": "x"'])
def test_a_machine_path_is_found(text):
    """
    Folders of machines and hosts of registries.
    """
    assert [f"a.md:1: {text.strip()}"] == architecture.no_machine_paths({"a.md": text})
