"""`make` and `lab/venv.sh` with strange settings of git and pip, and in a checkout that was moved.

Nothing is installed: a small shell script plays Python and pip.
"""

from __future__ import annotations

import os
import re
import shutil
import subprocess
from pathlib import Path

import pytest

from tests.paths import ROOT

FAKE_PYTHON = """\
#!/bin/sh
# Notes each call. It can make a virtual environment, whose Python it is too, and install `mirr` as pip does.
here=$(cd "$(dirname "$0")" && pwd -P)
echo "$*" >> "$CALLS"
case "$*" in
"-m venv --clear "*)
    rm -rf "$4" && mkdir -p "$4/bin" && cp "$0" "$4/bin/python" ;;
"-m pytest "*)
    echo "bytecode: ${PYTHONDONTWRITEBYTECODE:-kept} in ${PYTHONPYCACHEPREFIX:-no folder}" >> "$CALLS" ;;
"-m pip install "*)
    echo "WARNING: Url '/opt/wheels' is ignored: it is either a non-existing path or lacks a specific scheme." >&2
    echo "target: ${PIP_TARGET:-none}" >> "$CALLS"
    [ "$PIP_FAILS" = yes ] && echo "ERROR: No matching distribution found for numpy" >&2 && exit 1
    [ "$PIP_ELSEWHERE" = yes ] && exit 0
    # pip writes this form if the path is long or has spaces.
    printf '#!/bin/sh\\nexec "%s/python" "$0" "$@"\\n' "$here" > "$here/mirr" && chmod +x "$here/mirr" ;;
esac
exit 0
"""


class Checkout:
    """A copy of the files that `make` needs for its virtual environment."""

    def __init__(self, folder: Path) -> None:
        self.folder = folder
        self.python = folder.parent / "python-of-the-system"
        self.calls = folder.parent / "calls"
        (folder / "lab").mkdir(parents=True)
        for name in ("Makefile", "pyproject.toml", "lab/venv.sh"):
            shutil.copy(ROOT / name, folder / name)
        self.python.write_text(FAKE_PYTHON)
        self.python.chmod(0o755)

    def make(self, *arguments: str, **settings: str) -> subprocess.CompletedProcess[str]:
        """Run make. `calls` then holds what was asked of Python and pip."""
        self.calls.write_text("")
        variables = {name: value for name, value in os.environ.items() if not name.startswith(("PIP_", "MAKE"))}
        return subprocess.run(
            ["make", f"PYTHON={self.python}", *arguments],
            cwd=self.folder,
            env=variables | {"CALLS": str(self.calls)} | settings,
            capture_output=True,
            text=True,
            timeout=60,
            check=False,
        )

    def asked(self, start: str) -> list[str]:
        """The calls that begin so."""
        return [line for line in self.calls.read_text().splitlines() if line.startswith(start)]


@pytest.fixture
def checkout(tmp_path: Path) -> Checkout:
    return Checkout(tmp_path / "a checkout")


def test_the_first_make_installs_and_prints_nothing_of_what_pip_warns_of(checkout: Checkout) -> None:
    done = checkout.make("status")
    assert (done.returncode, done.stdout) == (0, "")  # `mirr` is run by the fake Python
    assert re.sub(r"\d+ s$", "N s", done.stderr) == (
        "creating the virtual environment .venv\n"
        "installing Python packages into .venv (about half a minute) ...\n"
        "installing Python packages: N s\n"
    )
    assert "WARNING" in (checkout.folder / ".venv" / "pip.log").read_text()


def test_the_second_make_installs_nothing(checkout: Checkout) -> None:
    checkout.make("status")
    done = checkout.make("status")
    assert (done.returncode, done.stderr) == (0, "")
    assert checkout.asked("-m") == []


def test_a_checkout_that_was_moved_gets_a_new_virtual_environment(checkout: Checkout) -> None:
    checkout.make("status")
    checkout.folder = checkout.folder.rename(checkout.folder.with_name("moved"))
    done = checkout.make("status")
    assert done.returncode == 0
    assert done.stderr.startswith(
        "the checkout was moved or copied here, so .venv is made anew\ncreating the virtual environment .venv\n"
    )
    assert checkout.asked("-m venv") == ["-m venv --clear .venv"]
    assert checkout.make("status").stderr == ""


def test_a_copy_of_a_checkout_does_not_run_the_code_of_the_original(checkout: Checkout) -> None:
    checkout.make("status")
    copy = checkout.folder.with_name("copy")
    shutil.copytree(checkout.folder, copy, symlinks=True)
    checkout.folder = copy
    checkout.make("status")
    assert f'exec "{copy}/.venv/bin/python"' in (copy / ".venv" / "bin" / "mirr").read_text()


def test_a_virtual_environment_whose_python_was_removed_is_made_anew(checkout: Checkout) -> None:
    checkout.make("status")
    python = checkout.folder / ".venv" / "bin" / "python"
    python.unlink()
    python.symlink_to("/nowhere/python3")
    assert checkout.make("status").returncode == 0
    assert checkout.asked("-m venv") == ["-m venv --clear .venv"]


def test_pip_installs_into_the_virtual_environment_whatever_its_settings_say(checkout: Checkout) -> None:
    assert checkout.make("status", PIP_USER="1", PIP_TARGET="/elsewhere").returncode == 0
    (install,) = checkout.asked("-m pip install")
    assert "--no-user" in install.split()
    assert checkout.asked("target:") == ["target: none"]


def test_the_error_for_packages_that_went_elsewhere_names_the_settings(checkout: Checkout) -> None:
    done = checkout.make("status", PIP_ELSEWHERE="yes")
    assert done.returncode == 2
    assert (
        "pip has put the packages somewhere else than into .venv; look for target, prefix, root or dry-run in its\n"
        "settings: .venv/bin/python -m pip config list\n"
    ) in done.stderr
    assert not (checkout.folder / ".venv" / ".ready").exists()


def test_if_pip_fails_its_last_lines_are_shown(checkout: Checkout) -> None:
    done = checkout.make("status", PIP_FAILS="yes")
    assert done.returncode == 2
    assert (
        "ERROR: No matching distribution found for numpy\n"
        "pip failed: its last lines are above, and all of them in .venv/pip.log; next: try again, or see what pip is "
        "told by its\nsettings: .venv/bin/python -m pip config list\n"
    ) in done.stderr


@pytest.mark.skipif(shutil.which("git") is None, reason="git is not installed")
def test_a_clone_has_unix_line_ends_even_if_git_is_told_to_write_others(tmp_path: Path) -> None:
    def git(*arguments: str, where: Path) -> None:
        settings = ("core.autocrlf=true", "core.eol=crlf", "user.name=t", "user.email=t@example.org")
        options = [part for setting in settings for part in ("-c", setting)]
        alone = {"GIT_CONFIG_GLOBAL": os.devnull, "GIT_CONFIG_SYSTEM": os.devnull, "PATH": os.environ["PATH"]}
        subprocess.run(["git", *options, *arguments], cwd=where, env=alone, capture_output=True, timeout=60, check=True)

    original, clone = tmp_path / "original", tmp_path / "clone"
    names = ["Makefile", "lab/venv.sh", "docker-compose.yml", "services/requirements.txt", "mirr/__init__.py"]
    for name in (".gitattributes", *names):
        (original / name).parent.mkdir(parents=True, exist_ok=True)
        shutil.copy(ROOT / name, original / name)
    git("init", "--quiet", where=original)
    git("add", ".", where=original)
    git("commit", "--quiet", "--message", "files", where=original)
    git("clone", "--quiet", str(original), str(clone), where=tmp_path)
    assert [name for name in names if b"\r" in (clone / name).read_bytes()] == []


@pytest.mark.parametrize("target", ["test", "quick"])
def test_the_tests_keep_bytecode_in_the_virtual_environment_whatever_the_environment_says(
    checkout: Checkout, target: str
) -> None:
    assert checkout.make(target, PYTHONDONTWRITEBYTECODE="1", PYTHONPYCACHEPREFIX="/elsewhere").returncode == 0
    folder = checkout.folder.resolve() / ".venv" / "bytecode"
    assert checkout.asked("bytecode: ") == [f"bytecode: kept in {folder}"]
