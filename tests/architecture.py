"""
The rules of the house, as functions from source code to complaints.

Each takes the modules of the package, by name without ``socketeer.``, and returns
one line for each violation. ``tests/test_architecture.py`` applies them.
"""

from __future__ import annotations

import ast
import re
from graphlib import CycleError, TopologicalSorter
from typing import TYPE_CHECKING, NamedTuple

if TYPE_CHECKING:
    from collections.abc import Iterator, Mapping

Sources = dict[str, str]

GROUND = {
    "datastructures",
    "exceptions",
    "forwarded",
    "frames",
    "headers",
    "http11",
    "limits",
    "streams",
    "typing",
    "uri",
    "utils",
    "version",
}
FIRST_FLOOR = {
    "_authentication",
    "_addresses",
    "_attributes",
    "_compatibility",
    "_connecting",
    "_connection",
    "_frame_endpoint",
    "_links",
    "_messages",
    "_negotiation",
    "_opening",
    "_options",
    "_reconnection",
    "_redirection",
    "_servers",
    "_serving",
    "_sockets",
    "_timetable",
    "_tls",
    "_watching",
    "auth",
    "client",
    "extensions",
    "protocol",
    "proxy",
    "routing",
    "server",
}
ROOMS = {"asyncio", "sync", "trio"}
FRONT = {"", "__main__", "cli", "demo", "testing"}

# Who may import whom; everybody may import from the own floor.
KNOWS = {
    "ground": set(),
    "cellar": {"ground"},
    "switch": set(),
    "adapter": {"ground", "cellar"},
    "first floor": {"ground", "cellar", "switch"},
    "asyncio": {"ground", "cellar", "switch", "adapter", "first floor"},
    "sync": {"ground", "cellar", "switch", "first floor"},
    "trio": {"ground", "cellar", "switch", "first floor"},
    "annexe": {"ground"},
}

# Input and output, time and chance come in as arguments below the rooms.
OUTSIDE_WORLD = {
    "anyio",
    "asyncio",
    "concurrent",
    "datetime",
    "email.utils",
    "multiprocessing",
    "random",
    "secrets",
    "select",
    "selectors",
    "signal",
    "socket",
    "ssl",
    "subprocess",
    "threading",
    "time",
    "trio",
    "uuid",
}
MAY_SEE_OUTSIDE = {
    # The public interface draws handshake keys and masks without being given a
    # source of chance: ``Frame.serialize(mask=True)``.
    ("utils", "secrets"),
    # A connection's ``id`` is part of the public interface.
    ("_attributes", "uuid"),
    ("protocol", "uuid"),
    # Responses carry a ``Date``; the public interface has no argument for it.
    ("server", "time"),
    # Delays that a client waits have chance in them; the public interface has no
    # argument for it, and ours is optional.
    ("_reconnection", "random"),
    # The rooms share one TLS context, which is made of files and does no I/O.
    ("_tls", "ssl"),
    # They share how a Unix socket is bound: no data passes it, nobody waits.
    ("_sockets", "socket"),
}

# The annexe waits for brokers, so it belongs to asyncio. Clocks and chance are
# arguments there, too, with these as defaults.
ANNEXE_MAY_SEE = {"asyncio", "random", "secrets", "time"}

# Imports inside functions, as (module, imported), each with a reason.
MAY_IMPORT_LATE: set[tuple[str, str]] = {
    # Takes longer than all of Socketeer, and servers never need it.
    ("proxy", "urllib.request"),
    # Take longer than most of our modules, and most servers never need them.
    ("_servers", "forwarded"),
    ("auth", "json"),
    ("headers", "ipaddress"),
    ("limits", "ipaddress"),
    ("protocol", "uuid"),
    # Optional.
    ("proxy", "python_socks"),
    ("asyncio.proxying", "python_socks.async_.asyncio"),
    ("trio.dialing", "python_socks.async_.trio"),
    ("sync.dialing", "python_socks.sync"),
    # Redis is optional.
    ("pubsub.brokers.choosing", "pubsub.brokers.redis"),
    ("pubsub.sync_publisher", "pubsub.brokers.redis_sync"),
}

MAX_FILE_LINES = 600
MAX_FUNCTION_LINES = 60


class Import(NamedTuple):
    """
    One import statement, for one imported module.

    Attributes:
        target: Its name, without ``socketeer.`` if it is one of ours.
        is_ours: Whether it is.
        line: Where it stands.
        for_types: Whether only type checkers execute it.
        is_late: Whether it stands inside a function.
    """

    target: str
    is_ours: bool
    line: int
    for_types: bool
    is_late: bool


def floor(module: str) -> str:
    """
    Return on which floor of the house a module is.
    """
    top, _, rest = module.partition(".")
    if top in {"_core", "_fast"}:
        return "adapter" if rest.partition(".")[0] == "aio" else "cellar"
    if top == "_implementation":
        return "switch"
    if top == "pubsub":
        return "annexe"
    if top in ROOMS:
        return top
    for name, modules in (("ground", GROUND), ("first floor", FIRST_FLOOR)):
        if top in modules:
            return name
    return "front" if top in FRONT else "nowhere"


def resolve(module: str, is_package: bool, node: ast.ImportFrom) -> str:
    """
    Return the full name of the module that ``from ... import`` names.
    """
    if not node.level:
        return node.module or ""
    parts = ["socketeer", *module.split(".")] if module else ["socketeer"]
    keep = len(parts) - node.level + (1 if is_package else 0)
    return ".".join([*parts[:keep], *([node.module] if node.module else [])])


def ours(name: str) -> tuple[str, bool]:
    """
    Return a module's name without ``socketeer.``, and whether it is one of ours.
    """
    if name == "socketeer" or name.startswith("socketeer."):
        return name.removeprefix("socketeer").removeprefix("."), True
    return name, False


def is_package(module: str, sources: Sources) -> bool:
    """
    Return whether a module holds others.
    """
    return any(name.startswith(f"{module}.") for name in sources) or not module


def targets(
    node: ast.stmt, module: str, sources: Sources
) -> Iterator[tuple[str, bool]]:
    """
    Return the modules that a statement imports.
    """
    if isinstance(node, ast.Import):
        for alias in node.names:
            yield ours(alias.name)
    elif isinstance(node, ast.ImportFrom):
        base, is_ours = ours(resolve(module, is_package(module, sources), node))
        for alias in node.names:
            name = f"{base}.{alias.name}" if base else alias.name
            # What is imported from a package may be a module in it.
            yield (name if is_ours and name in sources else base), is_ours


def imports(module: str, sources: Sources) -> list[Import]:
    """
    Return all imports of a module.
    """
    found = []

    def visit(node: ast.AST, for_types: bool, is_late: bool) -> None:
        if isinstance(node, ast.If) and "TYPE_CHECKING" in ast.unparse(node.test):
            for child in node.body:
                visit(child, True, is_late)
            for child in node.orelse:
                visit(child, for_types, is_late)
            return
        if isinstance(node, ast.Import | ast.ImportFrom):
            for target, is_ours in targets(node, module, sources):
                found.append(Import(target, is_ours, node.lineno, for_types, is_late))
        late = is_late or isinstance(node, ast.FunctionDef | ast.AsyncFunctionDef)
        for child in ast.iter_child_nodes(node):
            visit(child, for_types, late)

    visit(ast.parse(sources[module]), False, False)
    return found


def arrows_point_down(sources: Sources) -> list[str]:
    """
    A module imports from its own floor and from floors below, even for types.
    """
    found = []
    for module in sources:
        own = floor(module)
        if own == "nowhere":
            found.append(f"{module}: on no floor of the house")
        if own in {"front", "nowhere"}:
            continue
        for imported in imports(module, sources):
            other = floor(imported.target)
            if imported.is_ours and other != own and other not in KNOWS[own]:
                found.append(
                    f"{module}:{imported.line}: "
                    f"{own} imports {imported.target}, {other}"
                )
    return found


def no_cycles(sources: Sources) -> list[str]:
    """
    No module needs itself in order to be imported.
    """
    graph = {
        module: {
            imported.target
            for imported in imports(module, sources)
            if imported.is_ours and not imported.for_types and not imported.is_late
        }
        - {module}
        for module in sources
    }
    try:
        TopologicalSorter(graph).prepare()
    except CycleError as exc:
        return [" -> ".join(exc.args[1])]
    return []


def no_late_imports(sources: Sources) -> list[str]:
    """
    Imports stand at the top, but for optional dependencies.
    """
    return [
        f"{module}:{imported.line}: imports {imported.target} inside a function"
        for module in sources
        for imported in imports(module, sources)
        if imported.is_late and (module, imported.target) not in MAY_IMPORT_LATE
    ]


def no_outside_world(sources: Sources) -> list[str]:
    """
    Below the rooms there is no input or output, no clock and no chance.
    """
    found = []
    for module, source in sources.items():
        here = floor(module)
        if here not in {"ground", "cellar", "first floor", "annexe"}:
            continue
        forbidden = OUTSIDE_WORLD - (ANNEXE_MAY_SEE if here == "annexe" else set())
        for imported in imports(module, sources):
            top = imported.target.partition(".")[0]
            for name in {top, imported.target} & forbidden:
                if not imported.is_ours and (module, name) not in MAY_SEE_OUTSIDE:
                    found.append(f"{module}:{imported.line}: imports {name}")
        for node in ast.walk(ast.parse(source)):
            if isinstance(node, ast.Attribute) and node.attr == "urandom":
                found.append(f"{module}:{node.lineno}: uses urandom")
    return found


def file_sizes(sources: Mapping[str, str]) -> list[str]:
    """
    A file is read in one sitting.
    """
    sizes = {name: source.count("\n") for name, source in sources.items()}
    return [
        f"{name}: {size} lines, {MAX_FILE_LINES} are allowed"
        for name, size in sizes.items()
        if size > MAX_FILE_LINES
    ]


def function_sizes(sources: Mapping[str, str]) -> list[str]:
    """
    A function fits on a screen; its signature and docstring are not counted.
    """
    found = []
    for name, source in sources.items():
        for node in ast.walk(ast.parse(source)):
            if not isinstance(node, ast.FunctionDef | ast.AsyncFunctionDef):
                continue
            body = node.body[1:] if ast.get_docstring(node) else node.body
            size = (body[-1].end_lineno or 0) - body[0].lineno + 1 if body else 0
            if size > MAX_FUNCTION_LINES:
                found.append(f"{name}:{node.lineno}: {node.name} has {size} lines")
    return found


# The cellar's two builds.

CDEF_CLASS = re.compile(r"^cdef class (\w+)")
CDEF_ATTRIBUTE = re.compile(
    r"^    cdef (?:public |readonly )?(?:[\w.\[\], ]+ )?\*?(\w+)$"
)


def typed_classes(types: str) -> dict[str, set[str]]:
    """
    Return the attributes of each class that a ``.pxd`` declares.
    """
    found: dict[str, set[str]] = {}
    current: set[str] = set()
    for line in types.splitlines():
        opening = CDEF_CLASS.match(line)
        attribute = CDEF_ATTRIBUTE.match(line)
        if opening:
            current = found.setdefault(opening[1], set())
        elif attribute:
            current.add(attribute[1])
    return found


def slotted_classes(source: str) -> dict[str, set[str] | None]:
    """
    Return the ``__slots__`` of each class of a module, if it has any.
    """
    found: dict[str, set[str] | None] = {}
    for node in ast.parse(source).body:
        if not isinstance(node, ast.ClassDef):
            continue
        found[node.name] = None
        for statement in node.body:
            if isinstance(statement, ast.Assign) and any(
                isinstance(target, ast.Name) and target.id == "__slots__"
                for target in statement.targets
            ):
                found[node.name] = set(ast.literal_eval(statement.value))
    return found


def slots_match(sources: Sources, types: Mapping[str, str]) -> list[str]:
    """
    A class has the same attributes interpreted and compiled.

    A ``.pxd`` may also declare no class at all: nothing there needs C types.
    """
    found = []
    for module, text in types.items():
        slotted = slotted_classes(sources[module])
        typed = typed_classes(text)
        for name, slots in slotted.items():
            attributes = typed.get(name)
            if slots is not None and attributes is None and typed:
                found.append(f"{module}.{name}: has __slots__ and no types")
            elif slots is not None and attributes is not None and slots != attributes:
                only = ", ".join(sorted(slots ^ attributes))
                found.append(f"{module}.{name}: on one side only: {only}")
        for name in typed:
            if slotted.get(name) is None:
                found.append(f"{module}.{name}: has types and no __slots__")
    return found


def every_compiled_file_has_a_twin(
    portable: set[str], types: set[str], kernels: set[str]
) -> list[str]:
    """
    What is compiled exists as Python, too.
    """
    return [
        f"{name}: no _core/{name.replace('.', '/')}.py"
        for name in sorted((types | kernels) - portable)
    ]


OFFERS = re.compile(
    r"^(?:(?:(?:async )?def|cpdef|cdef class|class|from [\w.]+ import)\b|(?=[A-Z_]+ =))"
    r"(.*)$",
    re.MULTILINE,
)


def offers(source: str, name: str) -> bool:
    """
    Return whether a module defines a public name or imports it.
    """
    pattern = re.compile(rf"\b{name}\b(?=[(:,]| =|$)")
    return any(pattern.search(line) for line in OFFERS.findall(source))


def twins_match(sources: Sources, kernels: Mapping[str, str]) -> list[str]:
    """
    A kernel offers what its portable twin offers.
    """
    found = []
    for module, kernel in kernels.items():
        for node in ast.parse(sources[module]).body:
            if not isinstance(node, ast.Assign):
                continue
            target = node.targets[0]
            if isinstance(target, ast.Name) and target.id == "__all__":
                names = ast.literal_eval(node.value)
                missing = [name for name in names if not offers(kernel, name)]
                found += [f"{module}: the kernel has no {name}" for name in missing]
                break
        else:
            found.append(f"{module}: the portable twin has no __all__")
    return found


MACHINE_PATH = re.compile(r"/(?:work|root|home/\w+)/|file:///|/usr/local/lib/")
REGISTRY = re.compile(r"registry\.npmjs|pythonhosted|pypi\.org/simple|\"resolved\":")


def no_machine_paths(texts: Mapping[str, str]) -> list[str]:
    """
    Nothing tells where it was made, or where packages came from.
    """
    return [
        f"{name}:{number}: {line.strip()[:80]}"
        for name, text in texts.items()
        for number, line in enumerate(text.splitlines(), 1)
        if MACHINE_PATH.search(line) or REGISTRY.search(line)
    ]
