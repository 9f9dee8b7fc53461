"""The forms of faults: found by looking, written in a fault's name, and never a part of the answer."""

from __future__ import annotations

import pytest

from mirr.env.forms import all_forms, form_name
from mirr.env.reward import Judge, Merit
from mirr.env.vocabulary import Diagnose, Fault, FaultMode, Service, UnknownName


def test_every_mode_has_forms_at_places_of_their_own_from_the_first_on() -> None:
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


def test_an_unknown_form_is_refused_with_those_that_the_mode_has() -> None:
    known = ", ".join(all_forms()[FaultMode.OVERLOADED])
    with pytest.raises(UnknownName, match=rf"^unknown form 'killed' of overloaded; one of: {known}$"):
        Fault.parse("overloaded/killed:auth")


def test_another_form_is_written_with_the_fault_and_asked_of_nobody() -> None:
    fault = Fault(FaultMode.CRASHED, Service.AUTH, "another")
    assert str(fault) == "crashed/another:auth"
    judge = Judge([fault])
    judge.begin(fault)
    assert judge.judge_action(Diagnose(Service.AUTH, FaultMode.CRASHED), accepted=True) == (
        8.0,
        Merit.CORRECT_DIAGNOSIS,
    )
