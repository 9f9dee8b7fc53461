"""Faults are injected. Revert finds what to do from the containers and the journal, also after another process."""

from __future__ import annotations

from dataclasses import replace
from pathlib import Path

import pytest

from mirr.chaos.campaigns import CampaignRequest
from mirr.chaos.errors import FleetError
from mirr.chaos.faults import crowd, faults, form_of
from mirr.chaos.form import Mend
from mirr.chaos.journal import Journal
from mirr.env.vocabulary import Fault, FaultMode, Service
from tests.fakes.assembly import fake_chaos
from tests.fakes.lab import FakeLab
from tests.fakes.service import QUOTA_US


def test_a_fault_is_in_the_journal_before_it_is_injected(lab: FakeLab, journal: Journal) -> None:
    lab.engine_gone = True
    with pytest.raises(FleetError):
        fake_chaos(lab, journal).inject(Fault(FaultMode.CRASHED, Service.AUTH))
    assert [str(entry.fault) for entry in journal.open_faults()] == ["crashed:auth"]


@pytest.mark.parametrize("fault", faults(service=Service.ORDERS), ids=str)
def test_another_process_reverts_the_faults_of_a_killed_process(lab: FakeLab, journal: Journal, fault: Fault) -> None:
    fake_chaos(lab, journal).inject(fault)
    done = fake_chaos(lab, journal).revert()
    assert done
    assert journal.open_faults() == []
    assert not lab.running_campaigns
    state = lab.state(Service.ORDERS)
    assert state is not None
    assert (state.running, state.release, state.redeployed, state.cpu_quota_us) == (True, "1.4.0", False, QUOTA_US)


def test_revert_does_nothing_in_steady_state(lab: FakeLab, journal: Journal) -> None:
    assert fake_chaos(lab, journal).revert() == []


def test_revert_finds_faults_from_the_containers_without_the_journal(lab: FakeLab, journal: Journal) -> None:
    lab.kill(Service.AUTH)
    lab.deploy(Service.PAYMENTS, "1.5.0", previous="1.4.0")
    lab.resize(Service.GATEWAY, 2 * QUOTA_US)
    assert fake_chaos(lab, journal).revert() == [
        "gave gateway its steady CPU quota back",
        "restarted auth",
        "recreated payments at release 1.4.0",
    ]


def test_a_rolled_back_service_is_recreated_because_its_data_are_not_fresh(lab: FakeLab, journal: Journal) -> None:
    lab.deploy(Service.ORDERS, "1.5.0", previous="1.4.0")
    lab.deploy(Service.ORDERS, "1.4.0", previous=None)
    assert fake_chaos(lab, journal).revert() == ["recreated orders at release 1.4.0"]


def test_a_service_whose_sandbox_was_down_is_restarted(lab: FakeLab, journal: Journal) -> None:
    sandbox = lab.support["lab_inventory-net_1"]
    lab.support[sandbox.name] = replace(sandbox, running=False)
    assert fake_chaos(lab, journal).revert() == ["started inventory's sandbox", "restarted inventory"]


def test_an_injected_fault_is_reverted_at_the_end_of_its_block(lab: FakeLab, journal: Journal) -> None:
    chaos = fake_chaos(lab, journal)
    with chaos.injected(Fault(FaultMode.CRASHED, Service.AUTH)):
        assert not lab.services[Service.AUTH].running
    assert lab.services[Service.AUTH].running


def test_the_journal_keeps_its_faults_if_revert_fails(lab: FakeLab, journal: Journal) -> None:
    chaos = fake_chaos(lab, journal)
    chaos.inject(Fault(FaultMode.CRASHED, Service.AUTH))
    lab.engine_gone = True
    with pytest.raises(FleetError, match="could not reach the engine: gone; next: mirr doctor"):
        chaos.revert()
    assert [str(fault) for fault in chaos.open_faults()] == ["crashed:auth"]


def test_a_line_of_the_journal_that_a_crash_has_cut_off_is_skipped(journal: Journal, tmp_path: Path) -> None:
    journal.injecting(Fault(FaultMode.CRASHED, Service.AUTH))
    with (tmp_path / "journal.jsonl").open("a") as file:
        file.write('{"act": "inject", "fau')
    assert [str(entry.fault) for entry in journal.open_faults()] == ["crashed:auth"]


def test_the_journal_returns_a_blueprint_as_it_was_saved(journal: Journal) -> None:
    blueprint = {"Name": "/x", "Config": {"Image": "mirr/auth:1.4.0"}, "HostConfig": {}, "Mounts": [], "State": {}}
    journal.remember_blueprint(Service.AUTH, blueprint)
    assert journal.recall_blueprint(Service.AUTH) == {k: v for k, v in blueprint.items() if k != "State"}
    assert journal.recall_blueprint(Service.ORDERS) is None


def test_the_size_of_a_flash_crowd_depends_on_the_cost_of_its_first_requests(lab: FakeLab, journal: Journal) -> None:
    fake_chaos(lab, journal).inject(Fault(FaultMode.OVERLOADED, Service.PAYMENTS))
    (request, _), *others = lab.running_campaigns.values()
    assert others == []
    # The aim is 1.45 x 0.3 cores. 0.1 are used already, and one request of the crowd costs 4 ms.
    assert request == CampaignRequest(
        kind="flash_crowd", service=Service.PAYMENTS, rate_per_s=round((1.45 * 0.3 - 0.1) / 0.004, 2)
    )


def test_a_flash_crowd_on_a_service_without_requests_is_an_error(lab: FakeLab, journal: Journal) -> None:
    lab.steady_rate = 0.0
    with pytest.raises(FleetError, match="auth serves nothing, so a flash crowd cannot be sized; next: mirr status"):
        fake_chaos(lab, journal).inject(Fault(FaultMode.OVERLOADED, Service.AUTH))


def test_a_flash_crowd_on_a_busy_service_is_an_error(lab: FakeLab, journal: Journal) -> None:
    lab.steady_cpu_cores = 0.29
    with pytest.raises(FleetError, match="auth is too busy already to size a flash crowd by; next: mirr revert"):
        fake_chaos(lab, journal).inject(Fault(FaultMode.OVERLOADED, Service.AUTH))


def test_a_service_that_still_works_off_an_earlier_crowd_gets_time_first(lab: FakeLab, journal: Journal) -> None:
    lab.steady_cpu_cores = 0.25
    stages = fake_chaos(lab, journal).begin(Fault(FaultMode.OVERLOADED, Service.PAYMENTS))
    lab.clock.sleep(next(stages))
    assert not lab.running_campaigns
    lab.steady_cpu_cores = 0.1
    for wait_s in stages:
        lab.clock.sleep(wait_s)
    ((request, _),) = lab.running_campaigns.values()
    assert request.rate_per_s == round((1.45 * 0.3 - 0.1) / 0.004, 2)


def test_a_flash_crowd_that_does_not_reach_its_service_is_an_error(lab: FakeLab, journal: Journal) -> None:
    lab.crowd_request_s = 0.0
    with pytest.raises(FleetError, match="the flash crowd does not reach auth; next: mirr status"):
        fake_chaos(lab, journal).inject(Fault(FaultMode.OVERLOADED, Service.AUTH))


def test_a_crowd_whose_vanguard_is_not_seen_is_found_by_corrections(lab: FakeLab, journal: Journal) -> None:
    stages = fake_chaos(lab, journal).begin(Fault(FaultMode.OVERLOADED, Service.PAYMENTS))
    next(stages)
    lab.crowd_request_s = 0.0001  # so cheap that the vanguard changes nothing that is measured
    next(stages)
    lab.crowd_request_s = 0.004
    list(stages)
    rate_per_s = lab.running_campaigns["flash-crowd-payments"][0].rate_per_s
    least, most = crowd.plan(Service.PAYMENTS, 1.45).enough
    assert least <= (0.1 + rate_per_s * 0.004) / 0.3 <= most


def test_a_flash_crowd_has_stages_and_begin_does_not_wait_for_them(lab: FakeLab, journal: Journal) -> None:
    stages = fake_chaos(lab, journal).begin(Fault(FaultMode.OVERLOADED, Service.PAYMENTS))
    assert not lab.running_campaigns
    before = lab.clock.now()
    assert next(stages) == 2.5
    first_rate = lab.running_campaigns["flash-crowd-payments"][0].rate_per_s
    assert list(stages) == [3.0]
    assert lab.running_campaigns["flash-crowd-payments"][0].rate_per_s > first_rate
    assert lab.clock.now() == before


def test_a_flash_crowd_that_is_reverted_between_its_stages_does_not_go_on(lab: FakeLab, journal: Journal) -> None:
    stages = fake_chaos(lab, journal).begin(Fault(FaultMode.OVERLOADED, Service.PAYMENTS))
    next(stages)
    fake_chaos(lab, journal).revert()  # by another process
    assert list(stages) == []
    assert not lab.running_campaigns


@pytest.mark.parametrize("fault", faults(service=Service.ORDERS), ids=str)
def test_a_fault_that_ends_by_itself_leaves_at_most_a_release_to_revert(
    lab: FakeLab, journal: Journal, fault: Fault
) -> None:
    chaos = fake_chaos(lab, journal)
    chaos.inject(fault)
    chaos.end(fault)
    state = lab.state(Service.ORDERS)
    assert state is not None
    assert (state.running, state.release) == (True, "1.4.0")
    assert not lab.running_campaigns
    assert chaos.open_faults() == []
    assert chaos.revert() == (["recreated orders at release 1.4.0"] if form_of(fault).mend is Mend.RECREATE else [])


@pytest.mark.parametrize("later_cost_s", [0.002, 0.004, 0.008])
def test_a_flash_crowd_is_sized_again_if_the_cost_of_its_requests_changes(
    lab: FakeLab, journal: Journal, later_cost_s: float
) -> None:
    chaos = fake_chaos(lab, journal)
    stages = chaos.begin(Fault(FaultMode.OVERLOADED, Service.PAYMENTS))
    next(stages)
    next(stages)  # the size comes from the cost of the first requests, 4 ms each
    lab.crowd_request_s = later_cost_s
    list(stages)
    rate_per_s = lab.running_campaigns["flash-crowd-payments"][0].rate_per_s
    least, most = crowd.plan(Service.PAYMENTS, 1.45).enough
    assert least <= (0.1 + rate_per_s * later_cost_s) / 0.3 <= most


def test_a_flash_crowd_keeps_its_size_if_its_service_is_scaled_up(lab: FakeLab, journal: Journal) -> None:
    stages = fake_chaos(lab, journal).begin(Fault(FaultMode.OVERLOADED, Service.PAYMENTS))
    next(stages)
    next(stages)
    before = lab.running_campaigns["flash-crowd-payments"][0].rate_per_s
    lab.resize(Service.PAYMENTS, 2 * QUOTA_US)
    assert list(stages) == []
    assert lab.running_campaigns["flash-crowd-payments"][0].rate_per_s == before


def test_a_fault_that_could_not_be_ended_stays_in_the_journal(lab: FakeLab, journal: Journal) -> None:
    chaos, fault = fake_chaos(lab, journal), Fault(FaultMode.CRASHED, Service.ORDERS)
    chaos.inject(fault)
    lab.engine_gone = True
    with pytest.raises(FleetError):
        chaos.end(fault)
    assert chaos.open_faults() == [fault]


def test_one_of_two_faults_ends_and_the_other_goes_on(lab: FakeLab, journal: Journal) -> None:
    chaos = fake_chaos(lab, journal)
    first, second = Fault(FaultMode.OVERLOADED, Service.AUTH), Fault(FaultMode.OVERLOADED, Service.ORDERS)
    chaos.inject(first)
    chaos.inject(second)
    chaos.end(first)
    assert list(lab.running_campaigns) == ["flash-crowd-orders"]
    assert chaos.open_faults() == [second]


def test_a_harmless_deploy_can_be_rolled_back_and_is_reverted(lab: FakeLab, journal: Journal) -> None:
    chaos = fake_chaos(lab, journal)
    chaos.deploy_sound(Service.AUTH)
    state = lab.state(Service.AUTH)
    assert state is not None
    assert (state.release, state.previous_release) == ("1.5.0-sound", "1.4.0")
    assert chaos.open_faults() == []
    assert chaos.revert() == ["recreated auth at release 1.4.0"]
