#!/usr/bin/env bash
# Makes $AUTOBAHN_VENV, an environment of CPython 2.7 with the Autobahn test suite from
# PyPI. What is right already is left alone. Takes about a minute; with pyenv but
# without its CPython 2.7, which has to be compiled then, some more.
set -euo pipefail
here=$(cd "$(dirname "$0")" && pwd)
environment=${AUTOBAHN_VENV:-${XDG_CACHE_HOME:-$HOME/.cache}/socketeer/autobahn}
export PIP_DISABLE_PIP_VERSION_CHECK=1 PYTHONWARNINGS=ignore PYTHONNOUSERSITE=1
unset PYTHONPATH

say() { printf 'autobahn: %s\n' "$*" >&2; }

# Every requirement is there in its version, and the suite can be imported.
is_ready() {
    [[ -x $environment/bin/python ]] || return 1
    "$environment/bin/python" - "$here/requirements.txt" <<'PY' >/dev/null 2>&1
import sys, pkg_resources
lines = [line.strip() for line in open(sys.argv[1])]
pkg_resources.require([line for line in lines if line and not line.startswith("#")])
import autobahntestsuite.wstest, wsaccel.utf8validator, wsaccel.xormask
PY
}

find_python() {
    local candidate
    for candidate in "${PYTHON27:-}" python2.7 \
        "${PYENV_ROOT:-$HOME/.pyenv}/versions/2.7.18/bin/python2.7"; do
        if [[ -n $candidate ]] && "$candidate" -c 'import ssl, zlib' 2>/dev/null; then
            "$candidate" -c 'import sys; print(sys.executable)'
            return
        fi
    done
    return 1
}

is_ready && exit
if ! python=$(find_python); then
    if ! command -v pyenv >/dev/null; then
        say 'needs CPython 2.7: set PYTHON27, or install pyenv'
        exit 3
    fi
    pyenv install --skip-existing 2.7.18
    python=$(find_python)
fi
say "making $environment with $python"
# CPython 2.7 has no venv; the last virtualenv for it goes into a folder of its own.
tools=$(mktemp -d)
trap 'rm -rf "$tools"' EXIT
"$python" -m pip --version >/dev/null 2>&1 || "$python" -m ensurepip >/dev/null
"$python" -m pip install --quiet --target "$tools" 'virtualenv==20.15.1'
PYTHONPATH=$tools "$python" -m virtualenv --quiet --no-download \
    --app-data "$tools/data" --copies "$environment"
"$environment/bin/python" -m pip install --quiet --requirement "$here/requirements.txt"
is_ready || { say "$environment cannot be used; see above"; exit 1; }
