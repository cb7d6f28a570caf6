#!/usr/bin/env bash
# Resolve the Python dependencies anew: for every supported Python at once, with hashes.
set -euo pipefail
cd "$(dirname "$0")/.."

compile=(.bootstrap/bin/uv pip compile --quiet --universal --python-version 3.11 --generate-hashes --custom-compile-command "make lock" --upgrade)
printf '\n==> lock: requirements/bootstrap.txt\n'
"${compile[@]}" requirements/bootstrap.in --output-file requirements/bootstrap.txt
printf '\n==> lock: requirements/lock.txt\n'
# The package of encoder weights asks for a library that only its own loader needs; the suite reads the weights as they lie.
"${compile[@]}" pyproject.toml --all-extras --group dev --no-emit-package sentence-transformers --output-file requirements/lock.txt
git --no-pager diff --stat -- requirements
