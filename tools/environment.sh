#!/usr/bin/env bash
# Bring .venv to exactly what the lock says, every download held to its hash. Costs nothing when nothing changed.
set -euo pipefail
cd "$(dirname "$0")/.."

base() { "$1" -c 'import sys; print(sys.base_prefix)' 2>/dev/null; }

# What the environment depends on; its own place counts because scripts and the editable install hold it.
key=$({ echo "$PWD"; cat requirements/bootstrap.txt requirements/lock.txt pyproject.toml tools/environment.sh; } | sha256sum)
stamp=.venv/.lock-digest
here=$(base .venv/bin/python) || here=""
if [[ -n $here && -n ${PYTHON:-} && $here != "$(base "$PYTHON")" ]]; then
    here=""  # another interpreter is asked for than the environment has
fi
if [[ -n $here && -f $stamp && $(<"$stamp") == "$key" ]]; then
    exit 0
fi

printf '\n==> environment: .venv from requirements/lock.txt\n'
tools/system-packages.sh

if ! cmp --silent requirements/bootstrap.txt .bootstrap/bootstrap.txt || ! .bootstrap/bin/uv --version >/dev/null 2>&1; then
    python=$(tools/find-python.sh)
    echo "$("$python" --version) at $(base "$python"); installing uv into .bootstrap"
    rm -rf .bootstrap
    "$python" -m venv .bootstrap
    .bootstrap/bin/pip install --quiet --disable-pip-version-check --require-hashes -r requirements/bootstrap.txt
    cp requirements/bootstrap.txt .bootstrap/bootstrap.txt
fi

export UV_PYTHON_DOWNLOADS=never VIRTUAL_ENV=$PWD/.venv
# Trust whom the system trusts, as pip and cargo do: a proxy may sign for the package index.
[[ -f /etc/ssl/certs/ca-certificates.crt ]] && export UV_SYSTEM_CERTS=${UV_SYSTEM_CERTS-1}
if [[ -z $here ]]; then
    rm -rf .venv
    # The interpreter itself: a version manager's stub changes its mind with the folder.
    python=$("$(tools/find-python.sh)" -c 'import sys; print(sys.executable)')
    .bootstrap/bin/uv venv --quiet --python "$python" .venv
fi
rm -f "$stamp"
echo "installing the locked packages; the first time PyTorch is downloaded, which takes a while"
[[ -t 2 ]] && quiet=() || quiet=(--quiet)  # a terminal gets progress bars, a log no list of packages
# Compiled once here: every watched member is a fresh interpreter, which would else compile its libraries anew wherever it may
# not keep the result.
.bootstrap/bin/uv pip sync "${quiet[@]}" --compile-bytecode --require-hashes requirements/lock.txt
.bootstrap/bin/uv pip install --quiet --no-deps --no-build-isolation --editable .
echo "$key" >"$stamp"
echo "environment ready after $SECONDS s"
