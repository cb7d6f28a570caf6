#!/usr/bin/env bash
# Print the interpreter for a new environment: $PYTHON, else the newest supported one that really runs.
# Being on PATH proves nothing (version managers put stubs there), so each is tried.
set -euo pipefail

usable() {
    "$1" -c 'import sys, venv, ensurepip; sys.exit(sys.version_info < (3, 11))' >/dev/null 2>&1
}

if [[ -n ${PYTHON:-} ]]; then
    usable "$PYTHON" && command -v "$PYTHON" && exit 0
    echo "PYTHON=$PYTHON: is not Python 3.11 or later with venv; name another" >&2
    exit 1
fi
for name in python3.13 python3.12 python3.11 python3; do
    # All places on PATH: a stub in the first must not hide what works in the next.
    while read -r candidate; do
        if usable "$candidate"; then
            echo "$candidate"
            exit 0
        fi
    done < <(type -ap "$name")
done
exit 1
