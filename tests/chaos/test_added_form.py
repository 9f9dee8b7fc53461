"""A test of the steps in CONTRIBUTING that add a form of a fault. The form here is `crashed/stopped`: SIGTERM ends it.

The test writes one module for the lab and one module for the simulator. No other code knows the form. The simulator
compiles its forms at the first import, so `tests/env/test_toy_form.py` plays a form there in a new process.
"""

from __future__ import annotations

import json
import sys
from collections.abc import Iterator
from pathlib import Path
from types import ModuleType

import pytest

from mirr.chaos import faults as container_forms
from mirr.chaos.faults import all_forms, form_of
from mirr.chaos.journal import Journal
from mirr.chaos.lifecycle import Lifecycle, Row
from mirr.cli.main import run
from mirr.env.forms import all_forms as all_simulated_forms
from mirr.env.simulator.physics import forms as simulated_forms
from mirr.env.vocabulary import Fault, FaultMode, Service
from mirr.interfaces.chaostoolkit.experiments import as_data, file_name
from tests.chaos.made_of import made_of
from tests.fakes.assembly import fake_docker_world
from tests.fakes.lab import FakeLab

ON_A_CONTAINER = '''
"""`crashed/stopped`: SIGTERM ends the process, and it stays down."""

from __future__ import annotations

from collections.abc import Iterator

from mirr.chaos.form import ContainerForm, Mend, Texts
from mirr.chaos.sight import Sight
from mirr.chaos.tools import Tools
from mirr.env.vocabulary import FaultMode, Service


def inject(tools: Tools, service: Service) -> Iterator[float]:
    """Ask the process to end, in one stage."""
    tools.fleet.kill(service, "SIGTERM")
    return iter(())


def landed(sight: Sight) -> bool:
    """The process has ended."""
    return sight.container is not None and not sight.container.running


def end(tools: Tools, service: Service) -> None:
    """Start the process again."""
    tools.fleet.restart(service)


FORM = ContainerForm(
    mode=FaultMode.CRASHED,
    inject=inject,
    landed=landed,
    end=end,
    mend=Mend.RESTART,
    texts=Texts(
        happens="SIGTERM ends the process of SERVICE, and nothing starts it again.",
        reverts="the process is started again",
        title="SERVICE is stopped, and one restart brings it back",
        strikes="the process of SERVICE is stopped",
        fix="A restart fixes it.",
        other_fixes="Nothing runs that could be scaled or rolled back.",
    ),
)
'''

ON_THE_MODEL = '''
"""`crashed/stopped`: for the simulator, the signal that ended the process makes no difference."""

from __future__ import annotations

from dataclasses import replace

from mirr.env.simulator.physics.forms.killed import FORM as KILLED

FORM = replace(KILLED, place=PLACE)
'''


@pytest.fixture
def stopped(tmp_path: Path) -> Iterator[Fault]:
    """A fault of the added form. Its two modules are in the folders where the packages look for forms."""
    place = len(all_simulated_forms()[FaultMode.CRASHED])
    modules: tuple[tuple[ModuleType, str], ...] = (
        (container_forms, ON_A_CONTAINER),
        (simulated_forms, ON_THE_MODEL.replace("PLACE", str(place))),
    )
    for package, module in modules:
        folder = tmp_path / package.__name__
        folder.mkdir()
        (folder / "stopped.py").write_text(module)
        package.__path__.append(str(folder))
    _forget_the_known_forms()
    yield Fault.parse("crashed/stopped:payments")
    for package, _ in modules:
        package.__path__.pop()
        sys.modules.pop(f"{package.__name__}.stopped", None)  # a test may import only one of the two modules
    _forget_the_known_forms()


def _forget_the_known_forms() -> None:
    all_forms.cache_clear()
    all_simulated_forms.cache_clear()


def assert_green(row: Row) -> None:
    assert row.problems == []
    assert row.residue == []
    assert [fix.lost for fix in row.wrong_fixes] == [True] * 3
    assert row.restored_after_s is not None


def test_the_form_is_found_by_its_name(stopped: Fault) -> None:
    assert str(stopped) == "crashed/stopped:payments"
    assert form_of(stopped).texts.about("payments", 0.0).title == "payments is stopped, and one restart brings it back"
    assert stopped in container_forms.faults()


def test_the_form_has_an_experiment(stopped: Fault) -> None:
    assert file_name(stopped) == "payments-crashed-stopped.yaml"
    inject = as_data(stopped)["method"][0]["provider"]
    assert inject["arguments"] == {"mode": "crashed/stopped", "service": "payments"}


def test_the_lifecycle_of_the_form_is_green_on_a_fake_lab(stopped: Fault, lab: FakeLab, journal: Journal) -> None:
    world = fake_docker_world(lab, journal)
    assert_green(Lifecycle(world, footprint=lambda: made_of(lab), now=lab.clock.now).row(stopped))
    assert journal.open_faults() == []


def test_another_process_reverts_the_form_after_its_run_was_killed(
    stopped: Fault, lab: FakeLab, journal: Journal
) -> None:
    journal.injecting(stopped)
    lab.kill(Service.PAYMENTS, "SIGTERM")
    world = fake_docker_world(lab, journal)
    world.restore(key=0)
    assert lab.services[Service.PAYMENTS].running
    assert journal.open_faults() == []


@pytest.mark.docker
def test_the_command_lifecycle_plays_the_form_on_the_real_lab(
    stopped: Fault, real_lab: str, capsys: pytest.CaptureFixture[str]
) -> None:
    code = run(["lifecycle", "--lab", real_lab, "--mode", "crashed/stopped", "--service", "payments", "--json"])
    printed = capsys.readouterr()
    assert code == 0, printed.err
    (row,) = json.loads(printed.out)["rows"]
    assert (row["mode"], row["form"], row["service"]) == ("crashed", "stopped", "payments")
    assert row["green"]
    assert [fix["lost"] for fix in row["wrong_fixes"]] == [True] * 3, row["wrong_fixes"]
    assert row["lost_after_s"] <= 6.0
    assert row["restored_after_s"] <= 8.0
    assert row["residue"] == []
