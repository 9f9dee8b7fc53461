"""Injects faults into one lab, ends them, and has them reverted."""

from __future__ import annotations

import time
from collections.abc import Callable, Iterator
from contextlib import contextmanager
from dataclasses import dataclass
from typing import TypedDict

from mirr.chaos import bursts
from mirr.chaos.campaigns import CampaignRequest, Campaigns, Heartbeat, campaign_id
from mirr.chaos.deploys import deploy_over
from mirr.chaos.errors import FleetError, ImageMissing, Refused
from mirr.chaos.faults import form_of, severity_on_containers, texts_of
from mirr.chaos.fleet import Fleet
from mirr.chaos.journal import Act, Journal, nothing_was_done
from mirr.chaos.limits import Limits
from mirr.chaos.load import Meter
from mirr.chaos.reverter import TURN_FILE, Reverter
from mirr.chaos.standing import broken_by_others, standing
from mirr.chaos.tools import Tools
from mirr.chaos.turns import turn
from mirr.env.vocabulary import Bursts, Fault, Service, TrafficChanges
from mirr.lab.releases import SOUND_RELEASE

INJECT_TURN_S = 10.0
"""How long an injection waits for somebody else's revert or injection before it is refused."""


@dataclass(frozen=True, kw_only=True)
class Plan:
    """What an injection would do."""

    container: str  # its name
    container_id: str
    act: str
    lasts_s: float
    revert: str  # what reverting would do


class _Lasting(TypedDict):
    """How long something lasts, in the form that the journal needs."""

    lease_s: float
    holder: str | None


def _nothing() -> None:
    return


class Chaos:
    """Breaks one lab. Threads must not share it, and a lab has one holder at a time.

    `watched` makes sure that a reaper runs (chaos/reaper.py), which reverts a fault when its lease is over.
    """

    def __init__(
        self,
        fleet: Fleet,
        campaigns: Campaigns,
        journal: Journal,
        heartbeat: Heartbeat,
        meter: Meter,
        *,
        limits: Limits | None = None,
        sleep: Callable[[float], None] = time.sleep,
        now: Callable[[], float] = time.time,
        watched: Callable[[], None] = _nothing,
    ) -> None:
        self._fleet = fleet
        self._campaigns = campaigns
        self._journal = journal
        self._heartbeat = heartbeat
        self._meter = meter
        self._limits = limits or Limits()
        self._sleep = sleep
        self._now = now
        self._watched = watched
        self._reverter = Reverter(fleet, campaigns, journal, now=now, sleep=sleep)
        self._mine: set[Fault] = set()  # what this process injected, and has not ended or reverted

    def inject(self, fault: Fault, *, lease_s: float | None = None) -> None:
        """Inject a fault. It stays until it is ended or reverted.

        Without `lease_s`, it lasts while this process lives. With `lease_s`, it lasts that long, and then the reaper
        reverts it. Raises Refused or JournalError if nothing was done. Raises FleetError or CampaignError if
        something went wrong; the journal then holds what was begun."""
        for wait_s in self.begin(fault, lease_s=lease_s):
            self._sleep(wait_s)

    def begin(self, fault: Fault, *, lease_s: float | None = None) -> Iterator[float]:
        """Inject a fault in stages, without blocking. Each value says in how many seconds to ask for the next one.

        Nothing happens before the first value is asked for. If somebody ends or reverts the fault in between, the
        remaining stages do not happen. Raises what `inject` raises."""
        inject = form_of(fault).inject
        with self._turn():
            others = self.open_faults()
            # A process that holds the lab has reverted everything before, so only a person finds others' faults.
            by_others = [] if lease_s is None else self._broken_by_others()
            self._limits.check(fault, others, by_others=by_others)
            self._fleet.remember()
            self._journal.injecting(fault, **self._lasting(lease_s))
            self._mine.add(fault)
            self._watched()
            with self._unless_nothing_was_done(lambda: self._ended(fault)):
                self._limits.check_process(fault, self._fleet.state(fault.service))
                rest = iter(inject(self._tools(fault, lease_s, alone=not others), fault.service))
                wait_s = next(rest, None)
        while wait_s is not None:
            yield wait_s
            with self._turn():
                if fault not in self.open_faults():
                    return
                wait_s = next(rest, None)

    def plan(self, fault: Fault, *, lease_s: float) -> Plan:
        """What `inject` would do. It does nothing. Raises Refused if `inject` would, and FleetError."""
        self._limits.check(fault, self.open_faults(), by_others=self._broken_by_others())
        state = self._fleet.state(fault.service)
        if state is None:
            raise FleetError(f"{fault.service} has no container to break; next: mirr up")
        self._limits.check_process(fault, state)
        texts = texts_of(fault)
        return Plan(
            container=state.name,
            container_id=state.container_id,
            act=texts.happens,
            lasts_s=lease_s,
            revert=texts.reverts,
        )

    def end(self, fault: Fault) -> None:
        """Let the fault end by itself, without anybody's fix. `revert` removes what it leaves behind.

        Raises FleetError or CampaignError; the fault then stays in the journal."""
        with self._turn():
            form_of(fault).end(self._tools(fault, None, alone=True), fault.service)
            self._ended(fault)

    def deploy_sound(self, service: Service) -> None:
        """Make a harmless deploy: the next release, with nothing wrong in it. `revert` reverts it like any deploy."""
        with self._turn():
            self._fleet.remember()
            self._journal.deploying(service, SOUND_RELEASE, **self._lasting(None))
            self._watched()
            with self._unless_nothing_was_done(lambda: self._journal.undeployed(service)):
                deploy_over(self._fleet, service, SOUND_RELEASE)

    def change_traffic(self, change: TrafficChanges) -> None:
        """Let users come more or less often than usual, in place of the change before.

        It lasts while this process lives, and `revert` ends it. Raises Refused, JournalError or CampaignError."""
        with self._turn():
            self._journal.changing_traffic(change, **self._lasting(None))
            self._watched()
            self._campaigns.change_traffic(change, self._heartbeat.lease_s)
            self._heartbeat.hold_traffic()

    def burst(self, burst: Bursts) -> Iterator[float]:
        """Let a burst come to a service, in stages. Nothing happens before the first value is asked for.

        It ends by itself: its lease is as long as it is. Raises Refused, JournalError, FleetError or CampaignError."""
        ends_at = self._now() + burst.for_s
        with self._turn():
            if any(fault.service is burst.service for fault in self.open_faults()):
                raise Refused(f"{burst.service} is broken already, and a burst there would hide the fault")
            self._journal.bursting(burst.service, lease_s=burst.for_s, holder=self._lasting(None)["holder"])
            self._watched()
            rest = bursts.gather(self._burst_tools(ends_at), burst)
            wait_s = next(rest, None)
        while wait_s is not None and self._now() + wait_s < ends_at:
            yield wait_s
            with self._turn():
                if not self._bursts_on(burst.service):
                    return
                wait_s = next(rest, None)
        yield max(0.0, ends_at - self._now())
        with self._turn():
            if self._bursts_on(burst.service):
                self._campaigns.stop(campaign_id(bursts.SENDS, burst.service))
                self._journal.burst_ended(burst.service)

    def _bursts_on(self, service: Service) -> bool:
        return any(act.act is Act.BURST and act.service is service for act in self._journal.open_acts())

    @contextmanager
    def injected(self, fault: Fault) -> Iterator[None]:
        """A fault that reverts itself at the end of the block."""
        try:
            self.inject(fault)
            yield
        finally:
            self.revert()

    def lost_lease(self) -> str | None:
        """Why a fault or a change of traffic that this process began does not hold any more, or None. A burst that is
        over has held."""
        if self._heartbeat.lost is not None:
            return self._heartbeat.lost
        gone = self._mine - set(self.open_faults())
        return f"{min(map(str, gone))} was reverted by somebody else" if gone else None

    def open_faults(self) -> list[Fault]:
        """The faults that are injected and not reverted, as the journal on disk has them."""
        return [entry.fault for entry in self._journal.open_faults()]

    def standing_faults(self, *, skew_s: float = 0.0) -> list[Fault]:
        """Those of the open faults that the lab still has: somebody with another journal may have reverted them.

        `skew_s` is by how much the engine's clock is ahead of this machine's. Raises FleetError."""
        return standing(self._journal.open_faults(), self._fleet, self._campaigns, skew_s=skew_s)

    def revert(self) -> list[str]:
        """Revert everything, so the lab is as it was at first. Returns what was done, as texts. Raises NotReverted."""
        self._heartbeat.release()
        self._mine.clear()
        return self._reverter.revert()

    def restart(self, service: Service) -> None:
        """Give a service a new process because it prevents steady state, for example because its memory is full."""
        self._fleet.restart(service)

    def close(self) -> None:
        """Stop renewing leases. A fault that is still injected is reverted when its lease ends."""
        self._heartbeat.close()

    def _broken_by_others(self) -> list[Service]:
        known = {act.service for act in self._journal.open_acts()}
        return broken_by_others(known, self._fleet, self._campaigns)

    def _ended(self, fault: Fault) -> None:
        self._mine.discard(fault)
        self._journal.ended(fault)

    @contextmanager
    def _unless_nothing_was_done(self, close: Callable[[], None]) -> Iterator[None]:
        """An act that was refused before it did anything needs no revert, so the journal does not keep it open."""
        try:
            yield
        except (ImageMissing, Refused):
            close()
            raise

    @contextmanager
    def _turn(self) -> Iterator[None]:
        try:
            self._journal.folder.mkdir(parents=True, exist_ok=True)
        except OSError as error:
            raise nothing_was_done(f"the folder {self._journal.folder} cannot be made", error) from error
        with turn(self._journal.folder / TURN_FILE, timeout_s=INJECT_TURN_S) as got:
            if not got:
                raise Refused("somebody else is injecting or reverting in this lab; next: try again, or mirr revert")
            yield

    def _lasting(self, lease_s: float | None) -> _Lasting:
        """How long something lasts, for the journal. Without `lease_s`, this process begins to renew the lease."""
        if lease_s is not None:
            return {"lease_s": lease_s, "holder": None}
        try:
            self._heartbeat.watch()
        except OSError as error:
            raise nothing_was_done(f"the lease in {self._journal.folder} cannot be written", error) from error
        return {"lease_s": self._heartbeat.lease_s, "holder": self._heartbeat.holder}

    def _tools(self, fault: Fault, lease_s: float | None, *, alone: bool) -> Tools:
        return Tools(
            fleet=self._fleet,
            meter=self._meter,
            run_campaign=lambda campaign: self._run_campaign(campaign, lease_s),
            end_campaign=self._end_campaign,
            alone=alone,
            severity=severity_on_containers(fault),
        )

    def _burst_tools(self, ends_at: float) -> Tools:
        return Tools(
            fleet=self._fleet,
            meter=self._meter,
            run_campaign=lambda campaign: self._campaigns.start(campaign, max(0.1, ends_at - self._now())),
            end_campaign=self._end_campaign,
            alone=False,
            severity=0.0,
        )

    def _end_campaign(self, campaign_id: str) -> None:
        self._heartbeat.let_go(campaign_id)
        self._campaigns.stop(campaign_id)

    def _run_campaign(self, campaign: CampaignRequest, lease_s: float | None) -> None:
        self._campaigns.start(campaign, self._heartbeat.lease_s if lease_s is None else lease_s)
        if lease_s is None:
            self._heartbeat.hold(campaign)
