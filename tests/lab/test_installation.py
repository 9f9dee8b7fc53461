"""Hints name commands that the user has. The error for a damaged installation names the missing file."""

from __future__ import annotations

import os
import site
import subprocess
import sys
from importlib.metadata import Distribution
from pathlib import Path

import pytest

from mirr.lab import compose
from mirr.lab.containers import Ports
from mirr.lab.doctor import Verdict, examine
from mirr.lab.errors import BrokenInstallation
from mirr.lab.installation import HERE, Installation
from tests.paths import ROOT

METADATA = """\
Metadata-Version: 2.4
Name: mirr-lab
Version: 0.1.0
Requires-Dist: docker<8,>=7.2
Requires-Dist: no-such-package>=2
Provides-Extra: mcp
Requires-Dist: fastmcp<5,>=3.4; extra == "mcp"
Provides-Extra: records
Requires-Dist: pyarrow>=20; extra == "records"
"""
RECORD = """\
../../../bin/mirr,,
mirr/__init__.py,,
mirr/services/releases/1.5.0/data/auth.py,,
mirr/__pycache__/__init__.cpython-311.pyc,,
mirr_lab-0.1.0.dist-info/METADATA,,
mirr_lab-0.1.0.dist-info/RECORD,,
"""


@pytest.fixture
def installed(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> Installation:
    """A package that pip has installed from a wheel."""
    site_packages = tmp_path / "site packages"
    notes = site_packages / "mirr_lab-0.1.0.dist-info"
    release = site_packages / "mirr" / "services" / "releases" / "1.5.0" / "data"
    for folder in (notes, release, site_packages / "mirr" / "lab"):
        folder.mkdir(parents=True)
    (notes / "METADATA").write_text(METADATA)
    (notes / "RECORD").write_text(RECORD)
    (notes / "direct_url.json").write_text('{"url": "file:///wheels/mirr_lab-0.1.0%2Btest-py3-none-any.whl"}')
    (site_packages / "mirr" / "__init__.py").touch()
    (release / "auth.py").touch()
    # The tests run beside another installed copy, so the test replaces the lookup of the metadata.
    monkeypatch.setattr("mirr.lab.installation.distribution", lambda _: Distribution.at(notes))
    return Installation(package=site_packages / "mirr")


def test_a_command_in_a_checkout_is_a_make_target_or_a_program_of_the_virtual_environment() -> None:
    assert HERE.checkout == ROOT
    assert HERE.command("up") == "make up"
    assert HERE.command("up", "two") == "make up LAB=two"
    assert HERE.command("demo --world docker", "two") == "make demo WORLD=docker LAB=two"
    assert HERE.command("up", "two", variables={"TRAFFIC_PORT": 1081}) == "make up LAB=two TRAFFIC_PORT=1081"
    assert HERE.command("inject crashed auth", "two") == ".venv/bin/mirr inject crashed auth --lab two"


def test_a_command_of_an_installed_package_starts_with_mirr(installed: Installation) -> None:
    assert installed.checkout is None
    assert installed.command("up") == "mirr up"
    assert installed.command("up", "two", variables={"TRAFFIC_PORT": 1081}) == "TRAFFIC_PORT=1081 mirr up --lab two"
    assert installed.command("demo --world docker", "two") == "mirr demo --world docker --lab two"


def test_every_make_target_that_a_hint_names_is_in_the_makefile() -> None:
    makefile = (ROOT / "Makefile").read_text()
    for command in ("demo", "demo --world docker", "doctor", "down", "status", "up"):
        target = HERE.command(command).split()[1]
        assert f"\n{target}:" in makefile


def test_the_command_that_adds_an_extra_fits_the_installation(installed: Installation) -> None:
    assert HERE.add_extra("mcp") == ".venv/bin/pip install --editable '.[mcp]'"
    # The command names the packages of the extra: mirr-lab may be on no index.
    assert installed.add_extra("mcp") == f"{sys.executable} -m pip install 'fastmcp<5,>=3.4'"


def test_the_required_packages_come_from_the_metadata(installed: Installation) -> None:
    assert installed.requirements() == ["docker<8,>=7.2", "no-such-package>=2"]
    assert installed.requirements("records") == ["pyarrow>=20"]
    assert "docker>=7.2,<8" in HERE.requirements()


def test_the_error_for_a_copied_package_says_how_to_install_it(installed: Installation, tmp_path: Path) -> None:
    copied = tmp_path / "elsewhere" / "mirr"
    copied.mkdir(parents=True)
    with pytest.raises(BrokenInstallation) as raised:
        Installation(package=copied).requirements()
    assert str(raised.value) == (
        f"nothing says which packages {copied} needs, as it was copied there and not installed; install it with: "
        f"{sys.executable} -m pip install --force-reinstall --no-deps WHEEL, with the wheel of mirr-lab that you have"
    )


def test_a_complete_installation_is_accepted_with_or_without_python_caches(installed: Installation) -> None:
    assert installed.missing_files() == []
    installed.refuse_if_damaged()


def test_the_error_names_a_missing_file_and_the_command_that_installs_it_again(installed: Installation) -> None:
    missing_file = installed.package / "services" / "releases" / "1.5.0" / "data" / "auth.py"
    missing_file.unlink()
    with pytest.raises(BrokenInstallation) as raised:
        installed.refuse_if_damaged()
    assert str(raised.value) == (
        f"{missing_file} is missing, so this installation of mirr is damaged; install it again with: "
        f"{sys.executable} -m pip install --force-reinstall --no-deps /wheels/mirr_lab-0.1.0+test-py3-none-any.whl"
    )


def test_a_package_from_an_index_is_installed_again_from_the_index(installed: Installation) -> None:
    (installed.package.parent / "mirr_lab-0.1.0.dist-info" / "direct_url.json").unlink()
    assert installed.repair() == (
        f"{sys.executable} -m pip install --force-reinstall --no-deps mirr-lab==0.1.0, "
        "with the options that it was installed with, or its wheel"
    )


def test_the_error_for_a_damaged_checkout_names_git_status(tmp_path: Path) -> None:
    (tmp_path / "lab").mkdir()
    (tmp_path / "mirr").mkdir()
    (tmp_path / "mirr" / "lab").symlink_to("../lab")
    error = Installation(package=tmp_path / "mirr").missing(tmp_path / "mirr" / "docker-compose.yml")
    assert str(error) == (
        f"{tmp_path}/mirr/docker-compose.yml is missing from the checkout; see what else is: git -C {tmp_path} status"
    )


def test_a_missing_compose_file_is_an_error_before_compose_starts(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    def run(*_: object, **__: object) -> subprocess.CompletedProcess[str]:
        raise AssertionError("Compose was started")

    monkeypatch.setattr(compose, "ROOT", tmp_path)
    with pytest.raises(BrokenInstallation, match=rf"^{tmp_path}/docker-compose.yml is missing"):
        compose.up(compose.Compose(command=("docker-compose",)), "mirr", Ports(), run=run)


def test_doctor_names_missing_files_and_missing_packages(
    installed: Installation, monkeypatch: pytest.MonkeyPatch
) -> None:
    (installed.package / "__init__.py").unlink()
    monkeypatch.setattr("mirr.lab.doctor.HERE", installed)
    monkeypatch.setenv("DOCKER_HOST", "unix:///nowhere/docker.sock")
    checks = {check.code: check for check in examine("mirr", lambda _: [])}
    files, packages = checks["files"], checks["packages"]
    assert (files.status, files.text) == (
        Verdict.FAIL,
        f"1 file of mirr is missing: {installed.package / '__init__.py'}",
    )
    assert (packages.status, packages.text) == (Verdict.FAIL, f"missing in {sys.prefix}: no-such-package>=2")
    assert packages.remedy == f"{sys.executable} -m pip install 'no-such-package>=2'"


@pytest.mark.thorough
def test_a_child_process_imports_this_copy_and_nothing_from_its_working_directory(tmp_path: Path) -> None:
    for name in ("env", "docker", "json", "mirr"):
        (tmp_path / f"{name}.py").write_text("raise SystemExit('a file of the working directory was imported')\n")
    environment = HERE.python_environment(os.environ | {"PYTHONPATH": ""})
    command = [*HERE.python("mirr.chaos.reaper")[:2], "-c", "import docker, json, mirr.lab; print(mirr.__file__)"]
    done = subprocess.run(command, cwd=tmp_path, env=environment, capture_output=True, text=True, timeout=60)
    assert (done.stderr, done.stdout.strip()) == ("", str(ROOT / "mirr" / "__init__.py"))


def test_a_child_process_gets_the_python_path_of_the_user_as_absolute_paths() -> None:
    environment = HERE.python_environment({"PYTHONPATH": f"mine{os.pathsep}{os.pathsep}/theirs", "HOME": "/home/me"})
    assert environment == {
        "PYTHONPATH": os.pathsep.join((str(ROOT), os.path.abspath("mine"), "/theirs")),
        "HOME": "/home/me",
    }


def test_site_packages_are_not_added_to_the_python_path() -> None:
    installed = Installation(package=Path(site.getsitepackages()[0]) / "mirr")
    assert installed.python_environment({"HOME": "/home/me"}) == {"HOME": "/home/me"}
