#!/bin/sh
# Creates or updates the virtual environment: lab/venv.sh PYTHON VENV [EXTRA]
# It needs only a Python. As root on a Debian-family system it installs what venv needs there.
set -eu
python=$1 venv=$2 extra=${3:-}
root=$(cd "$(dirname "$0")/.." && pwd)

say() { echo "$*" >&2; }

can_install() { [ "$(id -u)" = 0 ] && command -v apt-get >/dev/null 2>&1; }

install_with_apt() {
    say "installing Debian packages: $*"
    { apt-get -qq update && DEBIAN_FRONTEND=noninteractive apt-get -qq install --yes --no-install-recommends "$@"; } >/dev/null
}

if ! command -v "$python" >/dev/null 2>&1; then
    if can_install; then
        install_with_apt python3 python3-venv
    else
        say "$python is not installed; fix it with: sudo apt-get install --yes python3 python3-venv"
        exit 1
    fi
fi

if ! "$python" -c 'import sys; sys.exit(sys.version_info < (3, 11))'; then
    say "$("$python" --version) is too old, 3.11 or later is needed; fix it with: make up PYTHON=python3.11"
    exit 1
fi

if ! "$venv/bin/python" -m pip --version >/dev/null 2>&1; then
    # Debian's Python has venv without ensurepip, and reports that only when venv fails.
    if ! "$python" -c 'import ensurepip, venv' 2>/dev/null; then
        package=python$("$python" -c 'import sys; print("%d.%d" % sys.version_info[:2])')-venv
        if can_install; then
            install_with_apt "$package"
        else
            say "$python lacks ensurepip; fix it with: sudo apt-get install --yes $package"
            exit 1
        fi
    fi
    say "creating the virtual environment $venv"
    "$python" -m venv --clear "$venv"
fi

say "installing Python packages into $venv (about half a minute) ..."
began=$(date +%s)
# Without --no-compile, pip compiles every module of every package. Python compiles those that are imported, when they are.
"$venv/bin/python" -m pip install --quiet --disable-pip-version-check --no-compile --editable "$root${extra:+[$extra]}" >&2
say "installing Python packages: $(($(date +%s) - began)) s"
