"""The command `mirr lifecycle`: what it prints, and its exit codes. tests/chaos/test_added_form.py runs it on a lab."""

from __future__ import annotations

import contextlib
import io
import json
from collections.abc import Callable

import pytest

from mirr.cli import worlds
from mirr.cli.main import run
from mirr.env.simulator.world import SimulatedWorld
from mirr.env.vocabulary import Fault
from mirr.env.world import World, WorldError
from tests.worlds import Altered


def mirr(*arguments: str) -> tuple[int, str, str]:
    """Run the command in this process. Returns its exit code, stdout and stderr."""
    with contextlib.redirect_stdout(io.StringIO()) as out, contextlib.redirect_stderr(io.StringIO()) as err:
        code = run(["lifecycle", *arguments])
    return code, out.getvalue(), err.getvalue()


@pytest.fixture
def use_world(monkeypatch: pytest.MonkeyPatch) -> Callable[[World], None]:
    """A function that makes the command play in the given world."""
    return lambda world: monkeypatch.setattr(worlds, "_opened", lambda name, lab, what, machine: world)


def test_the_whole_matrix_is_green_on_the_simulator() -> None:
    code, out, err = mirr("--world", "sim", "--json")
    answer = json.loads(out)
    assert code == 0
    assert list(answer) == ["world", "lab", "rows", "green", "of", "seconds"]
    assert (answer["world"], answer["lab"], answer["green"], answer["of"]) == ("sim", None, 45, 45)
    assert len(err.splitlines()) == 45
    assert err.startswith("[1/45] crashed:gateway green (0 s)\n")


def test_the_text_has_one_line_for_each_fault() -> None:
    code, out, _ = mirr("--world", "sim", "--mode", "bad_deploy/errors", "--service", "orders")
    heading, row, closing = out.splitlines()
    assert code == 0
    assert heading.split("  ")[-1].strip() == "took"
    assert row.split()[:4] == ["green", "bad_deploy:orders", "2", "s"]
    assert "rollback(gateway), restart(orders), scale_up(orders)" in row
    assert closing == "1 of 1 rows green on the simulator in 0 s"


def test_a_red_row_gives_its_reason_and_the_command_exits_1(use_world: Callable[[World], None]) -> None:
    use_world(Altered(SimulatedWorld(), injects=lambda fault: None))
    code, out, err = mirr("--world", "sim", "--mode", "crashed/killed", "--service", "auth")
    why = "auth still meets its objectives 10 s after crashed:auth was injected"
    assert code == 1
    assert out.splitlines()[1].startswith("RED    crashed:auth ")
    assert out.splitlines()[2].strip() == why
    assert err == f"[1/1] crashed:auth RED: {why} (0 s)\n"


def test_the_command_exits_3_if_the_world_fails_in_every_row(use_world: Callable[[World], None]) -> None:
    def inject(fault: Fault) -> None:
        raise WorldError("the engine is gone; next: mirr doctor")

    use_world(Altered(SimulatedWorld(), injects=inject))
    code, out, _ = mirr("--world", "sim", "--mode", "crashed", "--json")
    assert code == 3
    assert {row["reason"] for row in json.loads(out)["rows"]} == {
        "the world failed: the engine is gone; next: mirr doctor"
    }


@pytest.mark.parametrize(
    ("arguments", "message"),
    [
        (("--mode", "slow"), "mirr: unknown fault mode 'slow'; one of: crashed, memory_leak, overloaded, bad_deploy\n"),
        (
            ("--service", "nginx"),
            "mirr: unknown service 'nginx'; one of: gateway, auth, inventory, orders, payments\n",
        ),
        (("--world", "mars"), "mirr: unknown world 'mars'; one of: sim, docker\n"),
    ],
)
def test_an_unknown_name_is_wrong_usage(arguments: tuple[str, ...], message: str) -> None:
    assert mirr(*arguments) == (2, "", message)
