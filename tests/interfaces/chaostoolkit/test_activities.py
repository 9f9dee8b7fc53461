"""Actions act and probes look, each on the lab that the configuration names; what goes wrong fails the activity."""

from __future__ import annotations

import logging
import os
from collections.abc import Callable
from pathlib import Path

import pytest

# chaostoolkit-lib ships no types.
from chaoslib.exceptions import ActivityFailed  # type: ignore[import-untyped]

from mirr.chaos.campaigns import CampaignRequest
from mirr.chaos.faults import faults
from mirr.env.vocabulary import REMEDY, Fault, FaultMode, Restart, Rollback, ScaleUp, Service
from mirr.interfaces.chaostoolkit import connection, discover
from mirr.interfaces.chaostoolkit.actions import end_fault, inject, restart, revert, rollback, scale_up
from mirr.interfaces.chaostoolkit.probes import (
    blast_radius,
    objective_lost,
    objectives_met,
    objectives_restored,
    open_faults,
    release,
    service_up,
    steady,
    user_sli,
)
from mirr.lab.errors import LabNotUp
from mirr.lab.lock import hold
from tests.fakes import QUOTA_US, FakeCampaigns
from tests.interfaces.chaostoolkit.conftest import Toolkit

LAB = {"lab": "mirr-fake"}
FIX: dict[type[Restart] | type[Rollback] | type[ScaleUp], Callable[..., str]] = {
    Restart: restart,
    Rollback: rollback,
    ScaleUp: scale_up,
}


@pytest.mark.parametrize("fault", faults(service=Service.ORDERS), ids=str)
def test_a_fault_and_its_right_fix_are_what_the_probes_wait_for(toolkit: Toolkit, fault: Fault) -> None:
    assert steady(configuration=LAB, clock=toolkit.clock)
    kind = str(fault).partition(":")[0]
    assert inject(kind, "orders", configuration=LAB, clock=toolkit.clock) == str(fault)
    missed = objective_lost("orders", configuration=LAB, clock=toolkit.clock)
    assert any(text.startswith("orders") for text in missed)
    assert open_faults(configuration=LAB) == [str(fault)]
    FIX[REMEDY[fault.mode]]("orders", configuration=LAB, clock=toolkit.clock)
    assert objectives_restored(configuration=LAB, clock=toolkit.clock) >= 2.0


@pytest.mark.parametrize("fault", faults(service=Service.ORDERS), ids=str)
def test_revert_waits_until_the_lab_is_steady(toolkit: Toolkit, fault: Fault) -> None:
    inject(str(fault).partition(":")[0], "orders", configuration=LAB, clock=toolkit.clock)
    assert revert(configuration=LAB, clock=toolkit.clock) == "lab mirr-fake is in steady state"
    assert steady(configuration=LAB, clock=toolkit.clock)
    assert open_faults(configuration=LAB) == []
    assert toolkit.lab.running_campaigns == {}


def test_a_fault_made_of_traffic_is_leased_for_seconds_that_only_the_run_renews(
    toolkit: Toolkit, monkeypatch: pytest.MonkeyPatch
) -> None:
    leases_s: list[float] = []
    start = FakeCampaigns.start

    def noted(self: FakeCampaigns, campaign: CampaignRequest, lease_s: float) -> None:
        leases_s.append(lease_s)
        start(self, campaign, lease_s)

    monkeypatch.setattr(FakeCampaigns, "start", noted)
    inject("memory_leak", "orders", configuration=LAB, clock=toolkit.clock)
    assert leases_s == [6.0]


def test_a_client_that_goes_away_leaves_no_open_fault(toolkit: Toolkit) -> None:
    inject("memory_leak", "orders", configuration=LAB, clock=toolkit.clock)
    assert end_fault("memory_leak", "orders", configuration=LAB) == "memory_leak:orders"
    assert toolkit.lab.running_campaigns == {}
    assert open_faults(configuration=LAB) == []


@pytest.mark.parametrize(
    "act",
    [
        lambda: inject("crashed", "auth", configuration=LAB),
        lambda: end_fault("crashed", "auth", configuration=LAB),
        lambda: restart("auth", configuration=LAB),
        lambda: rollback("auth", configuration=LAB),
        lambda: scale_up("auth", configuration=LAB),
        lambda: revert(configuration=LAB),
    ],
)
def test_an_action_is_refused_while_another_command_holds_the_lab(toolkit: Toolkit, act: Callable[[], str]) -> None:
    toolkit.lab.kill(Service.AUTH)
    with hold("mirr-fake", "mirr episode"), pytest.raises(ActivityFailed) as failed:
        act()
    assert str(failed.value) == (
        f"lab mirr-fake is in use by `mirr episode` (process {os.getpid()}); wait for it or end it"
    )
    assert not toolkit.lab.services[Service.AUTH].running


def test_an_action_lets_go_of_the_lab_when_it_is_done(toolkit: Toolkit) -> None:
    inject("crashed", "auth", configuration=LAB, clock=toolkit.clock)
    with hold("mirr-fake", "mirr episode"):
        assert not service_up("auth", configuration=LAB)


def test_a_lab_that_is_not_up_is_named_and_leaves_no_traces(monkeypatch: pytest.MonkeyPatch, state_root: Path) -> None:
    def assemble(name: str) -> object:
        raise LabNotUp(f"lab {name} is not up; start it with: make up LAB={name}")

    monkeypatch.setattr(connection, "assemble", assemble)
    for activity in (revert, steady, user_sli):
        with pytest.raises(ActivityFailed) as failed:
            activity(configuration={"lab": "mirr-absent"})
        assert str(failed.value) == "lab mirr-absent is not up; start it with: make up LAB=mirr-absent"
    assert not state_root.exists()


def test_a_name_that_cannot_be_a_labs_is_refused() -> None:
    with pytest.raises(ActivityFailed, match="'No Lab' cannot be a lab's name"):
        user_sli(configuration={"lab": "No Lab"})


@pytest.mark.parametrize(
    ("act", "message"),
    [
        (
            lambda: inject("melted", "auth", configuration=LAB),
            "unknown fault mode 'melted'; one of: crashed, memory_leak, overloaded, bad_deploy",
        ),
        (
            lambda: restart("cart", configuration=LAB),
            "unknown service 'cart'; one of: gateway, auth, inventory, orders, payments",
        ),
        (
            lambda: blast_radius(["browse", "dream"], configuration=LAB),
            "unknown journey 'dream'; one of: browse, sign_in, check_out",
        ),
        (lambda: rollback("auth", configuration=LAB), "auth has no earlier release; next: mirr status"),
    ],
)
def test_what_cannot_be_done_says_why(toolkit: Toolkit, act: Callable[[], object], message: str) -> None:
    with pytest.raises(ActivityFailed) as failed:
        act()
    assert str(failed.value) == message


def test_a_service_that_is_down_cannot_be_scaled(toolkit: Toolkit) -> None:
    inject("crashed", "auth", configuration=LAB, clock=toolkit.clock)
    with pytest.raises(ActivityFailed, match="auth is not running, nothing to scale; next: mirr status"):
        scale_up("auth", configuration=LAB, clock=toolkit.clock)


def test_an_engine_that_is_gone_fails_the_activity(toolkit: Toolkit) -> None:
    toolkit.lab.engine_gone = True
    with pytest.raises(ActivityFailed, match="could not reach the engine: gone; next: mirr doctor"):
        release("auth", configuration=LAB)


def test_an_objective_that_is_not_lost_fails_the_probe_at_its_deadline(toolkit: Toolkit) -> None:
    began = toolkit.clock.now()
    with pytest.raises(ActivityFailed) as failed:
        objective_lost("auth", within_s=6.0, configuration=LAB, clock=toolkit.clock)
    assert str(failed.value) == "auth does not miss an objective for 2 s within 6 s; next: mirr status"
    assert toolkit.clock.now() - began == pytest.approx(6.0, abs=0.3)


def test_an_objective_that_is_lost_for_a_moment_is_not_lost(toolkit: Toolkit) -> None:
    toolkit.lab.restart(Service.AUTH)  # down for the 2 s that a boot takes
    with pytest.raises(ActivityFailed):
        objective_lost("auth", window_s=3.0, configuration=LAB, clock=toolkit.clock)


def test_objectives_that_stay_lost_fail_the_probe_with_what_is_missed(toolkit: Toolkit) -> None:
    inject("crashed", "auth", configuration=LAB, clock=toolkit.clock)
    with pytest.raises(ActivityFailed, match=r"^the lab is not in steady state after 5 s: .*auth is down"):
        objectives_restored(within_s=5.0, configuration=LAB, clock=toolkit.clock)


def test_a_lab_that_is_not_steady_says_why_in_the_runs_log(toolkit: Toolkit, caplog: pytest.LogCaptureFixture) -> None:
    inject("crashed", "auth", configuration=LAB, clock=toolkit.clock)
    with caplog.at_level(logging.WARNING, logger="chaostoolkit"):
        assert steady(within_s=1.0, configuration=LAB, clock=toolkit.clock) is False
    assert "auth is down" in caplog.text


def test_a_blast_radius_ends_where_we_believe(toolkit: Toolkit) -> None:
    inject("crashed", "payments", configuration=LAB, clock=toolkit.clock)
    felt = blast_radius(["browse", "sign_in"], configuration=LAB, clock=toolkit.clock)
    assert felt == {"browse": 1.0, "sign_in": 1.0, "check_out": 0.0}


def test_a_spared_journey_that_fails_fails_the_probe(toolkit: Toolkit) -> None:
    inject("crashed", "inventory", configuration=LAB, clock=toolkit.clock)
    with pytest.raises(ActivityFailed) as failed:
        blast_radius(["sign_in", "browse"], configuration=LAB, clock=toolkit.clock)
    assert str(failed.value) == (
        "browse should be spared, but only 0.000 of its requests went well over 4 s, objective 0.95; next: mirr status"
    )


def test_what_users_and_services_have_is_measured(toolkit: Toolkit) -> None:
    assert (user_sli(configuration=LAB), objectives_met(configuration=LAB)) == (1.0, 1.0)
    assert (service_up("payments", configuration=LAB), release("payments", configuration=LAB)) == (True, "1.4.0")
    inject("crashed", "payments", configuration=LAB, clock=toolkit.clock)
    assert user_sli(configuration=LAB) == 0.7  # 18 of 60 check out
    assert objectives_met(configuration=LAB) == 0.3333  # payments, orders, gateway and the users miss theirs
    assert not service_up("payments", configuration=LAB)


def test_scaling_up_doubles_the_quota(toolkit: Toolkit) -> None:
    assert scale_up("auth", configuration=LAB, clock=toolkit.clock) == "auth has twice the CPU quota now"
    assert toolkit.lab.services[Service.AUTH].quota_us == 2 * QUOTA_US


def test_discovery_finds_every_activity_with_its_description_and_types() -> None:
    activities = {activity["name"]: activity for activity in discover()["activities"]}
    assert {name for name, one in activities.items() if one["type"] == "action"} == {
        *("end_fault", "inject", "restart", "revert", "rollback", "scale_up"),
    }
    assert {name for name, one in activities.items() if one["type"] == "probe"} == {
        *("blast_radius", "objective_lost", "objectives_met", "objectives_restored", "open_faults"),
        *("release", "service_up", "steady", "user_sli"),
    }
    assert all(activity["doc"] for activity in activities.values())
    assert activities["inject"]["arguments"] == [
        {"name": "mode", "type": "string"},
        {"name": "service", "type": "string"},
        {"name": "configuration", "type": "mapping", "default": None},
    ]


def test_a_fault_that_is_injected_is_in_the_journal(toolkit: Toolkit) -> None:
    inject("bad_deploy", "auth", configuration=LAB, clock=toolkit.clock)
    assert [entry.fault for entry in toolkit.journal.open_faults()] == [Fault(FaultMode.BAD_DEPLOY, Service.AUTH)]
