#!/usr/bin/env bash
# Make sure of what neither pip nor cargo can bring: a Python with venv, a C++ compiler, make, git, and Rust.
# Installs only what is missing, only as root and only where apt-get exists; otherwise says what to type.
set -euo pipefail
cd "$(dirname "$0")/.."
PATH=$PATH:$HOME/.cargo/bin  # where rustup puts cargo, in a shell that was opened before

packages=()
command -v git >/dev/null || packages+=(git)
{ command -v cc && command -v c++ && command -v make; } >/dev/null || packages+=(build-essential)
tools/find-python.sh >/dev/null || packages+=(python3 python3-venv)

if ((${#packages[@]})); then
    install=(apt-get install --yes --no-install-recommends ca-certificates "${packages[@]}")
    echo "missing on this system: ${packages[*]}" >&2
    if ! command -v apt-get >/dev/null; then
        echo "install them by this system's package manager (Python 3.11 or later), then run again" >&2
        exit 1
    fi
    if ((EUID != 0)); then
        echo "install them, then run again:  sudo apt-get update && sudo ${install[*]}" >&2
        exit 1
    fi
    echo "running: apt-get update && ${install[*]}" >&2
    apt-get update --quiet >/dev/null && DEBIAN_FRONTEND=noninteractive "${install[@]}" >/dev/null
    if ! tools/find-python.sh >/dev/null; then
        echo "this system's python3 is older than 3.11; install a later one and name it: make PYTHON=..." >&2
        exit 1
    fi
fi

wanted=$(sed -n 's/^rust-version = "\(.*\)"/\1/p' rust_crates/Cargo.toml)
if ! found=$(cargo --version 2>/dev/null | cut -d' ' -f2) || [[ -z $found ]]; then
    echo "Rust is missing: install it with rustup (https://rustup.rs) and open a new shell" >&2
    exit 1
fi
if [[ $(printf '%s\n' "$wanted" "$found" | sort -V | head -1) != "$wanted" ]]; then
    echo "Rust $found is too old: $wanted or later is needed; rustup update stable" >&2
    exit 1
fi
