"""`mirr doctor | up | down | logs`: exit codes and what is printed, without an engine."""

from __future__ import annotations

import contextlib
import io
import json
from dataclasses import dataclass

import pytest

from cli import chaos_commands
from cli.main import run
from env.vocabulary import Service
from lab import engine, lock
from lab.names import Role
from tests.lab.fakes import FakeContainer, FakeEngine, container
from traffic import control

ABSENT = engine.Diagnosis(trouble=engine.Trouble.NOT_RUNNING, text="no engine", remedy="start it")


@dataclass(frozen=True)
class Done:
    """What a command left behind."""

    exit_code: int
    stdout: str
    stderr: str


def mirr(arguments: list[str]) -> Done:
    """The command line as a person's shell runs it, in this process."""
    with contextlib.redirect_stdout(io.StringIO()) as out, contextlib.redirect_stderr(io.StringIO()) as err:
        code = run(arguments)
    return Done(code, out.getvalue(), err.getvalue())


@pytest.fixture
def held(monkeypatch: pytest.MonkeyPatch, state_root: object) -> FakeEngine:
    fake = FakeEngine()
    monkeypatch.setattr(engine, "connect", lambda **_: fake)
    return fake


@pytest.fixture
def no_engine(monkeypatch: pytest.MonkeyPatch, state_root: object) -> None:
    monkeypatch.setattr(engine, "try_connect", lambda *_: ABSENT)


def test_a_name_that_is_no_labs_is_wrong_usage() -> None:
    done = mirr(["down", "--lab", "My Lab"])
    assert done.exit_code == 2
    assert done.stderr.startswith("mirr: 'My Lab' cannot be a lab's name:")


@pytest.mark.usefixtures("held")
def test_an_unknown_service_is_wrong_usage_and_the_known_ones_are_listed() -> None:
    done = mirr(["logs", "billing"])
    assert done.exit_code == 2
    assert done.stderr == "mirr: unknown service 'billing'; one of: gateway, auth, inventory, orders, payments\n"


@pytest.mark.usefixtures("held")
def test_logs_of_a_lab_that_is_not_there_say_how_to_start_it() -> None:
    done = mirr(["logs", "auth", "--lab", "two"])
    assert done.exit_code == 3
    assert done.stderr == "mirr: lab two is not up; start it with: make up LAB=two\n"


def test_down_of_a_lab_that_is_not_there_says_so_and_is_content(held: FakeEngine) -> None:
    done = mirr(["down"])
    assert (done.exit_code, done.stdout) == (0, "lab mirr is not there; nothing to remove\n")


def test_down_says_what_it_removed(held: FakeEngine) -> None:
    held.held = [container(Role.SERVICE, Service.AUTH), FakeContainer(name="else", labels={})]
    done = mirr(["down", "--json"])
    assert json.loads(done.stdout) == {"lab": "mirr", "containers": 1, "networks": 0, "volumes": 0}
    assert [one.name for one in held.held] == ["else"]


@pytest.mark.usefixtures("held")
@pytest.mark.parametrize("command", ["up", "down"])
def test_a_lab_in_use_is_left_alone(command: str) -> None:
    with lock.hold("mirr", "mirr episode"):
        done = mirr([command])
    assert done.exit_code == 3
    assert done.stderr.startswith("mirr: lab mirr is in use by `mirr episode` (process ")


@pytest.mark.usefixtures("no_engine")
def test_doctor_fails_where_no_engine_answers() -> None:
    done = mirr(["doctor", "--json"])
    checks = {check["code"]: check for check in json.loads(done.stdout)["checks"]}
    assert done.exit_code == 1
    assert (checks["engine"]["status"], checks["engine"]["text"]) == ("fail", "no engine")
    assert set(checks["engine"]) == {"code", "status", "text", "remedy"}


@pytest.mark.usefixtures("no_engine")
def test_down_without_an_engine_is_the_worlds_failure() -> None:
    done = mirr(["down"])
    assert done.exit_code == 3
    assert "no engine; mend it with: start it" in done.stderr


def test_a_lease_longer_than_the_load_generator_takes_is_wrong_usage() -> None:
    assert chaos_commands.MAX_LEASE_S == control.MAX_LEASE_S
    done = mirr(["inject", "overloaded", "auth", "--lease", str(control.MAX_LEASE_S + 1)])
    assert done.exit_code == 2
    assert done.stderr.startswith("mirr: Invalid value for '--lease':")
