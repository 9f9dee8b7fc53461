"""Random sequences of injections, fixes, kills and reverts on a FakeLab. The invariants hold in each of them."""

from __future__ import annotations

import tempfile
from collections.abc import Iterator
from dataclasses import replace
from pathlib import Path
from typing import Any

import pytest
from hypothesis import HealthCheck, settings
from hypothesis import strategies as st
from hypothesis.stateful import RuleBasedStateMachine, invariant, rule

from mirr.chaos.campaigns import CampaignRequest, Heartbeat
from mirr.chaos.chaos import Chaos
from mirr.chaos.errors import ChaosError
from mirr.chaos.faults import faults
from mirr.chaos.journal import Journal
from mirr.chaos.leases import LeaseFile
from mirr.chaos.limits import Limits
from mirr.chaos.reverter import Reverter
from mirr.env.vocabulary import Bursts, Service, TrafficChanges
from tests.fakes.campaigns import FakeCampaigns
from tests.fakes.clock import FakeClock
from tests.fakes.lab import FakeLab
from tests.fakes.meter import FakeMeter
from tests.fakes.service import QUOTA_US
from tests.trials import trials

pytestmark = pytest.mark.thorough

BEAT_S = 2.0
FAULTS = st.sampled_from(faults())
SERVICES = st.sampled_from(Service)


class _CheckedLab(FakeLab):
    """A FakeLab that checks before each fault that the journal has an entry for it."""

    def __init__(self, clock: FakeClock, journal: Journal) -> None:
        super().__init__(clock)
        self.leases_end = True
        self._journal = journal

    def kill(self, service: Service, signal: str = "SIGKILL") -> None:
        self._check_journal(service)
        super().kill(service, signal)

    def freeze(self, service: Service) -> None:
        self._check_journal(service)
        super().freeze(service)

    def start(self, campaign: CampaignRequest, lease_s: float) -> None:
        self._check_journal(campaign.service)
        super().start(campaign, lease_s)

    def deploy(self, service: Service, release: str, *, previous: str | None) -> None:
        if previous is not None:  # without a previous release, it is a rollback, and a rollback is a fix
            self._check_journal(service)
        super().deploy(service, release, previous=previous)

    def _check_journal(self, service: Service) -> None:
        assert service in {act.service for act in self._journal.open_acts()}, (
            f"{service} was broken without an entry in the journal"
        )


class _HeartbeatWithoutThread(Heartbeat):
    """A heartbeat without a thread. The test calls `beat` when it moves the clock."""

    def _start(self) -> None:
        return


class Storm(RuleBasedStateMachine):
    """One lab with its journal, and processes that start and are killed."""

    def __init__(self) -> None:
        super().__init__()
        self._folder = tempfile.TemporaryDirectory()
        self.clock = FakeClock()
        self.journal = Journal(Path(self._folder.name), now=self.clock.now)
        self.lab = _CheckedLab(self.clock, self.journal)
        self.processes = 0
        self._start_a_process()

    def _start_a_process(self) -> None:
        self.processes += 1
        campaigns = FakeCampaigns(self.lab)
        lease = LeaseFile(self.journal.folder, f"process-{self.processes}", now=self.clock.now)
        self.heartbeat = _HeartbeatWithoutThread(campaigns, lease=lease)
        self.chaos = Chaos(
            self.lab,
            campaigns,
            self.journal,
            self.heartbeat,
            FakeMeter(self.lab),
            limits=Limits(),
            sleep=self._let_time_pass,
            now=self.clock.now,
        )
        self.stages: list[Iterator[float]] = []

    def _reverter(self) -> Reverter:
        return Reverter(self.lab, FakeCampaigns(self.lab), self.journal, now=self.clock.now, sleep=self.clock.sleep)

    def _let_time_pass(self, seconds: float) -> None:
        """Move the clock. Meanwhile the process renews its leases, and the reaper reverts.

        Once nothing is open, the rest of the time passes at once: there is nothing to renew or to revert.
        """
        end = self.clock.now() + seconds
        while (left_s := end - self.clock.now()) > 0:
            nothing_open = not self.lab.running_campaigns and self.journal.open_acts() == []
            self.clock.sleep(left_s if nothing_open else min(BEAT_S, left_s))
            self.lab.end_leases()
            self.heartbeat.beat()
            self._try(lambda: self._reverter().revert_expired())

    def _try(self, act: Any) -> None:
        try:
            act()
        except ChaosError:
            return  # an act may be refused: the engine may be gone, or the limit may be reached

    @rule(fault=FAULTS)
    def inject(self, fault: Any) -> None:
        self._try(lambda: self.chaos.inject(fault))

    @rule(fault=FAULTS, lease_s=st.sampled_from([1.0, 20.0, 600.0]))
    def a_person_injects(self, fault: Any, lease_s: float) -> None:
        self._try(lambda: self.chaos.inject(fault, lease_s=lease_s))

    @rule(fault=FAULTS)
    def begin(self, fault: Any) -> None:
        self.stages.append(self.chaos.begin(fault))

    @rule()
    def go_on_with_all_stages(self) -> None:
        for stage in self.stages:
            self._try(lambda stage=stage: next(stage, None))

    @rule()
    def a_fault_ends_by_itself(self) -> None:
        for fault in self.chaos.open_faults()[:1]:
            self._try(lambda fault=fault: self.chaos.end(fault))

    @rule(service=SERVICES)
    def deploy_sound(self, service: Service) -> None:
        if service not in {act.service for act in self.journal.open_acts()}:
            self._try(lambda: self.chaos.deploy_sound(service))

    @rule(service=SERVICES, for_s=st.sampled_from([1.0, 10.0, 60.0]))
    def a_burst_comes(self, service: Service, for_s: float) -> None:
        if service not in {act.service for act in self.journal.open_acts()}:
            self.stages.append(self.chaos.burst(Bursts(service, 0.3, for_s)))

    @rule(first=st.sampled_from([0.75, 1.3]), over_s=st.sampled_from([0.0, 60.0]))
    def users_come_more_or_less_often(self, first: float, over_s: float) -> None:
        self._try(lambda: self.chaos.change_traffic(TrafficChanges(first, 1.0, over_s)))

    @rule(service=SERVICES)
    def an_agent_restarts(self, service: Service) -> None:
        self._try(lambda: self.lab.restart(service))

    @rule(service=SERVICES)
    def an_agent_scales_up(self, service: Service) -> None:
        self._try(lambda: self.lab.resize(service, 2 * QUOTA_US))

    @rule(service=SERVICES)
    def an_agent_rolls_back(self, service: Service) -> None:
        previous = self.lab.services[service].previous
        if previous is not None:
            self._try(lambda: self.lab.deploy(service, previous, previous=None))

    @rule(service=SERVICES, how=st.sampled_from(["paused", "hung", "drifted"]))
    def somebody_changes_a_service(self, service: Service, how: str) -> None:
        own = self.lab.services[service]
        own.paused, own.hung = own.paused or how == "paused", own.hung or how == "hung"
        own.drifted = ("Memory",) if how == "drifted" else own.drifted

    @rule(name=st.sampled_from([f"lab_{service}-net_1" for service in Service] + ["lab_traffic_1", "lab_prometheus_1"]))
    def somebody_stops_a_support_container(self, name: str) -> None:
        self.lab.support[name] = replace(self.lab.support[name], running=False)

    @rule(gone=st.booleans())
    def the_engine_stops_or_starts(self, gone: bool) -> None:
        self.lab.engine_gone = gone

    @rule()
    def the_process_is_killed(self) -> None:
        self.heartbeat.release = lambda: None  # type: ignore[method-assign]  # a killed process does not clean up
        self._start_a_process()

    @rule(seconds=st.sampled_from([0.5, 3.0, 7.0, 30.0]))
    def time_passes(self, seconds: float) -> None:
        self._let_time_pass(seconds)

    @rule()
    def revert(self) -> None:
        try:
            self._reverter().revert()
        except ChaosError:
            assert self.lab.engine_gone
            return
        self._check_that_everything_is_reverted()

    @rule()
    def the_process_is_killed_and_all_leases_end(self) -> None:
        self.lab.engine_gone = False
        self.the_process_is_killed()
        self._let_time_pass(601.0)  # the longest lease that a person can give
        assert self.journal.open_acts() == []
        assert not self.lab.running_campaigns
        assert self.lab.level == 1.0

    @invariant()
    def no_more_is_broken_than_the_limit_allows(self) -> None:
        assert len({one.fault.service for one in self.journal.open_faults()}) <= Limits().max_broken

    def _check_that_everything_is_reverted(self) -> None:
        for service in Service:
            state = self.lab.state(service)
            assert state is not None
            assert (state.running, state.paused, state.drifted, state.strays) == (True, False, (), 0), service
            assert (state.release, state.previous_release, state.redeployed) == ("1.4.0", None, False), service
            assert state.cpu_quota_us == QUOTA_US, service
            assert not self.lab.services[service].hung
        assert all(part.running and not part.paused for part in self.lab.support.values())
        assert not self.lab.running_campaigns
        assert self.lab.level == 1.0
        assert self.journal.open_acts() == []
        assert list(self.journal.folder.glob("lease-*")) == []

    def teardown(self) -> None:
        self.lab.engine_gone = False
        self._reverter().revert()
        self._check_that_everything_is_reverted()
        self._folder.cleanup()


TestStorm = Storm.TestCase
TestStorm.settings = settings(
    max_examples=trials(50),
    stateful_step_count=30,
    deadline=None,
    derandomize=True,
    suppress_health_check=list(HealthCheck),
)
