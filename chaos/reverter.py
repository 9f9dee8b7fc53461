"""Reverts everything that was injected or left broken in a lab.

It reads the containers and the journal on disk, and never the memory of the process that broke something. It needs
no telemetry.
"""

from __future__ import annotations

import time
from collections.abc import Callable, Collection, Iterable, Sequence
from concurrent.futures import ThreadPoolExecutor
from dataclasses import dataclass, replace

from mirr.chaos import bursts
from mirr.chaos.campaigns import Campaigns, campaign_id
from mirr.chaos.errors import CampaignError, ChaosError, FleetError, GeneratorAway, JournalError, NotReverted
from mirr.chaos.faults import all_forms, campaign_kinds, form_of
from mirr.chaos.fleet import Fleet, Part, ServiceState
from mirr.chaos.form import Mend
from mirr.chaos.journal import Act, Journal, OpenAct
from mirr.chaos.leases import MAX_LEASE_S
from mirr.chaos.turns import turn
from mirr.env.vocabulary import STEADY_RELEASE, Service
from mirr.lab.names import Role

TURN_S = 3.0
"""How long a revert waits for another injection or revert to finish. Then it starts without the turn: a process that
hangs while it holds the turn must not block the kill switch."""

TURN_FILE = "chaos.lock"

GENERATOR_STARTS_WITHIN_S = 4.0
"""How long a load generator that cannot be reached may still be starting. Then it is restarted: it may run, with its
campaigns, where this process cannot reach it."""

ENGINE_SETTLES_S = 1.0
"""From a mend that failed to its second try."""

_POLL_S = 0.2


@dataclass(frozen=True, kw_only=True)
class Step:
    """One thing that a revert does to one container."""

    container: str  # its name
    container_id: str | None  # None if the container is gone
    act: str  # as in "restart auth"
    done: str  # as in "restarted auth"
    do: Callable[[], None]


@dataclass(frozen=True, kw_only=True)
class _Need:
    """What one service needs, and the state that it is in."""

    service: Service
    mend: Mend
    state: ServiceState | None
    hung: bool


class Reverter:
    """Reverts one lab."""

    def __init__(
        self,
        fleet: Fleet,
        campaigns: Campaigns,
        journal: Journal,
        *,
        now: Callable[[], float] = time.time,
        sleep: Callable[[float], None] = time.sleep,
    ) -> None:
        self._fleet = fleet
        self._campaigns = campaigns
        self._journal = journal
        self._now = now
        self._sleep = sleep

    def revert(self) -> list[str]:
        """Restore the lab to what it was at first, no matter who broke it. Returns what was done, as texts.

        It does not wait until the services are ready.

        Campaigns end, users come as usual, stopped containers start, changed limits are set again, redeployed services
        are recreated. Raises NotReverted if something could not be reverted. Everything else is reverted even then, and
        the journal keeps what is open.
        """
        with turn(self._journal.folder / TURN_FILE, timeout_s=TURN_S):
            done = self._revert_services(tuple(Service))
            self._journal.reverted()
        return done

    def revert_expired(self) -> list[str]:
        """Revert what has outlived its lease. Reverts everything if nothing else is open. Raises NotReverted."""
        with turn(self._journal.folder / TURN_FILE, timeout_s=TURN_S):
            # Read this only after the turn is taken: somebody may have reverted and injected while we waited for it.
            open_acts = self._journal.open_acts()
            expired = [act for act in open_acts if act.until <= self._now()]
            if not expired:
                return []
            services = _changed(expired)
            if len(expired) == len(open_acts) or (services and services >= _changed(open_acts)):
                done = self._revert_services(tuple(Service))
                self._journal.reverted()
                return done
            done = self._revert_services(tuple(services)) if services else []
            done += self._end_around(expired)
            for act in expired:
                self._journal.over(act)
            return done

    def _end_around(self, expired: Sequence[OpenAct]) -> list[str]:
        """End what changed no container. Nobody looks at containers: what they are in may be another act's. Raises
        NotReverted."""
        try:
            for act in expired:
                if act.act is Act.BURST and act.service is not None:
                    self._campaigns.stop(campaign_id(bursts.SENDS, act.service))
            return self._reset_traffic() if any(act.act is Act.TRAFFIC for act in expired) else []
        except CampaignError as error:
            raise NotReverted([str(error)], []) from error

    def _reset_traffic(self) -> list[str]:
        return ["set the users' traffic back to its usual rate"] if self._campaigns.reset_traffic() else []

    def plan(self) -> list[Step]:
        """What `revert` would do. It does nothing. Raises FleetError."""
        parts = self._fleet.parts()
        steps = [self._part_step(part) for part in parts if _unfit(part)]
        acts = self._open_acts()
        for service in Service:
            steps += self._mending(self._need(service, parts, parts, acts))
        return steps

    def _revert_services(self, services: Sequence[Service]) -> list[str]:
        parts = self._fleet.parts()
        unfit = [part for part in parts if _unfit(part)]
        done, problems = self._run([[self._part_step(part)] for part in unfit])
        # Mending may have made a container anew. What lives in it has to follow.
        mended = self._fleet.parts() if unfit else parts
        acts = self._open_acts()
        new_generator = any(part.role is Role.TRAFFIC and _ailment(part) in _NEW_PROCESS for part in unfit)
        with ThreadPoolExecutor(max_workers=len(Service) + 1) as pool:
            campaigns = pool.submit(self._stop_campaigns, mended, services, new_generator)
            for steps, failed in pool.map(lambda service: self._mend(service, parts, mended, acts), services):
                done += steps
                problems += failed
            ended, words, failed = campaigns.result()
        done += words
        problems += failed
        for more, failed in map(_in_turn, self._after_campaigns(ended, acts)):
            done += more
            problems += failed
        if problems:
            raise NotReverted(problems, done)
        return done

    def _open_acts(self) -> list[OpenAct] | None:
        """What the journal holds, or None if it cannot be read."""
        try:
            return self._journal.open_acts()
        except JournalError:
            return None

    def _run(self, chains: Sequence[Sequence[Step]]) -> tuple[list[str], list[str]]:
        """Run chains of steps side by side. Returns what was done and what failed, as texts."""
        done: list[str] = []
        problems: list[str] = []
        if chains:
            with ThreadPoolExecutor(max_workers=len(chains)) as pool:
                for mended, failed in pool.map(_in_turn, chains):
                    done += mended
                    problems += failed
        return done, problems

    def _part_step(self, part: Part) -> Step:
        verb, past = _PART_MENDS[_ailment(part)]
        return Step(
            container=part.name,
            container_id=part.container_id,
            act=verb.format(part),
            done=past.format(part),
            do=lambda: self._fleet.mend(part),
        )

    def _mend(
        self, service: Service, parts: Sequence[Part], mended: Sequence[Part], acts: Collection[OpenAct] | None
    ) -> tuple[list[str], list[str]]:
        """Mend one service. Returns what was done and what failed, as texts."""
        done, problems = self._mend_once(service, parts, mended, acts)
        if not problems:
            return done, []
        # The engine may still do what an interrupted command asked of it, such as removing a container.
        self._sleep(ENGINE_SETTLES_S)
        more, problems = self._mend_once(service, parts, mended, acts)
        return done + more, problems

    def _mend_once(
        self, service: Service, parts: Sequence[Part], mended: Sequence[Part], acts: Collection[OpenAct] | None
    ) -> tuple[list[str], list[str]]:
        try:
            need = self._need(service, parts, mended, acts)
        except ChaosError as error:
            return [], [str(error)]
        return _in_turn(self._mending(need))

    def _need(
        self, service: Service, parts: Sequence[Part], mended: Sequence[Part], acts: Collection[OpenAct] | None
    ) -> _Need:
        """What the service needs. `parts` is how the rest of the lab was found, `mended` how it is now."""
        state = self._fleet.state(service)
        sandbox, home = (next((part for part in found if part.service is service), None) for found in (parts, mended))
        need = Mend.RESTART if sandbox is not None and not sandbox.running else Mend.NOTHING
        if acts is None:
            need = Mend.RESTART  # assume the worst thing that cannot be seen: a process may hold a leak
        for act in acts or ():
            if act.service is service and act.fault is not None:
                need = max(need, form_of(act.fault).mend)
        hung = False
        if state is None or state.redeployed or state.strays or state.release != STEADY_RELEASE:
            need = Mend.RECREATE
        elif (sandbox is not None and sandbox.container_id is None) or _homeless(state, home):
            need = Mend.RECREATE  # a container cannot move into another sandbox
        elif not state.running or self._stranded(service, state, home):
            need = max(need, Mend.RESTART)
        elif need is Mend.NOTHING:
            hung = state.hung
        return _Need(service=service, mend=Mend.RESTART if hung else need, state=state, hung=hung)

    def _stranded(self, service: Service, state: ServiceState, sandbox: Part | None) -> bool:
        """Whether the service lives in a network namespace that its sandbox has left."""
        if sandbox is None or state.started_at >= sandbox.namespace_since:
            return False
        return self._fleet.stranded(service)  # the clock may have been set back, so it is looked at

    def _mending(self, need: _Need) -> list[Step]:
        service, state = need.service, need.state
        name, identity = (state.name, state.container_id) if state is not None else (service.value, None)

        def step(act: str, done: str, do: Callable[[], None]) -> Step:
            return Step(container=name, container_id=identity, act=act, done=done, do=do)

        if need.mend is Mend.RECREATE:
            return [
                step(
                    f"recreate {service} at release {STEADY_RELEASE}, with fresh data",
                    f"recreated {service} at release {STEADY_RELEASE}",
                    lambda: self._fleet.recreate(service, STEADY_RELEASE),
                )
            ]
        steps = []
        if state is not None and state.paused:
            steps.append(step(f"unpause {service}", f"unpaused {service}", lambda: self._let_go_on(service)))
        if state is not None and state.cpu_quota_us != state.steady_cpu_quota_us:
            quota_us = state.steady_cpu_quota_us
            steps.append(
                step(
                    f"give {service} its steady CPU quota back",
                    f"gave {service} its steady CPU quota back",
                    lambda: self._fleet.resize(service, quota_us),
                )
            )
        if state is not None and state.drifted:
            what = f"{service} its limits back ({', '.join(state.drifted)})"
            steps.append(step(f"give {what}", f"gave {what}", lambda: self._reset_limits(service)))
        if need.mend is Mend.RESTART:
            hung = ", which hung" if need.hung else ""
            steps.append(
                step(f"restart {service}{hung}", f"restarted {service}{hung}", lambda: self._fleet.restart(service))
            )
        return steps

    def _let_go_on(self, service: Service) -> None:
        self._fleet.unpause(service)
        state = self._fleet.state(service)
        if state is not None and state.hung:  # nobody could see this while the container was paused
            self._fleet.restart(service)

    def _reset_limits(self, service: Service) -> None:
        try:
            self._fleet.reset_limits(service)
        except FleetError:
            # An update cannot set every limit, e.g. not a memory limit below what is in use.
            self._fleet.recreate(service, STEADY_RELEASE)

    def _stop_campaigns(
        self, parts: Sequence[Part], services: Collection[Service], new_generator: bool
    ) -> tuple[list[str], list[str], list[str]]:
        """The ids of the campaigns that ran and were ended, and what was done and what failed, as texts."""
        if new_generator:
            return [], [], []  # a new generator has no campaigns, and does not answer yet
        try:
            ended = self._ask_to_stop(services)
            done = [f"ended {len(ended)} campaign(s)"] if ended else []
            if len(services) == len(Service):
                done += self._reset_traffic()
            return ended, done, []
        except CampaignError as error:
            # A generator that hangs, or that this process cannot reach, would send its campaigns until their leases
            # end. A new process has none.
            generators = [part for part in parts if part.role is Role.TRAFFIC]
            done, problems = self._run(
                [[self._part_step(replace(part, hung=True, paused=False))] for part in generators]
            )
            so = f"it could not be restarted either, so its campaigns may run for up to {MAX_LEASE_S:g} s"
            return [], done, [f"{error}; {so}: {one}" for one in problems]

    def _after_campaigns(self, ended: Collection[str], acts: Collection[OpenAct] | None) -> list[list[Step]]:
        """What the services need after campaigns that are not in our journal: somebody with another one began them."""
        if acts is None:
            return []  # every service was restarted
        known = _changed(acts)
        sent = {(form.sends, form.mend) for form in all_forms().values() if form.sends is not None}
        return [
            [self._restart_step(service)]
            for service in Service
            for kind, mend in sent
            if mend >= Mend.RESTART and campaign_id(kind, service) in ended and service not in known
        ]

    def _restart_step(self, service: Service) -> Step:
        return Step(
            container=service.value,
            container_id=None,
            act=f"restart {service}",
            done=f"restarted {service}",
            do=lambda: self._fleet.restart(service),
        )

    def _ask_to_stop(self, services: Collection[Service]) -> list[str]:
        for _ in range(round(GENERATOR_STARTS_WITHIN_S / _POLL_S)):
            try:
                return self._stop_of(services)
            except GeneratorAway:
                self._sleep(_POLL_S)  # it may have started just now
        return self._stop_of(services)

    def _stop_of(self, services: Collection[Service]) -> list[str]:
        if len(services) == len(Service):
            return self._campaigns.stop_all()
        for service in services:
            for kind in campaign_kinds():
                self._campaigns.stop(campaign_id(kind, service))
        return []


_PART_MENDS = {
    "gone": ("recreate {}", "recreated {}"),
    "down": ("start {}", "started {}"),
    "paused": ("unpause {}", "unpaused {}"),
    "hung": ("restart {}, which does not answer", "restarted {}, which did not answer"),
    "misjoined": ("join {} to its network again", "joined {} to its network again"),
    "drifted": ("give {} its limits back", "gave {} its limits back"),
}

_NEW_PROCESS = ("gone", "down", "hung")
"""What a part that is mended has a new process after."""


def _ailment(part: Part) -> str:
    if part.container_id is None:
        return "gone"
    if part.hung:
        return "hung"
    if part.paused:
        return "paused"
    if not part.running:
        return "down"
    return "misjoined" if part.misjoined else "drifted"


def _unfit(part: Part) -> bool:
    broken = part.container_id is None or not part.running or part.paused or part.hung
    return broken or bool(part.drifted or part.misjoined)


def _changed(acts: Iterable[OpenAct]) -> set[Service]:
    """The services whose containers the acts have changed."""
    return {act.service for act in acts if act.changes_containers and act.service is not None}


def _homeless(state: ServiceState, sandbox: Part | None) -> bool:
    """Whether the service was made to live in a container that is not its sandbox any more."""
    return sandbox is not None and sandbox.container_id not in (None, state.sandbox_id)


def _in_turn(steps: Iterable[Step]) -> tuple[list[str], list[str]]:
    """Run the steps one after the other. Stop at the first that fails."""
    done: list[str] = []
    for step in steps:
        try:
            step.do()
        except ChaosError as error:
            return done, [str(error)]
        done.append(step.done)
    return done, []
