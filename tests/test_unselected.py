"""Which test files are not imported: those of which the option `-m` selects no test."""

from __future__ import annotations

import os
import subprocess
import sys

import pytest

from tests.paths import ROOT
from tests.unselected import has_no_selected_test

QUICK = "not thorough and not docker and not browser"
THOROUGH = "import late\n\npytestmark = pytest.mark.thorough\n"
REAL = "pytestmark = [pytest.mark.docker, pytest.mark.browser]\n"
UNMARKED = "@pytest.mark.thorough\ndef test_one(): ...\n\ndef test_two(): ...\n"


@pytest.mark.parametrize(
    ("source", "selection", "unselected"),
    [
        (THOROUGH, QUICK, True),
        (REAL, QUICK, True),
        (UNMARKED, QUICK, False),
        (THOROUGH, "", False),
        (THOROUGH, "thorough", False),
        (REAL, "browser and not docker", True),
        (THOROUGH, "not thorough or docker", False),  # a test of the file may need the lab too
        (THOROUGH, "docker", False),  # the same
        ("pytestmark = pytest.mark.usefixtures('lab')\n", QUICK, False),
        (THOROUGH, "not thorough and not parametrize", False),  # a marker of which the file says nothing
    ],
)
def test_a_file_is_left_out_only_if_none_of_its_tests_can_be_selected(
    source: str, selection: str, unselected: bool
) -> None:
    assert has_no_selected_test(source, selection) is unselected


def collected(selection: str) -> str:
    """The tests of a folder that pytest finds. One of its files is thorough."""
    command = [sys.executable, "-m", "pytest", "--collect-only", "--quiet", "-p", "no:cacheprovider", "-m", selection]
    env = {name: value for name, value in os.environ.items() if name != "PYTEST_ADDOPTS"}
    done = subprocess.run(
        [*command, "tests/bridge/fidelity"], cwd=ROOT, capture_output=True, text=True, timeout=120, check=True, env=env
    )
    return done.stdout


@pytest.mark.thorough
def test_pytest_selects_the_same_tests_as_if_it_imported_every_file() -> None:
    fewer, every = (
        [line for line in collected(selection).splitlines() if "::" in line]
        for selection in (QUICK, f"{QUICK} and not tryfirst")  # no test has this marker
    )
    assert len(fewer) > 10
    assert fewer == every
