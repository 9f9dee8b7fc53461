"""Injects faults into one lab and puts everything back. Restoring reads labels and the journal, never memory."""

from __future__ import annotations

import time
from collections.abc import Callable, Iterator
from concurrent.futures import ThreadPoolExecutor
from contextlib import contextmanager
from dataclasses import replace

from chaos.campaigns import Campaign, Campaigns, Heartbeat
from chaos.errors import CampaignError
from chaos.faults import FAULTS, Mend, Meter, Tools, deploy_over
from chaos.fleet import Fleet, ServiceState
from chaos.journal import Journal
from env.vocabulary import STEADY_RELEASE, Fault, FaultMode, Service
from lab.names import SOUND_RELEASE


class Chaos:
    """What breaks one lab. Not safe to share between threads; one holder of a lab at a time."""

    def __init__(
        self,
        fleet: Fleet,
        campaigns: Campaigns,
        journal: Journal,
        heartbeat: Heartbeat,
        meter: Meter,
        *,
        sleep: Callable[[float], None] = time.sleep,
    ) -> None:
        self._fleet = fleet
        self._campaigns = campaigns
        self._journal = journal
        self._heartbeat = heartbeat
        self._meter = meter
        self._sleep = sleep
        self._running: dict[Fault, Campaign] = {}  # as sized by their faults

    def inject(self, fault: Fault, *, lease_s: float | None = None) -> None:
        """Break something. Traffic is kept up for as long as this process lives or, with `lease_s`, for that long
        whoever lives. Raises FleetError or CampaignError; what was begun is in the journal then."""
        for wait_s in self.begin(fault, lease_s=lease_s):
            self._sleep(wait_s)

    def begin(self, fault: Fault, *, lease_s: float | None = None) -> Iterator[float]:
        """Break something in stages, without blocking: each value is how many seconds later it wants to be asked for
        the next. Nothing happens before the first one is asked for. Where the fault was ended or put back meanwhile,
        by whomever, the rest of it does not happen."""
        self._journal.injecting(fault)
        for wait_s in FAULTS[fault.mode].inject(self._tools(fault, lease_s), fault.service):
            yield wait_s
            if fault not in self.open_faults():
                return

    def end(self, fault: Fault) -> None:
        """The fault ends by itself, as incidents do. What it leaves behind is put back by `heal`. Raises FleetError
        or CampaignError; the fault stays in the journal then."""
        FAULTS[fault.mode].end(self._tools(fault, None), fault.service)
        self._running.pop(fault, None)
        self._journal.ended(fault)

    def deploy_sound(self, service: Service) -> None:
        """A harmless deploy: the next release as it should have been. `heal` renews it like any deploy."""
        self._journal.deploying(service, SOUND_RELEASE)
        deploy_over(self._fleet, service, SOUND_RELEASE)

    def intensify(self, fault: Fault, factor: float) -> None:
        """Make a flash crowd `factor` times as large as it was sized; nothing for other modes, and nothing for a crowd
        that this process has not injected or that is gone."""
        campaign = self._running.get(fault)
        if fault.mode is FaultMode.OVERLOADED and campaign is not None:
            self._campaigns.start(replace(campaign, rate_per_s=campaign.rate_per_s * factor), self._heartbeat.lease_s)

    @contextmanager
    def injected(self, fault: Fault) -> Iterator[None]:
        """A fault that reverts itself at the end of the block."""
        try:
            self.inject(fault)
            yield
        finally:
            self.heal()

    def lost_lease(self) -> str | None:
        """Why a campaign could not be kept up, or None."""
        return self._heartbeat.lost

    def open_faults(self) -> list[Fault]:
        """What is injected and not reverted, as the journal on disk has it."""
        return [entry.fault for entry in self._journal.open_faults()]

    def heal(self) -> list[str]:
        """Put everything back to how the lab was made, whoever broke it: end campaigns, start what is down, give
        back limits, replace what was redeployed. Returns in words what was done; waits for nothing.

        Raises FleetError where something could not be put back; the journal keeps it then.
        """
        self._heartbeat.release()
        self._running.clear()
        done: list[str] = []
        restarted_sandboxes = self._fleet.revive_support()
        needs = {service: self._need(service, service in restarted_sandboxes) for service in Service}
        with ThreadPoolExecutor(max_workers=len(Service)) as pool:
            campaigns = pool.submit(self._stop_campaigns)
            for lines in pool.map(lambda service: self._mend(service, needs[service]), Service):
                done += lines
            done += campaigns.result()
        self._journal.reverted()
        return done

    def restart(self, service: Service) -> None:
        """A new process for a service that is in the way of steady state, e.g. one whose memory is full."""
        self._fleet.restart(service)

    def close(self) -> None:
        """End the leases' thread; the campaigns end with their leases."""
        self._heartbeat.close()

    def _tools(self, fault: Fault, lease_s: float | None) -> Tools:
        return Tools(
            fleet=self._fleet,
            meter=self._meter,
            run_campaign=lambda campaign: self._run_campaign(fault, campaign, lease_s),
            end_campaign=self._end_campaign,
        )

    def _end_campaign(self, campaign_id: str) -> None:
        self._heartbeat.let_go(campaign_id)
        self._campaigns.stop(campaign_id)

    def _run_campaign(self, fault: Fault, campaign: Campaign, lease_s: float | None) -> None:
        self._campaigns.start(campaign, self._heartbeat.lease_s if lease_s is None else lease_s)
        self._running[fault] = campaign
        if lease_s is None:
            self._heartbeat.hold(campaign)

    def _stop_campaigns(self) -> list[str]:
        try:
            stopped = self._campaigns.stop_all()
        except CampaignError:
            # A load generator that was just started does not answer yet, and a new one has no campaigns.
            # One that hangs ends them itself when their leases run out; steady state is awaited in either case.
            return ["the load generator does not answer: campaigns end with their leases"]
        return [f"ended {stopped} campaign(s)"] if stopped else []

    def _need(self, service: Service, sandbox_restarted: bool) -> tuple[Mend, ServiceState | None]:
        state = self._fleet.state(service)
        need = Mend.RESTART if sandbox_restarted else Mend.NOTHING
        for entry in self._journal.open_faults():
            if entry.fault.service is service:
                need = max(need, FAULTS[entry.fault.mode].mend)
        if state is None or state.redeployed or state.strays or state.release != STEADY_RELEASE:
            need = Mend.RENEW
        elif not state.running:
            need = max(need, Mend.RESTART)
        return need, state

    def _mend(self, service: Service, need: tuple[Mend, ServiceState | None]) -> list[str]:
        mend, state = need
        done = []
        if state is not None and mend is not Mend.RENEW and state.cpu_quota_us != state.steady_cpu_quota_us:
            self._fleet.resize(service, state.steady_cpu_quota_us)
            done.append(f"gave {service} its steady CPU quota back")
        match mend:
            case Mend.RENEW:
                self._fleet.renew(service, STEADY_RELEASE)
                done.append(f"renewed {service} at release {STEADY_RELEASE}")
            case Mend.RESTART:
                self._fleet.restart(service)
                done.append(f"restarted {service}")
            case Mend.NOTHING:
                pass
        return done
