"""The folder for journals and locks: any place the user names, or a sentence that says how to name one."""

from __future__ import annotations

import os
import pwd
from pathlib import Path

import pytest

from mirr.lab.errors import StateError
from mirr.lab.lock import hold
from mirr.lab.state import state_dir, state_root
from tests.paths import stand_in_a_directory_that_is_gone


def nobody(number: int) -> pwd.struct_passwd:
    raise KeyError(f"getpwuid(): uid not found: {number}")


def test_a_relative_folder_is_the_same_one_after_the_process_went_elsewhere(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setenv("MIRR_STATE_DIR", "state")
    monkeypatch.chdir(tmp_path)
    assert state_dir("mirr") == tmp_path / "state" / "labs" / "mirr"


def test_a_tilde_is_the_users_home(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setenv("HOME", str(tmp_path))
    monkeypatch.setenv("MIRR_STATE_DIR", "~/state")
    assert state_root() == tmp_path / "state"


def test_the_error_for_a_folder_that_cannot_be_made_names_the_variable(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    (tmp_path / "file").touch()
    monkeypatch.setenv("MIRR_STATE_DIR", str(tmp_path / "file" / "state"))
    with pytest.raises(StateError) as raised:
        state_root()
    assert str(raised.value) == (
        f"the folder {tmp_path}/file/state, which keeps journals and locks, cannot be made: Not a directory; "
        "next: give rights there, or set MIRR_STATE_DIR to another folder"
    )


def test_a_user_without_a_home_is_told_to_name_a_folder(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    for name in ("HOME", "MIRR_STATE_DIR", "XDG_STATE_HOME"):
        monkeypatch.delenv(name, raising=False)
    monkeypatch.setattr(pwd, "getpwuid", nobody)
    monkeypatch.chdir(tmp_path)
    with pytest.raises(StateError) as raised:
        state_root()
    assert str(raised.value) == (
        "this user has no home, so there is no folder for journals and locks; "
        "next: set MIRR_STATE_DIR to a folder, the same one for every command"
    )
    assert list(tmp_path.iterdir()) == []


def test_the_error_for_an_unknown_users_home_names_the_variable(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setenv("MIRR_STATE_DIR", "~no-such-user/state")
    with pytest.raises(StateError) as raised:
        state_root()
    assert str(raised.value) == (
        "MIRR_STATE_DIR=~no-such-user/state names the home of a user whom this system does not know; "
        "next: set MIRR_STATE_DIR to a folder, the same one for every command"
    )


def test_a_lock_that_cannot_be_written_is_a_sentence(state_root: Path) -> None:
    (state_root / "locks" / "mirr.lock").mkdir(parents=True)  # as root, only a folder in its place stops a write
    with pytest.raises(StateError) as raised, hold("mirr", "mirr up"):
        pass
    assert str(raised.value) == (
        f"{state_root}/locks/mirr.lock cannot be written: {os.strerror(21)}; "
        "next: give rights there, or set MIRR_STATE_DIR to another folder"
    )


@pytest.mark.parametrize("kind", ["file", "loop", "device"])
def test_something_else_in_place_of_the_state_folder_is_named(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch, kind: str
) -> None:
    place = Path(os.devnull) if kind == "device" else tmp_path / "state"
    if kind == "file":
        place.write_text("")
    elif kind == "loop":
        place.symlink_to(place)
    monkeypatch.setenv("MIRR_STATE_DIR", str(place))
    with pytest.raises(StateError) as raised:
        state_root()
    assert str(raised.value) == (
        f"the folder {place}, which keeps journals and locks, cannot be made: there is something else in its place; "
        "next: remove that, or set MIRR_STATE_DIR to another folder"
    )


def test_a_relative_state_folder_in_a_directory_that_is_gone_is_named(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    stand_in_a_directory_that_is_gone(tmp_path, monkeypatch)
    monkeypatch.setenv("MIRR_STATE_DIR", "state")
    with pytest.raises(StateError) as raised:
        state_root()
    assert str(raised.value) == (
        "MIRR_STATE_DIR=state is a relative path, and the working directory is gone; next: go to another directory, "
        "or name the folder from / on"
    )
