"""Tests of the actions and probes. Each uses the lab named in the configuration; an error fails the activity."""

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
from tests.fakes.campaigns import FakeCampaigns
from tests.fakes.service import QUOTA_US
from tests.interfaces.chaostoolkit.conftest import Toolkit

LAB = {"lab": "mirr-fake"}
FIX: dict[type[Restart] | type[Rollback] | type[ScaleUp], Callable[..., str]] = {
    Restart: restart,
    Rollback: rollback,
    ScaleUp: scale_up,
}


@pytest.mark.parametrize("fault", faults(service=Service.ORDERS), ids=str)
def test_the_probes_see_a_fault_and_the_recovery_after_the_right_fix(toolkit: Toolkit, fault: Fault) -> None:
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


def test_the_lease_of_a_traffic_fault_lasts_seconds_and_the_run_renews_it(
    toolkit: Toolkit, monkeypatch: pytest.MonkeyPatch
) -> None:
    leases_s: list[float] = []
    start = FakeCampaigns.start

    def noting_start(self: FakeCampaigns, campaign: CampaignRequest, lease_s: float) -> None:
        leases_s.append(lease_s)
        start(self, campaign, lease_s)

    monkeypatch.setattr(FakeCampaigns, "start", noting_start)
    inject("memory_leak", "orders", configuration=LAB, clock=toolkit.clock)
    assert leases_s == [12.0]


def test_ending_a_memory_leak_leaves_no_open_fault(toolkit: Toolkit) -> None:
    inject("memory_leak", "orders", configuration=LAB, clock=toolkit.clock)
    assert end_fault("memory_leak", "orders", configuration=LAB) == "memory_leak:orders"
    assert toolkit.lab.running_campaigns == {}
    assert open_faults(configuration=LAB) == []


@pytest.mark.parametrize(
    "activity",
    [
        lambda: inject("crashed", "auth", configuration=LAB),
        lambda: end_fault("crashed", "auth", configuration=LAB),
        lambda: restart("auth", configuration=LAB),
        lambda: rollback("auth", configuration=LAB),
        lambda: scale_up("auth", configuration=LAB),
        lambda: revert(configuration=LAB),
    ],
)
def test_an_action_is_refused_while_another_command_holds_the_lab(
    toolkit: Toolkit, activity: Callable[[], str]
) -> None:
    toolkit.lab.kill(Service.AUTH)
    with hold("mirr-fake", "mirr episode"), pytest.raises(ActivityFailed) as failed:
        activity()
    assert str(failed.value) == (
        f"lab mirr-fake is in use by `mirr episode` (process {os.getpid()}); wait for it or end it"
    )
    assert not toolkit.lab.services[Service.AUTH].running


def test_an_action_releases_the_lab_when_it_ends(toolkit: Toolkit) -> None:
    inject("crashed", "auth", configuration=LAB, clock=toolkit.clock)
    with hold("mirr-fake", "mirr episode"):
        assert not service_up("auth", configuration=LAB)


def test_the_error_for_a_lab_that_is_not_up_names_it_and_no_state_is_written(
    monkeypatch: pytest.MonkeyPatch, state_root: Path
) -> None:
    def assemble(name: str) -> object:
        raise LabNotUp(f"lab {name} is not up; start it with: make up LAB={name}")

    monkeypatch.setattr(connection, "assemble", assemble)
    for activity in (revert, steady, user_sli):
        with pytest.raises(ActivityFailed) as failed:
            activity(configuration={"lab": "mirr-absent"})
        assert str(failed.value) == "lab mirr-absent is not up; start it with: make up LAB=mirr-absent"
    assert not state_root.exists()


def test_an_invalid_lab_name_is_refused() -> None:
    with pytest.raises(ActivityFailed, match="'No Lab' cannot be a lab's name"):
        user_sli(configuration={"lab": "No Lab"})


@pytest.mark.parametrize(
    ("activity", "message"),
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
def test_a_failing_activity_says_why(toolkit: Toolkit, activity: Callable[[], object], message: str) -> None:
    with pytest.raises(ActivityFailed) as failed:
        activity()
    assert str(failed.value) == message


def test_a_service_that_is_down_cannot_be_scaled(toolkit: Toolkit) -> None:
    inject("crashed", "auth", configuration=LAB, clock=toolkit.clock)
    with pytest.raises(ActivityFailed, match="auth is not running, nothing to scale; next: mirr status"):
        scale_up("auth", configuration=LAB, clock=toolkit.clock)


def test_the_activity_fails_when_the_engine_is_gone(toolkit: Toolkit) -> None:
    toolkit.lab.engine_gone = True
    with pytest.raises(ActivityFailed, match="could not reach the engine: gone; next: mirr doctor"):
        release("auth", configuration=LAB)


def test_the_probe_fails_at_its_deadline_when_the_objective_is_still_met(toolkit: Toolkit) -> None:
    began = toolkit.clock.now()
    with pytest.raises(ActivityFailed) as failed:
        objective_lost("auth", within_s=6.0, configuration=LAB, clock=toolkit.clock)
    assert str(failed.value) == "auth does not miss an objective for 2 s within 6 s; next: mirr status"
    assert toolkit.clock.now() - began == pytest.approx(6.0, abs=0.3)


def test_an_objective_missed_for_a_moment_does_not_count_as_lost(toolkit: Toolkit) -> None:
    toolkit.lab.restart(Service.AUTH)  # the service is down while it boots, for 2 s
    with pytest.raises(ActivityFailed):
        objective_lost("auth", window_s=3.0, configuration=LAB, clock=toolkit.clock)


def test_the_probe_fails_and_names_the_missed_objectives_when_they_stay_lost(toolkit: Toolkit) -> None:
    inject("crashed", "auth", configuration=LAB, clock=toolkit.clock)
    with pytest.raises(ActivityFailed, match=r"^the lab is not in steady state after 5 s: .*auth is down"):
        objectives_restored(within_s=5.0, configuration=LAB, clock=toolkit.clock)


def test_the_log_of_the_run_says_why_the_lab_is_not_steady(toolkit: Toolkit, caplog: pytest.LogCaptureFixture) -> None:
    inject("crashed", "auth", configuration=LAB, clock=toolkit.clock)
    with caplog.at_level(logging.WARNING, logger="chaostoolkit"):
        assert steady(within_s=1.0, configuration=LAB, clock=toolkit.clock) is False
    assert "auth is down" in caplog.text


def test_the_blast_radius_spares_the_named_journeys(toolkit: Toolkit) -> None:
    inject("crashed", "payments", configuration=LAB, clock=toolkit.clock)
    shares = blast_radius(["browse", "sign_in"], configuration=LAB, clock=toolkit.clock)
    assert shares == {"browse": 1.0, "sign_in": 1.0, "check_out": 0.0}


def test_the_probe_fails_if_a_spared_journey_fails(toolkit: Toolkit) -> None:
    inject("crashed", "inventory", configuration=LAB, clock=toolkit.clock)
    with pytest.raises(ActivityFailed) as failed:
        blast_radius(["sign_in", "browse"], configuration=LAB, clock=toolkit.clock)
    assert str(failed.value) == (
        "browse should be spared, but only 0.000 of its requests went well over 4 s, objective 0.95; next: mirr status"
    )


def test_probes_measure_the_users_and_the_services(toolkit: Toolkit) -> None:
    assert (user_sli(configuration=LAB), objectives_met(configuration=LAB)) == (1.0, 1.0)
    assert (service_up("payments", configuration=LAB), release("payments", configuration=LAB)) == (True, "1.4.0")
    inject("crashed", "payments", configuration=LAB, clock=toolkit.clock)
    assert user_sli(configuration=LAB) == 0.7  # 18 of 60 requests are check-outs, and they fail
    assert objectives_met(configuration=LAB) == 0.3333  # payments, orders, gateway and the users miss their objectives
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


def test_an_injected_fault_is_in_the_journal(toolkit: Toolkit) -> None:
    inject("bad_deploy", "auth", configuration=LAB, clock=toolkit.clock)
    assert [entry.fault for entry in toolkit.journal.open_faults()] == [Fault(FaultMode.BAD_DEPLOY, Service.AUTH)]
