"""The forms of faults. They are found in their folder, written in the name of a fault, and not part of a diagnosis."""

from __future__ import annotations

import pytest

from mirr.env.forms import all_forms, form_name
from mirr.env.reward import Judge, Merit
from mirr.env.vocabulary import Diagnose, Fault, FaultMode, Service, UnknownName


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
