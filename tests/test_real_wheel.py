"""The wheel and the source distribution are installed and used outside the checkout.

Each test uses a new environment and installs the package there. The third-party packages come from the environment that
runs the tests, through a path file. The simulator is not compiled, which saves a minute.
"""

from __future__ import annotations

import json
import os
import subprocess
import sys
import sysconfig
import time
from collections.abc import Collection
from dataclasses import dataclass
from pathlib import Path

import pytest
import requests

from mirr.env.vocabulary import STEADY_RELEASE, Service
from mirr.lab.containers import LabContainers
from mirr.lab.engine import connect
from tests.cli.on_real_lab import labelled

LAB = "mirr-test-wheel"
UP_WITHIN_S = 30.0  # the images are there: the first lab has the same ones
MAKE_AND_RESET = "import gymnasium; gymnasium.make('mirr:mirr/Sim-v0').reset(seed=1)"
WHERE = "import mirr; print(mirr.__file__)"


@dataclass(frozen=True, kw_only=True)
class Installed:
    """A new environment with the package, and a working folder."""

    environment: Path
    work: Path

    def run(self, program: str, *arguments: str, timeout_s: float = 240, codes: Collection[int] = (0,)) -> str:
        """Run a program of the environment. Returns its output. The program has to exit with one of `codes`."""
        removed = {"LAB", "PYTHONPATH"}
        inherited = {
            name: value for name, value in os.environ.items() if name not in removed and not name.endswith("_PORT")
        }
        done = subprocess.run(
            [str(self.environment / "bin" / program), *arguments],
            cwd=self.work,
            env=inherited | {"LAB": LAB, "MIRR_COMPILED": "0", "MIRR_STATE_DIR": str(self.work.parent / "state")},
            capture_output=True,
            text=True,
            timeout=timeout_s,
            check=False,
        )
        assert done.returncode in codes, f"{program} {' '.join(arguments)}: {done.stdout[-3000:]}{done.stderr[-3000:]}"
        return done.stdout


def install(distribution: Path, folder: Path) -> Installed:
    environment, work = folder / "environment", folder / "work"
    # Without pip: pip comes with the setuptools of this Python version, and they can be too old for the build.
    subprocess.run([sys.executable, "-m", "venv", "--without-pip", str(environment)], timeout=120, check=True)
    version = f"python{sys.version_info.major}.{sys.version_info.minor}"
    third_party = environment / "lib" / version / "site-packages" / "third-party.pth"
    third_party.write_text(f"{sysconfig.get_path('purelib')}\n")
    work.mkdir()
    (work / "env.py").write_text("raise SystemExit('the user\\'s own env.py was imported')\n")
    made = Installed(environment=environment, work=work)
    made.run("python", "-m", "pip", "install", "--quiet", "--no-deps", "--no-build-isolation", str(distribution))
    assert made.run("python", "-c", WHERE).startswith(str(environment))
    return made


def assert_plays_on_the_simulator(made: Installed) -> None:
    made.run("python", "-c", MAKE_AND_RESET)
    assert "resolved: " in made.run("mirr", "episode", "--seed", "1")


@pytest.mark.thorough
def test_the_source_distribution_can_be_installed_and_plays_on_the_simulator(
    distributions: Path, tmp_path: Path
) -> None:
    assert_plays_on_the_simulator(install(next((distributions / "dist").glob("*.tar.gz")), tmp_path))


@pytest.mark.docker
@pytest.mark.usefixtures("machine_to_itself")
def test_the_wheel_can_start_a_second_lab_play_on_it_and_remove_all_of_it(
    real_lab: str, distributions: Path, tmp_path: Path
) -> None:
    client = connect()
    first = sorted(str(one.id) for one in LabContainers(client, real_lab).all())
    made = install(next((distributions / "dist").glob("*.whl")), tmp_path)
    assert_plays_on_the_simulator(made)
    try:
        assert f"fix it with: mirr up --lab {LAB}" in made.run("mirr", "doctor")
        began_s = time.monotonic()
        assert f"next: mirr status --lab {LAB}, or break something: " in made.run("mirr", "up")
        assert time.monotonic() - began_s < UP_WITHIN_S
        assert requests.get(f"{LabContainers(client, LAB).gateway_url}/healthz", timeout=2).status_code == 200
        # Exit code 1: out of steady state for a moment. `up` has waited for steady state.
        status = json.loads(made.run("mirr", "status", "--json", codes=(0, 1)))
        assert status["faults"] == []
        assert {service: status["services"][service]["release"] for service in Service} == dict.fromkeys(
            Service, STEADY_RELEASE
        )
        assert all(status["services"][service]["up"] for service in Service)
        assert "resolved: " in made.run("mirr", "episode", "--world", "docker", "--seed", "1")
    finally:
        removed = made.run("mirr", "down")
    assert f"lab {LAB} is gone: 12 containers, 1 networks, 6 volumes" in removed
    assert labelled(client, LAB) == []
    assert sorted(str(one.id) for one in LabContainers(client, real_lab).all()) == first
