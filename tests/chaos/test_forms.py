"""The forms of faults on the lab: the package finds them by itself, and the simulator has the same forms."""

from __future__ import annotations

from dataclasses import asdict

import numpy as np
import pytest

from mirr.chaos.errors import ChaosError
from mirr.chaos.faults import all_forms, campaign_kinds, faults, form_of, leak, parse_kind
from mirr.chaos.fleet import ServiceState
from mirr.chaos.form import ContainerForm
from mirr.chaos.sight import Sight
from mirr.env.forms import all_forms as all_simulated_forms
from mirr.env.objectives import FEATURE_COLUMN, SERVICE_ROW
from mirr.env.vocabulary import ALL_FAULTS, Fault, FaultMode, Feature, Service, UnknownName
from mirr.env.world import FEATURES_SHAPE, Snapshot
from tests.fakes.clock import FakeClock
from tests.fakes.lab import FakeLab
from traffic.campaigns import Kind

every_form = pytest.mark.parametrize("form", all_forms().values(), ids=list(all_forms()))


def test_both_worlds_have_the_same_forms_with_the_same_modes() -> None:
    simulated = {name: mode for mode, forms in all_simulated_forms().items() for name in forms}
    assert {name: form.mode for name, form in all_forms().items()} == simulated


def test_a_fault_has_the_form_that_it_names_or_the_first_form_of_its_mode() -> None:
    for mode, forms in all_simulated_forms().items():
        for place, name in enumerate(forms):
            assert form_of(Fault(mode, Service.AUTH, "" if place == 0 else name)) is all_forms()[name]


def test_a_missing_form_is_an_error() -> None:
    with pytest.raises(ChaosError) as raised:
        form_of(Fault(FaultMode.CRASHED, Service.AUTH, "crowd"))
    assert str(raised.value) == ("crashed has no form crowd in chaos/faults; next: see CONTRIBUTING.md, Add a fault")


@every_form
def test_every_text_names_the_service(form: ContainerForm) -> None:
    texts = asdict(form.texts.about("auth", 1.5))
    assert not any("SERVICE" in text or "SEVERITY" in text for text in texts.values() if text is not None)
    assert "auth" in texts["happens"]
    for sentences in ("happens", "fix", "other_fixes"):
        assert texts[sentences].endswith(".")


def test_the_load_generator_knows_every_kind_of_campaign_that_a_form_sends() -> None:
    assert campaign_kinds() == sorted(kind.value for kind in Kind)


def test_every_service_has_a_leak_rate() -> None:
    assert set(leak.LEAK_RATES_PER_S) == set(Service)


def test_faults_are_chosen_by_mode_form_and_service() -> None:
    assert set(ALL_FAULTS) <= set(faults())
    assert len(faults()) == len(all_forms()) * len(Service)
    assert faults(FaultMode.CRASHED, "", Service.AUTH) == (Fault(FaultMode.CRASHED, Service.AUTH),)
    assert {fault.service for fault in faults(FaultMode.CRASHED)} == set(Service)
    assert {fault.mode for fault in faults(service=Service.AUTH)} == set(FaultMode)


def test_a_kind_of_fault_is_a_mode_or_a_mode_with_a_form() -> None:
    assert parse_kind("crashed") == (FaultMode.CRASHED, None)
    assert parse_kind("crashed/killed") == (FaultMode.CRASHED, "")
    with pytest.raises(UnknownName, match="unknown form 'crowd' of crashed; one of: killed"):
        parse_kind("crashed/crowd")


def snapshot(service: Service, **features: float) -> Snapshot:
    measured = np.zeros(FEATURES_SHAPE)
    for name, value in features.items():
        measured[SERVICE_ROW[service], FEATURE_COLUMN[Feature(name)]] = value
    return Snapshot(features=measured, journeys={})


def test_a_sight_measures_only_what_is_needed_and_only_once() -> None:
    measured_parts: list[str] = []

    def measure() -> Snapshot:
        measured_parts.append("metrics")
        return snapshot(Service.AUTH, memory_share=0.5)

    def look() -> ServiceState | None:
        measured_parts.append("container")
        return FakeLab(FakeClock()).state(Service.AUTH)

    sight = Sight(Service.AUTH, snapshot(Service.AUTH, memory_share=0.3), severity=0.04, measure=measure, look=look)
    assert not all_forms()["killed"].landed(sight)
    assert measured_parts == ["container"]
    assert all_forms()["leak"].landed(sight)
    assert sight.rise(Feature.MEMORY_SHARE) == pytest.approx(0.2)
    assert measured_parts == ["container", "metrics"]


@every_form
def test_no_fault_has_landed_on_a_service_without_metrics(form: ContainerForm) -> None:
    lab = FakeLab(FakeClock())
    missing = Snapshot(features=np.full(FEATURES_SHAPE, np.nan), journeys={})
    sight = Sight(Service.AUTH, missing, severity=0.0, measure=lambda: missing, look=lambda: lab.state(Service.AUTH))
    assert not form.landed(sight)
