"""`mirr lifecycle`: what it prints, what it exits with; on the simulator, and a representative part on the real lab."""

from __future__ import annotations

import contextlib
import io
import json
from collections.abc import Callable
from typing import Any

import pytest

from mirr.cli import worlds
from mirr.cli.main import run
from mirr.env.simulator.world import SimulatedWorld
from mirr.env.vocabulary import Fault, FaultMode, Service
from mirr.env.world import World, WorldError
from tests.worlds import Altered


def mirr(*arguments: str) -> tuple[int, str, str]:
    """Exit code, stdout, stderr of the command, in this process."""
    with contextlib.redirect_stdout(io.StringIO()) as out, contextlib.redirect_stderr(io.StringIO()) as err:
        code = run(["lifecycle", *arguments])
    return code, out.getvalue(), err.getvalue()


@pytest.fixture
def played_in(monkeypatch: pytest.MonkeyPatch) -> Callable[[World], None]:
    """Make the command play in this world."""
    return lambda world: monkeypatch.setattr(worlds, "_opened", lambda name, lab, what: world)


def test_the_whole_matrix_is_green_on_the_simulator() -> None:
    code, out, err = mirr("--world", "sim", "--json")
    answer = json.loads(out)
    assert code == 0
    assert list(answer) == ["world", "lab", "rows", "green", "of", "seconds"]
    assert (answer["world"], answer["lab"], answer["green"], answer["of"]) == ("sim", None, 20, 20)
    assert len(err.splitlines()) == 20
    assert err.startswith("[1/20] crashed:gateway green (0 s)\n")


def test_the_matrix_is_a_line_a_fault_for_people() -> None:
    code, out, _ = mirr("--world", "sim", "--mode", "bad_deploy", "--service", "orders")
    heading, row, closing = out.splitlines()
    assert code == 0
    assert heading.split("  ")[-1].strip() == "took"
    assert row.split()[:4] == ["green", "bad_deploy:orders", "2", "s"]
    assert "rollback(gateway), restart(orders), scale_up(orders)" in row
    assert closing == "1 of 1 rows green on the simulator in 0 s"


def test_a_red_row_says_why_and_the_command_exits_1(played_in: Callable[[World], None]) -> None:
    played_in(Altered(SimulatedWorld(), injects=lambda fault: None))
    code, out, err = mirr("--world", "sim", "--mode", "crashed", "--service", "auth")
    why = "auth still meets its objectives 6 s after crashed:auth was injected"
    assert code == 1
    assert out.splitlines()[1].startswith("RED    crashed:auth ")
    assert out.splitlines()[2].strip() == why
    assert err == f"[1/1] crashed:auth RED: {why} (0 s)\n"


def test_a_world_that_failed_in_every_row_exits_3(played_in: Callable[[World], None]) -> None:
    def inject(fault: Fault) -> None:
        raise WorldError("the engine is gone; next: mirr doctor")

    played_in(Altered(SimulatedWorld(), injects=inject))
    code, out, _ = mirr("--world", "sim", "--mode", "crashed", "--json")
    assert code == 3
    assert {row["reason"] for row in json.loads(out)["rows"]} == {
        "the world failed: the engine is gone; next: mirr doctor"
    }


@pytest.mark.parametrize(
    ("arguments", "said"),
    [
        (("--mode", "slow"), "mirr: unknown fault mode 'slow'; one of: crashed, memory_leak, overloaded, bad_deploy\n"),
        (
            ("--service", "nginx"),
            "mirr: unknown service 'nginx'; one of: gateway, auth, inventory, orders, payments\n",
        ),
        (("--world", "mars"), "mirr: unknown world 'mars'; one of: sim, docker\n"),
    ],
)
def test_a_name_that_is_none_is_wrong_usage(arguments: tuple[str, ...], said: str) -> None:
    assert mirr(*arguments) == (2, "", said)


@pytest.mark.docker
@pytest.mark.parametrize(
    "fault",
    # It has the most to revert. The contract suite plays every form, `mirr lifecycle` by itself all twenty.
    [Fault(FaultMode.OVERLOADED, Service.ORDERS)],
    ids=str,
)
def test_a_lifecycle_is_green_on_the_real_lab(real_lab: str, fault: Fault) -> None:
    code, out, err = mirr("--lab", real_lab, "--mode", fault.mode, "--service", fault.service, "--json")
    assert code == 0, err
    (row,) = json.loads(out)["rows"]
    tried: list[dict[str, Any]] = row["wrong_fixes"]
    assert row["green"]
    assert [fix["lost"] for fix in tried] == [True] * 3, tried
    assert row["lost_after_s"] <= 6.0
    assert row["restored_after_s"] <= 8.0
    assert row["residue"] == []
