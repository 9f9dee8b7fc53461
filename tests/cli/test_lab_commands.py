"""The commands `mirr doctor`, `up`, `down`, `logs`, `inject` and `revert` without an engine: exit codes and output."""

from __future__ import annotations

import contextlib
import io
import json
import os
import socket
import subprocess
import sys
import time
from dataclasses import dataclass
from pathlib import Path

import pytest

from mirr.bridge import assembly
from mirr.chaos import leases
from mirr.chaos.errors import FleetError, NotReverted
from mirr.cli import lab_commands
from mirr.cli.main import run
from mirr.env.vocabulary import Service
from mirr.lab import engine, lock, up_and_down
from mirr.lab.containers import Ports
from mirr.lab.lock import hold
from mirr.lab.names import Role
from tests.lab.fakes import FakeContainer, FakeEngine, container
from tests.paths import ROOT
from traffic import control

ABSENT = engine.EngineProblem(trouble=engine.Trouble.NOT_RUNNING, text="no engine", remedy="start it")


@dataclass(frozen=True)
class Done:
    """The exit code and the output of a command."""

    exit_code: int
    stdout: str
    stderr: str


def mirr(arguments: list[str]) -> Done:
    """Run the command in this process, with the exit code and the output that a shell would see."""
    with contextlib.redirect_stdout(io.StringIO()) as out, contextlib.redirect_stderr(io.StringIO()) as err:
        code = run(arguments)
    return Done(code, out.getvalue(), err.getvalue())


@pytest.fixture
def fake_engine(monkeypatch: pytest.MonkeyPatch, state_root: object) -> FakeEngine:
    fake = FakeEngine()
    for module in (engine, assembly):
        monkeypatch.setattr(module, "connect", lambda **_: fake)
    return fake


@pytest.fixture
def no_engine(monkeypatch: pytest.MonkeyPatch, state_root: object) -> None:
    monkeypatch.setattr(engine, "try_connect", lambda *_: ABSENT)


def test_an_invalid_name_of_a_lab_is_wrong_usage() -> None:
    done = mirr(["down", "--lab", "My Lab"])
    assert done.exit_code == 2
    assert done.stderr.startswith("mirr: 'My Lab' cannot be a lab's name:")


@pytest.mark.usefixtures("fake_engine")
@pytest.mark.parametrize("name", ["", "l\u00e4b", "\uff21", "a" * 300, "../x", "a\nb", "mirr.", "mirr\0", "-x"])
@pytest.mark.parametrize(
    "command", [["status"], ["revert"], ["up"], ["logs", "auth"], ["inject", "crashed", "auth"], ["episode"]]
)
def test_no_command_asks_an_engine_about_a_name_that_no_lab_can_have(command: list[str], name: str) -> None:
    done = mirr([*command, f"--lab={name}"])
    assert done.exit_code == 2
    assert "cannot be a lab's name: a lower-case letter, then at most 20 letters, digits or dashes" in done.stderr
    assert done.stderr.count("\n") == 1


@pytest.mark.usefixtures("fake_engine")
def test_an_unknown_service_is_wrong_usage_and_the_error_lists_the_known_services() -> None:
    done = mirr(["logs", "billing"])
    assert done.exit_code == 2
    assert done.stderr == "mirr: unknown service 'billing'; one of: gateway, auth, inventory, orders, payments\n"


@pytest.mark.usefixtures("fake_engine")
def test_logs_of_a_missing_lab_say_how_to_start_it() -> None:
    done = mirr(["logs", "auth", "--lab", "two"])
    assert done.exit_code == 3
    assert done.stderr == "mirr: lab two is not up; start it with: make up LAB=two\n"


@pytest.mark.parametrize(("lab", "named"), [("v2", " --lab v2"), ("mirr", "")])
def test_an_error_of_chaos_names_the_lab(monkeypatch: pytest.MonkeyPatch, lab: str, named: str) -> None:
    def nothing_answers(*_: object, **__: object) -> None:
        raise FleetError("the load generator does not answer; next: mirr up")

    monkeypatch.setattr(assembly, "assemble_reverter", nothing_answers)
    done = mirr(["revert", "--lab", lab])
    assert (done.exit_code, done.stderr) == (3, f"mirr: the load generator does not answer; next: mirr up{named}\n")
    monkeypatch.setenv("LAB", lab)
    assert mirr(["revert"]).stderr == done.stderr


@pytest.mark.skipif(sys.platform != "linux", reason="only Linux has abstract sockets")
@pytest.mark.usefixtures("state_root")
@pytest.mark.parametrize(
    ("ends", "told"),
    [(["restarted auth"], True), ([], False), (NotReverted(["auth is stuck"], ["restarted orders"]), True)],
)
def test_the_kill_switch_tells_whoever_uses_the_lab(
    monkeypatch: pytest.MonkeyPatch, ends: list[str] | NotReverted, told: bool
) -> None:
    class Ends:
        def revert(self) -> list[str]:
            if isinstance(ends, NotReverted):
                raise ends
            return ends

    monkeypatch.setattr(assembly, "assemble_reverter", lambda *_, **__: Ends())
    with hold("mirr", "mirr episode") as reverted:
        mirr(["revert"])
        assert (reverted() is not None) is told


class Injected:
    def inject(self, fault: object, *, lease_s: float) -> None:
        return


class PartsThatInject:
    chaos = Injected()


@pytest.mark.usefixtures("fake_engine")
def test_an_injection_says_how_severe_the_fault_really_is(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(assembly, "assemble", lambda lab, **_: PartsThatInject())
    done = mirr(["inject", "bad_deploy/slow@13.5", "auth"])
    assert done.stderr.splitlines()[1] == "its severity is 14, the nearest to 13.5 that has an image"
    said = [json.loads(mirr(["inject", mode, "auth", "--json"]).stdout) for mode in ("bad_deploy/slow@13.5", "crashed")]
    assert [each["severity"] for each in said] == [14.0, None]


@pytest.mark.usefixtures("fake_engine")
def test_an_injection_says_how_to_revert_it_in_its_own_lab(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(assembly, "assemble", lambda lab, **_: PartsThatInject())
    done = mirr(["inject", "crashed", "auth", "--lab", "v2"])
    assert done.stderr.splitlines()[-1] == (
        "watch it with: mirr status --lab v2; revert it with: mirr revert --lab v2; "
        "it is reverted by itself after 600 s"
    )


@pytest.mark.parametrize(
    ("held", "left"),
    [
        ([], "lab v2 has no container yet; images that were built stay; go on with: make up LAB=v2"),
        (
            [
                container(Role.TRAFFIC, lab="v2"),
                container(Role.SERVICE, Service.AUTH, lab="v2", status="created"),
                container(Role.ALERTMANAGER, lab="v2"),  # is not one of the twelve
            ],
            "lab v2 has 2 of its 12 containers, and 1 of them run; go on with: make up LAB=v2, or remove them with: "
            "make down LAB=v2",
        ),
    ],
)
def test_ctrl_c_in_up_says_what_is_left_and_what_to_do(
    fake_engine: FakeEngine, monkeypatch: pytest.MonkeyPatch, held: list[FakeContainer], left: str
) -> None:
    def interrupted(*_: object, **__: object) -> None:
        raise KeyboardInterrupt

    fake_engine.held = held
    monkeypatch.setattr(up_and_down, "bring_up", interrupted)
    done = mirr(["up", "--lab", "v2"])
    assert (done.exit_code, done.stdout, done.stderr) == (130, "", f"mirr: interrupted; {left}\n")


@pytest.mark.usefixtures("no_engine")
def test_ctrl_c_in_up_without_an_engine_says_how_to_go_on(monkeypatch: pytest.MonkeyPatch) -> None:
    def interrupted(*_: object, **__: object) -> None:
        raise KeyboardInterrupt

    monkeypatch.setattr(up_and_down, "bring_up", interrupted)
    done = mirr(["up", "--lab", "v2"])
    assert (done.exit_code, done.stderr) == (
        130,
        "mirr: interrupted; the engine does not say what is left of lab v2; go on with: make up LAB=v2\n",
    )


@pytest.mark.usefixtures("no_engine")
@pytest.mark.parametrize(("flags", "shown"), [([], []), (["--alertmanager"], ["  alerts      http://127.0.0.1:9093"])])
def test_up_shows_where_alertmanager_is_only_if_it_was_asked_for(
    monkeypatch: pytest.MonkeyPatch, flags: list[str], shown: list[str]
) -> None:
    def bring_up(lab: str, *_: object, alertmanager: bool, **__: object) -> up_and_down.Places:
        return up_and_down.Places.of(lab, Ports(alertmanager=9093 if alertmanager else None))

    monkeypatch.setattr(up_and_down, "bring_up", bring_up)
    done = mirr(["up", *flags])
    assert [line for line in done.stdout.splitlines() if line.startswith("  alerts")] == shown
    assert (done.exit_code, "  Prometheus  http://127.0.0.1:9090\n" in done.stdout) == (0, True)


class Terminal(io.StringIO):
    """A terminal that keeps what it shows."""

    def isatty(self) -> bool:
        return True


LOG_CHUNKS = [b'{"path": "/\x1b]0;', b'owned\x07"}\nGr\xc3', b"\xb6\xc3\x9fe \xff\x9b2J\n"]


def test_a_terminal_shows_control_characters_of_a_log_as_text() -> None:
    with contextlib.redirect_stdout(Terminal()) as out:
        lab_commands._show(LOG_CHUNKS)
    assert out.getvalue() == '{"path": "/\\x1b]0;owned\\x07"}\nGröße \\xff\\x9b2J\n'


def test_a_pipe_gets_a_log_byte_by_byte_as_it_is() -> None:
    kept = io.BytesIO()
    with contextlib.redirect_stdout(io.TextIOWrapper(kept)) as out:
        lab_commands._show(LOG_CHUNKS)
        out.flush()
    assert kept.getvalue() == b"".join(LOG_CHUNKS)


@pytest.mark.thorough
def test_an_answer_that_cannot_be_written_is_one_sentence() -> None:
    with Path("/dev/full").open("w") as full:
        done = subprocess.run(
            [sys.executable, "-c", "from mirr.cli.main import main; main()", "records", "--help"],
            stdout=full,
            stderr=subprocess.PIPE,
            text=True,
            cwd=ROOT,
            env=os.environ | {"PYTHONPATH": str(ROOT)},
            timeout=120,
            check=False,
        )
    assert (done.returncode, done.stderr) == (3, "mirr: cannot write the answer: No space left on device\n")


def test_down_of_a_missing_lab_says_so_and_succeeds(fake_engine: FakeEngine) -> None:
    done = mirr(["down"])
    assert (done.exit_code, done.stdout) == (0, "lab mirr is not there; nothing to remove\n")


def test_down_says_what_it_removed(fake_engine: FakeEngine) -> None:
    fake_engine.held = [container(Role.SERVICE, Service.AUTH), FakeContainer(name="else", labels={})]
    done = mirr(["down", "--json"])
    assert json.loads(done.stdout) == {"lab": "mirr", "containers": 1, "networks": 0, "volumes": 0}
    assert [one.name for one in fake_engine.held] == ["else"]


@pytest.mark.usefixtures("fake_engine")
def test_down_ends_the_incident_room_beside_the_lab(monkeypatch: pytest.MonkeyPatch) -> None:
    ended: list[str] = []
    monkeypatch.setattr("mirr.cli.room_beside.end", ended.append)
    assert mirr(["down", "--lab", "two"]).exit_code == 0
    assert ended == ["two"]


@pytest.mark.usefixtures("fake_engine")
@pytest.mark.parametrize("command", ["up", "down"])
def test_up_and_down_refuse_a_lab_in_use(command: str) -> None:
    with lock.hold("mirr", "mirr episode"):
        done = mirr([command])
    assert done.exit_code == 3
    assert done.stderr.startswith("mirr: lab mirr is in use by `mirr episode` (process ")


@pytest.mark.usefixtures("no_engine")
def test_doctor_fails_if_no_engine_answers() -> None:
    done = mirr(["doctor", "--json"])
    checks = {check["code"]: check for check in json.loads(done.stdout)["checks"]}
    assert done.exit_code == 1
    assert (checks["engine"]["status"], checks["engine"]["text"]) == ("fail", "no engine")
    assert set(checks["engine"]) == {"code", "status", "text", "remedy"}


@pytest.mark.usefixtures("no_engine")
def test_down_without_an_engine_exits_3() -> None:
    done = mirr(["down"])
    assert done.exit_code == 3
    assert "no engine; fix it with: start it" in done.stderr


def test_a_lease_longer_than_the_load_generator_accepts_is_wrong_usage() -> None:
    assert leases.MAX_LEASE_S == control.MAX_LEASE_S
    done = mirr(["inject", "overloaded", "auth", "--lease", str(control.MAX_LEASE_S + 1)])
    assert done.exit_code == 2
    assert done.stderr.startswith("mirr: Invalid value for '--lease':")


@pytest.mark.parametrize("name", ["nginx", "3f2a9c51d0be", "mirr.service=auth", "mirr_auth_1", "AUTH", ""])
def test_inject_refuses_a_name_an_id_or_a_label_that_is_not_a_service(name: str) -> None:
    done = mirr(["inject", "crashed", name])
    assert done.exit_code == 2
    assert done.stderr == (
        f"mirr: {name!r} is not touched: mirr breaks the services of its own lab, by these names, and nothing else on "
        "the engine, whatever its name, id or label; one of: gateway, auth, inventory, orders, payments\n"
    )


@pytest.mark.usefixtures("fake_engine")
@pytest.mark.parametrize("arguments", [["inject", "crashed", "auth"], ["revert"], ["revert", "--dry-run"]])
def test_inject_and_revert_refuse_a_missing_lab_and_create_no_folder(arguments: list[str], state_root: Path) -> None:
    done = mirr([*arguments, "--lab", "two"])
    assert (done.exit_code, done.stderr) == (3, "mirr: lab two is not up; start it with: make up LAB=two\n")
    assert not (state_root / "labs" / "two").exists()


def test_a_dry_run_of_down_names_what_it_would_remove_and_removes_nothing(fake_engine: FakeEngine) -> None:
    ours = {"mirr.lab": "mirr", "com.docker.compose.project": "mirr"}
    fake_engine.held = [container(Role.SERVICE, Service.AUTH), FakeContainer(name="else", labels={"mirr.lab": "mirr"})]
    fake_engine.networks = {"mirr_default": ours | {"com.docker.compose.network": "default"}}
    fake_engine.volumes = {"mirr_auth-data": ours | {"com.docker.compose.volume": "auth-data"}}
    done = mirr(["down", "--dry-run"])
    assert done.exit_code == 0
    assert done.stdout == (
        "would remove container mirr-auth (mirr-auth)\n"
        "would remove network mirr_default (mirr_default)\n"
        "would remove volume mirr_auth-data\n"
    )
    assert done.stderr == "nothing was done\n"
    plan = json.loads(mirr(["down", "--dry-run", "--json"]).stdout)
    assert (plan["dry_run"], [one["name"] for one in plan["plan"]]) == (
        True,
        ["mirr-auth", "mirr_default", "mirr_auth-data"],
    )
    assert (len(fake_engine.held), len(fake_engine.networks), len(fake_engine.volumes)) == (2, 1, 1)


@pytest.mark.thorough
def test_the_kill_switch_does_not_wait_for_an_engine_that_hangs(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch, state_root: Path
) -> None:
    address = tmp_path / "engine.sock"
    monkeypatch.setenv("DOCKER_HOST", f"unix://{address}")
    with socket.socket(socket.AF_UNIX) as silent:  # accepts connections and never answers
        silent.bind(str(address))
        silent.listen()
        began = time.monotonic()
        done = mirr(["revert"])
    assert time.monotonic() - began < 10.0
    assert done.exit_code == 3
    assert done.stderr.startswith(
        f"mirr: the Docker engine takes connections and does not answer (at unix://{address}); fix it with: "
    )
