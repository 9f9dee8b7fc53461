"""The forms of faults and how severe they are. Both are in the name of a fault, and no part of a diagnosis."""

from __future__ import annotations

import numpy as np
import pytest

from mirr.env.forms import all_forms, form_name, severity_of
from mirr.env.objectives import FEATURE_COLUMN, SERVICE_ROW
from mirr.env.reward import Judge, Merit
from mirr.env.scenario import Scheduled
from mirr.env.simulator.physics.forms.form import Form
from mirr.env.simulator.world import SimulatedWorld
from mirr.env.vocabulary import BadSeverity, Breaks, Diagnose, Fault, FaultMode, Feature, Service, UnknownName


def test_the_forms_of_every_mode_have_consecutive_places_from_zero() -> None:
    assert set(all_forms()) == set(FaultMode)
    for mode, forms in all_forms().items():
        assert [form.place for form in forms.values()] == list(range(len(forms))), mode


def test_the_base_task_plays_the_first_form_of_each_mode() -> None:
    first = {mode: form_name(mode, "") for mode in FaultMode}
    assert first == {
        FaultMode.CRASHED: "killed",
        FaultMode.MEMORY_LEAK: "leak",
        FaultMode.OVERLOADED: "crowd",
        FaultMode.BAD_DEPLOY: "errors",
    }


def test_the_first_form_is_the_fault_without_a_form() -> None:
    fault = Fault.parse("crashed/killed:auth")
    assert fault == Fault.parse("crashed:auth") == Fault(FaultMode.CRASHED, Service.AUTH)
    assert str(fault) == "crashed:auth"


def test_the_error_for_an_unknown_form_lists_the_forms_of_the_mode() -> None:
    known = ", ".join(all_forms()[FaultMode.OVERLOADED])
    with pytest.raises(UnknownName, match=rf"^unknown form 'killed' of overloaded; one of: {known}$"):
        Fault.parse("overloaded/killed:auth")


def test_another_form_is_in_the_name_of_the_fault_but_not_in_the_diagnosis() -> None:
    fault = Fault(FaultMode.CRASHED, Service.AUTH, "another")
    assert str(fault) == "crashed/another:auth"
    judge = Judge([fault])
    judge.begin(fault)
    assert judge.judge_action(Diagnose(Service.AUTH, FaultMode.CRASHED), accepted=True) == (
        8.0,
        Merit.CORRECT_DIAGNOSIS,
    )


def test_a_severity_is_written_behind_the_form_and_read_back() -> None:
    for text in ("overloaded@1.2:auth", "memory_leak@0.015:payments"):
        assert str(Fault.parse(text)) == text
    assert Fault.parse("overloaded/crowd@1.2:auth") == Fault(FaultMode.OVERLOADED, Service.AUTH, severity=1.2)


def test_a_fault_without_a_severity_is_as_severe_as_its_form_usually_is() -> None:
    assert severity_of(Fault.parse("overloaded:auth")) == 1.45
    assert severity_of(Fault.parse("overloaded@1.9:auth")) == 1.9
    assert severity_of(Fault.parse("crashed:auth")) == 0.0


@pytest.mark.parametrize("form", [form for forms in all_forms().values() for form in forms.values()])
def test_the_usual_severity_of_a_form_is_between_the_least_and_the_most(form: Form) -> None:
    if form.severity is not None:
        assert form.severity.least < form.severity.usual < form.severity.most


@pytest.mark.parametrize(
    ("text", "says"),
    [
        ("overloaded@2:auth", "the severity of overloaded/crowd is 1.15 to 1.9 times the CPU quota; got 2.0"),
        ("overloaded@nan:auth", "the severity of overloaded/crowd is 1.15 to 1.9 times the CPU quota; got nan"),
        ("overloaded@much:auth", "the severity of overloaded/crowd is 1.15 to 1.9 times the CPU quota; got 'much'"),
        ("overloaded@:auth", "the severity of overloaded/crowd is 1.15 to 1.9 times the CPU quota; got ''"),
        ("crashed@1:auth", "crashed/killed has no severity; got 1.0"),
    ],
)
def test_the_error_for_a_severity_says_which_ones_there_are(text: str, says: str) -> None:
    with pytest.raises(BadSeverity) as raised:
        Fault.parse(text)
    assert str(raised.value) == says


def test_a_severity_is_checked_where_a_fault_is_scheduled() -> None:
    with pytest.raises(BadSeverity, match=r"^the severity of overloaded/crowd is .* got True$"):
        Scheduled(0, Breaks(Fault(FaultMode.OVERLOADED, Service.AUTH, severity=True)))
    kept = Scheduled(0, Breaks(Fault(FaultMode.OVERLOADED, Service.AUTH, severity=np.float64(1.5)))).event
    assert isinstance(kept, Breaks)
    assert type(kept.fault.severity) is float


def test_a_more_severe_crowd_turns_more_requests_away() -> None:
    def errors(fault: str) -> float:
        world = SimulatedWorld()
        world.inject(Fault.parse(fault))
        world.advance(20.0)
        return float(world.observe().features[SERVICE_ROW[Service.AUTH], FEATURE_COLUMN[Feature.ERROR_RATIO]])

    assert errors("overloaded@1.2:auth") < errors("overloaded:auth") < errors("overloaded@1.9:auth")
