"""The public names of `mirr`: few, and the same for `dir`, for type checkers and for `from mirr import *`."""

from __future__ import annotations

import ast
import os
import subprocess
import sys
from importlib.metadata import version
from pathlib import Path

import pytest

import mirr
from mirr.cli.main import run
from mirr.env.simulator.batch import BatchedSimulator
from mirr.env.simulator.world import SimulatedWorld
from mirr.env.vocabulary import Fault

SOURCE = Path(mirr.__file__)


def _names_for_type_checkers() -> dict[str, str]:
    """The public names in the TYPE_CHECKING block, with the module of each."""
    tree = ast.parse(SOURCE.read_text())
    block = next(node for node in tree.body if isinstance(node, ast.If))
    return {
        name.asname: node.module
        for node in block.body
        if isinstance(node, ast.ImportFrom) and node.module is not None
        for name in node.names
        if name.asname is not None
    }


def test_the_public_names_are_these() -> None:
    assert mirr.__all__ == [
        "BadScenario",
        "BadSeverity",
        "BatchedSimulator",
        "ChaosError",
        "Environment",
        "EpisodeConfig",
        "EpisodeError",
        "Fault",
        "LabError",
        "ParameterError",
        "RecordError",
        "SimulatedWorld",
        "UnknownName",
        "WorldError",
        "__version__",
        "open_lab",
        "parse_action",
    ]


def test_a_type_checker_finds_each_name_in_the_same_module_as_python() -> None:
    assert _names_for_type_checkers() == mirr._HOME
    assert {*mirr._HOME, "__version__", "open_lab"} == set(mirr.__all__)


@pytest.mark.parametrize("name", mirr.__all__)
def test_every_public_name_exists_and_has_a_docstring(name: str) -> None:
    value = getattr(mirr, name)
    assert name == "__version__" or value.__doc__
    assert name in dir(mirr)


def test_an_episode_can_be_played_with_the_public_names() -> None:
    environment = mirr.Environment(mirr.SimulatedWorld())
    environment.reset(seed=7, fault=mirr.Fault.parse("crashed:auth"))
    observation, *_ = environment.step(mirr.parse_action("check_logs(auth)"))
    assert observation.step == 1
    assert (mirr.SimulatedWorld, mirr.BatchedSimulator, mirr.Fault) == (SimulatedWorld, BatchedSimulator, Fault)


def test_the_error_for_an_unknown_name_lists_the_public_names() -> None:
    with pytest.raises(AttributeError, match=r"^module 'mirr' has no attribute 'Enviroment'; it has: BadScenario, "):
        mirr.Enviroment  # type: ignore[attr-defined]  # noqa: B018 - the test checks this error


def test_importing_mirr_imports_no_large_package() -> None:
    code = "import sys, mirr; print(sorted({'numpy', 'numba', 'docker', 'gymnasium', 'typer'} & set(sys.modules)))"
    done = subprocess.run([sys.executable, "-c", code], capture_output=True, text=True, timeout=60, check=True)
    assert done.stdout == "[]\n"


def test_the_version_is_the_version_of_the_installed_package() -> None:
    assert version("mirr-lab") == mirr.__version__


@pytest.mark.thorough
@pytest.mark.parametrize(
    "imports",
    ["import gymnasium", "import mirr, gymnasium", "import gymnasium, mirr", "import mirr.env.vocabulary, gymnasium"],
)
def test_gymnasium_finds_the_environments_for_every_order_of_imports(imports: str) -> None:
    code = f"{imports}; print(gymnasium.make('mirr:mirr/Sim-v0').spec.id)"
    # Uncompiled, because no episode is played: numba takes as long to import as everything else together.
    uncompiled = os.environ | {"MIRR_COMPILED": "0"}
    done = subprocess.run(
        [sys.executable, "-c", code], capture_output=True, text=True, timeout=60, check=False, env=uncompiled
    )
    assert (done.stderr, done.stdout) == ("", "mirr/Sim-v0\n")


@pytest.mark.parametrize("command", [["--version"], ["--version", "episode"]])
def test_the_command_line_prints_its_version(command: list[str], capsys: pytest.CaptureFixture[str]) -> None:
    # tests/cli/test_endings.py starts `python -m mirr --version` in a process of its own.
    assert run(command) == 0
    printed = capsys.readouterr()
    assert (printed.out, printed.err) == (f"mirr {mirr.__version__}\n", "")
