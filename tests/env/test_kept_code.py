"""Compiled code is kept where it can be, is used only if it is whole, and the simulator runs without all that.

Permissions do not stop root, so a place that cannot be written is a folder below a file.
"""

from __future__ import annotations

import os
import pwd
import tempfile
from importlib.util import find_spec
from pathlib import Path
from typing import Any

import pytest

from mirr.env.simulator.fast import compiled, kept
from mirr.env.simulator.fast.kept import REMEDY, SealedFile, choose_folder
from tests.paths import stand_in_a_directory_that_is_gone

NEEDS_NUMBA = pytest.mark.skipif(not compiled.COMPILED, reason="numba is not installed or switched off")


class Machine:
    """The places of one machine. `said` is what the user was told."""

    def __init__(self, root: Path) -> None:
        self.beside, self.home, self.temporary = root / "package" / "__pycache__", root / "home", root / "tmp"
        for folder in (self.beside.parent, self.home, self.temporary):
            folder.mkdir()
        self.said: list[str] = []
        (root / "file").touch()
        self.unwritable = root / "file" / "folder"

    def choose(self) -> Path | None:
        return choose_folder("compiled-1", self.beside, self.said.append)


@pytest.fixture
def machine(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> Machine:
    machine = Machine(tmp_path)
    monkeypatch.delenv("NUMBA_CACHE_DIR", raising=False)
    monkeypatch.delenv("XDG_CACHE_HOME", raising=False)
    monkeypatch.setenv("HOME", str(machine.home))
    monkeypatch.setattr(tempfile, "tempdir", str(machine.temporary))
    return machine


def nobody(number: int) -> pwd.struct_passwd:
    raise KeyError(f"getpwuid(): uid not found: {number}")


def test_compiled_code_is_kept_beside_the_sources(machine: Machine) -> None:
    assert (machine.choose(), machine.said) == (machine.beside / "compiled-1", [])


def test_a_read_only_installation_keeps_it_in_the_users_cache(
    machine: Machine, monkeypatch: pytest.MonkeyPatch
) -> None:
    machine.beside = machine.unwritable
    assert machine.choose() == machine.home / ".cache" / "mirr-lab" / "compiled-1"
    monkeypatch.setenv("XDG_CACHE_HOME", str(machine.home / "other"))
    assert machine.choose() == machine.home / "other" / "mirr-lab" / "compiled-1"
    monkeypatch.setenv("XDG_CACHE_HOME", "relative")  # the standard says to ignore it
    assert machine.choose() == machine.home / ".cache" / "mirr-lab" / "compiled-1"
    assert machine.said == []


def test_a_relative_place_in_a_directory_that_is_gone_is_passed_over(
    machine: Machine, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    stand_in_a_directory_that_is_gone(tmp_path, monkeypatch)
    monkeypatch.setenv("NUMBA_CACHE_DIR", "cache")
    assert machine.choose() == machine.beside / "compiled-1"
    assert machine.said == [f"NUMBA_CACHE_DIR=cache cannot be written, so compiled code is kept in {machine.beside}"]


def test_an_installation_that_was_compiled_before_it_became_read_only_is_used(
    machine: Machine, monkeypatch: pytest.MonkeyPatch
) -> None:
    SealedFile(machine.beside / "compiled-1" / f"code{kept.SUFFIX}").write(b"code")
    monkeypatch.setattr(kept, "_writable", lambda _: False)
    assert (machine.choose(), machine.said) == (machine.beside / "compiled-1", [])


def test_a_user_without_a_home_keeps_it_in_the_temporary_folder(
    machine: Machine, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.delenv("HOME")
    monkeypatch.setattr(pwd, "getpwuid", nobody)
    machine.beside = machine.unwritable
    own = machine.temporary / f"mirr-lab-{os.getuid()}"
    assert machine.choose() == own / "compiled-1"
    assert own.stat().st_mode & 0o777 == 0o700
    assert machine.said == [
        f"compiled code is kept in {own}, as these cannot be written: {machine.unwritable}; next: set NUMBA_CACHE_DIR "
        "to a folder that can be written, or MIRR_COMPILED=0 to play uncompiled, slowly"
    ]


def test_a_temporary_folder_that_others_can_write_is_not_used(
    machine: Machine, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setenv("XDG_CACHE_HOME", str(machine.unwritable))
    machine.beside = machine.unwritable
    own = machine.temporary / f"mirr-lab-{os.getuid()}"
    own.mkdir()
    own.chmod(0o777)
    assert machine.choose() is None
    own.rmdir()
    own.symlink_to(machine.home)
    assert machine.choose() is None
    assert machine.said == 2 * [
        "compiled code cannot be kept, so every process compiles anew, for up to a minute, as these cannot be written: "
        f"{machine.unwritable}, {machine.unwritable}/mirr-lab; {REMEDY}"
    ]


def test_the_folder_that_the_user_names_comes_first_and_each_version_has_its_own_part(
    machine: Machine, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setenv("NUMBA_CACHE_DIR", str(machine.home / "named"))
    assert (machine.choose(), machine.said) == (machine.home / "named" / "compiled-1", [])
    monkeypatch.setenv("NUMBA_CACHE_DIR", str(machine.unwritable))
    assert machine.choose() == machine.beside / "compiled-1"
    assert machine.said == [
        f"NUMBA_CACHE_DIR={machine.unwritable} cannot be written, so compiled code is kept in {machine.beside}"
    ]


BODY = bytes(range(256)) * 40


@pytest.mark.parametrize(
    "damage",
    [
        lambda whole: b"",
        lambda whole: whole[:10],
        lambda whole: whole[:32],
        lambda whole: whole[: len(whole) // 2],
        lambda whole: whole[:-1],
        lambda whole: whole + b"\0",
        lambda whole: bytes(len(whole)),
        lambda whole: whole[:4096] + bytes(len(whole) - 4096),
        lambda whole: whole[:5000] + bytes([whole[5000] ^ 1]) + whole[5001:],
        lambda whole: b"\xff" + whole[1:],
    ],
)
def test_a_damaged_file_is_as_good_as_none(tmp_path: Path, damage: Any) -> None:
    file = SealedFile(tmp_path / f"code{kept.SUFFIX}")
    file.write(BODY)
    assert file.read() == BODY
    assert kept.holds_code(tmp_path)
    file.path.write_bytes(damage(file.path.read_bytes()))
    assert file.read() is None
    assert not kept.holds_code(tmp_path)


def test_a_write_that_fails_leaves_the_old_file_and_no_draft(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    file = SealedFile(tmp_path / f"code{kept.SUFFIX}")
    file.write(BODY)

    def half(path: Path, content: bytes) -> int:
        with path.open("wb") as opened:
            opened.write(content[: len(content) // 2])
        raise OSError(28, "No space left on device")

    monkeypatch.setattr(Path, "write_bytes", half)
    with pytest.raises(OSError, match="No space left on device"):
        file.write(b"new")
    assert file.read() == BODY
    assert list(tmp_path.iterdir()) == [file.path]


def twice(number: float) -> float:
    return 2.0 * number


@pytest.fixture
def cache(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> Path:
    """A cache folder for new functions."""
    monkeypatch.setattr(compiled, "_CACHE", tmp_path / "cache")
    monkeypatch.setattr(compiled._Cache, "off", False)
    return tmp_path / "cache"


@NEEDS_NUMBA
def test_damaged_compiled_code_is_thrown_away_and_made_anew(cache: Path) -> None:
    assert compiled.jit(twice)(4.0) == 8.0
    (file,) = cache.iterdir()
    whole = file.read_bytes()
    file.write_bytes(whole[: len(whole) // 2])
    assert compiled.jit(twice)(4.0) == 8.0
    assert SealedFile(file).read() is not None
    again: Any = compiled.jit(twice)
    assert again(4.0) == 8.0
    assert (sum(again.stats.cache_hits.values()), sum(again.stats.cache_misses.values())) == (1, 0)


@NEEDS_NUMBA
def test_code_that_cannot_be_kept_runs_and_one_line_says_so(
    cache: Path, monkeypatch: pytest.MonkeyPatch, caplog: pytest.LogCaptureFixture
) -> None:
    cache.touch()  # a file, so no folder can be there
    assert compiled.jit(twice)(4.0) == 8.0
    assert compiled.jit(lambda number: 3.0 * number)(4.0) == 12.0
    assert caplog.messages == [f"mirr: compiled code cannot be kept in {cache}: File exists; {REMEDY}"]


@NEEDS_NUMBA
def test_without_any_place_code_is_compiled_in_each_process(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(compiled, "_CACHE", None)
    monkeypatch.setattr(compiled._Cache, "off", True)
    assert compiled.jit(twice)(4.0) == 8.0
    assert compiled.to_be_compiled()


@pytest.mark.skipif(find_spec("numba") is None, reason="numba is not installed")
@pytest.mark.parametrize("error", [ImportError, OSError, AttributeError, SystemError])
def test_a_numba_that_does_not_start_leaves_the_simulator_uncompiled(
    error: type[Exception], monkeypatch: pytest.MonkeyPatch, caplog: pytest.LogCaptureFixture
) -> None:
    def broken(_: str) -> None:
        raise error("Numba needs NumPy 2.4 or less.\nGot NumPy 9.9.")

    monkeypatch.setattr(compiled, "import_module", broken)
    monkeypatch.setenv("MIRR_COMPILED", "1")
    monkeypatch.setenv("NUMBA_DISABLE_JIT", "0")
    assert not compiled._can_compile()
    assert caplog.messages == [
        "mirr: numba is installed but does not start (Numba needs NumPy 2.4 or less. Got NumPy 9.9.), so the simulator "
        "runs uncompiled: slowly, with the same results; next: install numba again, or set MIRR_COMPILED=0"
    ]
