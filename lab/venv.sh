#!/bin/sh
# Creates or updates the virtual environment: lab/venv.sh PYTHON VENV [EXTRA]
# It needs only a Python. As root on a Debian-family system it installs what venv needs there.
set -eu
python=$1 venv=$2 extra=${3:-}
root=$(cd "$(dirname "$0")/.." && pwd -P)

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

# The programs of a virtual environment have its path in them, and the package has the path of the checkout. In a copy,
# they would run the code of the original.
moved=no
if [ -e "$venv/bin/mirr" ] && ! grep -qF "$root/$venv/bin/" "$venv/bin/mirr"; then
    say "the checkout was moved or copied here, so $venv is made anew"
    moved=yes
fi

if [ $moved = yes ] || ! "$venv/bin/python" -m pip --version >/dev/null 2>&1; then
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
log=$venv/pip.log
# A user's settings of pip may say which index to ask. They must not say that packages go somewhere else.
unset PIP_TARGET PIP_PREFIX PIP_ROOT PIP_DRY_RUN PIP_NO_DEPS
# Without --no-compile, pip compiles every module of every package. Python compiles those that are imported, when they are.
# pip's warnings about indexes are only worth reading if it fails.
if ! "$venv/bin/python" -m pip install --disable-pip-version-check --no-user --no-compile --progress-bar off \
    --editable "$root${extra:+[$extra]}" >"$log" 2>&1; then
    tail -n 40 "$log" >&2
    say "pip failed: its last lines are above, and all of them in $log; next: try again, or see what pip is told by its"
    say "settings: $venv/bin/python -m pip config list"
    exit 1
fi
if [ ! -x "$venv/bin/mirr" ]; then
    say "pip has put the packages somewhere else than into $venv; look for target, prefix, root or dry-run in its"
    say "settings: $venv/bin/python -m pip config list"
    exit 1
fi
say "installing Python packages: $(($(date +%s) - began)) s"
