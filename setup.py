"""
Builds the compiled core beside the interpreted one, from the same source.

``SOCKETEER_BUILD=pure`` compiles nothing. ``SOCKETEER_BUILD=compiled`` compiles
or fails. Without it, the core is compiled if a C compiler works; if not, all of
it or none: the library is built without it, and a line at the end says so.

Everything else about the package is said in ``pyproject.toml``.
"""

from __future__ import annotations

import os
import tempfile
from pathlib import Path

from setuptools import Distribution, Extension, setup
from setuptools.command.build_ext import build_ext

SOURCE = Path("src")
CORE = SOURCE / "socketeer" / "_core"
FAST = SOURCE / "socketeer" / "_fast"
TRANSLATED = Path("build") / "cython"

# The types stand in the .pxd files and nowhere else: annotations are for people
# and type checkers, and ``int`` there would mean a Python integer. The core
# never counts on an index being checked, nor on a negative one.
DIRECTIVES = {
    "annotation_typing": False,
    "boundscheck": False,
    "initializedcheck": False,
    "wraparound": False,
}

PROBE = """\
#include <Python.h>
PyMODINIT_FUNC PyInit_probe(void) { return NULL; }
"""


def wanted_build() -> str:
    """
    Return the build that was asked for: pure, compiled, or nothing.
    """
    wanted = os.environ.get("SOCKETEER_BUILD", "")
    if wanted not in {"", "pure", "compiled"}:
        raise SystemExit(f"SOCKETEER_BUILD={wanted}: expected pure or compiled")
    return wanted


def extensions() -> list[Extension]:
    """
    Describe the modules of the compiled core.

    A ``.pyx`` is a kernel. A ``.pxd`` without one gives types to the Python
    source of the same name in the interpreted core.
    """
    kernels = [path.with_suffix("") for path in FAST.rglob("*.pyx")]
    typed = [path.with_suffix("") for path in FAST.rglob("*.pxd")]
    headers = [*FAST.rglob("*.h"), *FAST.rglob("*.pxd")]
    found = []
    for path in sorted({*kernels, *typed}):
        module = path.relative_to(FAST)
        is_kernel = path in kernels
        source = path.with_suffix(".pyx") if is_kernel else CORE / f"{module}.py"
        found.append(
            Extension(
                ".".join(["socketeer", "_fast", *module.parts]),
                [source.as_posix()],
                depends=sorted(header.as_posix() for header in headers),
                include_dirs=sorted({header.parent.as_posix() for header in headers}),
            )
        )
    return found


def why_no_compiler() -> str:
    """
    Build a small extension module; return what went wrong, or nothing.
    """
    with tempfile.TemporaryDirectory() as folder:
        source = Path(folder, "probe.c")
        source.write_text(PROBE)
        modules = [Extension("probe", [str(source)])]
        command = build_ext(Distribution({"ext_modules": modules}))
        command.build_lib = command.build_temp = folder
        try:
            command.ensure_finalized()
            command.run()
        # Compilers fail in as many ways as there are compilers.
        except Exception as exc:  # noqa: BLE001
            return str(exc)
    return ""


class BuildCore(build_ext):
    """
    Compiles the whole core, or nothing.

    Attributes:
        failure: Why the core was left out, if it was.
    """

    failure = ""

    def finalize_options(self) -> None:
        """
        Use all processors, unless told otherwise.
        """
        super().finalize_options()
        if self.parallel is None:
            self.parallel = os.cpu_count()

    def build_extensions(self) -> None:
        """
        Translate and compile; without success, and if allowed, do without.
        """
        try:
            self.translate()
            super().build_extensions()
        # From Cython, the compiler, the linker or a pool of processes.
        except Exception as exc:
            if wanted_build() == "compiled":
                raise
            self.failure = str(exc)
            # Half a core would be chosen at run time and then fail.
            for extension in self.extensions:
                Path(self.get_ext_fullpath(extension.name)).unlink(missing_ok=True)
            self.extensions = []

    def translate(self) -> None:
        """
        Translate the sources into C.
        """
        # Late, because a pure build does not need it.
        from Cython.Build import cythonize  # noqa: PLC0415

        # Cython does not see that a source depends on types which stand in
        # another folder, nor that it depends on the directives here.
        types = max(p.stat().st_mtime for p in [*FAST.rglob("*.pxd"), Path(__file__)])
        for stale in TRANSLATED.rglob("*.c"):
            if stale.stat().st_mtime < types:
                stale.unlink()
        translated = cythonize(
            self.extensions,
            build_dir=str(TRANSLATED),
            compiler_directives=DIRECTIVES,
            include_path=[str(SOURCE)],
            language_level=3,
            nthreads=self.parallel or 0,
        )
        sources = {extension.name: extension.sources for extension in translated}
        # Debug information would be most of the wheel.
        is_msvc = self.compiler.compiler_type == "msvc"
        flags = ["/O2"] if is_msvc else ["-O3", "-g0"]
        for extension in self.extensions:
            extension.sources = sources[extension.name]
            extension.extra_compile_args = flags


def main() -> None:
    """
    Build what can be built, and say so if that is not everything.
    """
    wanted = wanted_build()
    failure = why_no_compiler() if wanted == "" else ""
    compiles = wanted == "compiled" or (wanted == "" and not failure)
    distribution = setup(
        ext_modules=extensions() if compiles else [],
        cmdclass={"build_ext": BuildCore},
    )
    command = distribution.command_obj.get("build_ext")
    failure = getattr(command, "failure", "") or failure
    if failure and distribution.have_run.get("build_py"):
        print(
            "socketeer: built without the compiled core, which works but is slower: "
            f"{failure} (SOCKETEER_BUILD=compiled makes this an error)"
        )


# Cython's worker processes import this file, too.
if __name__ == "__main__":
    main()
