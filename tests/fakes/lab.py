"""A fake lab: its containers, its users and what is measured there.

Its model is simple: it only has to tell a right fix from a wrong one.
"""

from __future__ import annotations

import json
from collections.abc import Iterable
from dataclasses import replace
from datetime import UTC, datetime

import numpy as np

from mirr.bridge.telemetry import Window
from mirr.chaos.campaigns import CampaignRequest
from mirr.chaos.errors import FleetError, ImageMissing
from mirr.chaos.faults import costly, crowd, errors, leak
from mirr.chaos.fleet import Part, ServiceState
from mirr.chaos.load import Load
from mirr.chaos.traffic import USUAL, level_after
from mirr.env.objectives import SERVICE_ROW
from mirr.env.vocabulary import CALLS, STEADY_RELEASE, Journey, Service, TrafficChanges
from mirr.env.world import FEATURES_SHAPE, JourneyCount, Snapshot, WorldError
from mirr.lab.names import Role
from mirr.lab.releases import shown
from tests.fakes.clock import FakeClock
from tests.fakes.service import QUOTA_US, FakeService, support_parts
from tests.faulty_releases import is_slow, kept_at_boot, kept_per_s, lives_s

BOOT_S = 2.0
LEAK_SHARE_PER_S = 0.05


class FakeLab:
    """Fleet, Campaigns, Measures and Meter in one class, because all of them use the same containers."""

    def __init__(self, clock: FakeClock) -> None:
        self.clock = clock
        self.services = {service: FakeService() for service in Service}
        self.running_campaigns: dict[str, tuple[CampaignRequest, float]] = {}  # id → campaign, when its lease ends
        self.engine_gone = False
        self.prometheus_gone = False
        self.support = {part.name: part for part in support_parts()}
        self.missing_images: set[tuple[Service, str]] = set()
        self.beyond_repair: set[str] = set()  # names of containers that cannot be mended
        self.generator_hangs = False
        self.generator_answers_from = 0.0  # it starts, and cannot be reached before this time
        self.generator_elsewhere = False  # it runs where this process cannot reach it
        self.traffic: tuple[TrafficChanges, float, float] | None = None  # a change, when it began, when its lease ends
        self.deploy_s = 0.0  # how long a deploy takes
        self.leases_end = False  # False: no thread renews the leases on a fake clock, so they do not end
        self.acts = 0  # the number of acts on containers
        self.steady_rate = 20.0  # requests a second of each service
        self.steady_cpu_cores = 0.1
        self.crowd_request_s = 0.004  # CPU seconds of one request of a flash crowd
        self.costly_request_s = 0.06
        self.measured = True  # whether what users ask for was ever measured

    # Fleet

    def state(self, service: Service) -> ServiceState | None:
        self._check_engine()
        self._settle()
        own = self.services[service]
        return ServiceState(
            running=own.running,
            oom_killed=own.oom_killed,
            release=own.release,
            previous_release=own.previous,
            redeployed=own.redeployed,
            cpu_quota_us=own.quota_us,
            steady_cpu_quota_us=QUOTA_US,
            cpu_period_us=50_000,
            memory_limit_bytes=192 << 20,
            strays=own.strays,
            name=f"lab_{service}_1",
            container_id=f"{service}0123456789abcdef",
            paused=own.paused,
            hung=own.hung and not own.paused,
            drifted=own.drifted,
            sandbox_id=own.sandbox_id or f"{service}-net",
            started_at=own.started_at,
        )

    def kill(self, service: Service, signal: str = "SIGKILL") -> None:
        self._check_engine()
        self.acts += 1
        assert signal in ("SIGKILL", "SIGTERM"), f"this lab does not know {signal}"
        self.services[service].running = False

    def freeze(self, service: Service) -> None:
        self._check_engine()
        self.acts += 1
        self.services[service].hung = True

    def thaw(self, service: Service) -> None:
        self._check_engine()
        self.acts += 1
        self.services[service].hung = False

    def restart(self, service: Service) -> None:
        self._check_engine()
        self.acts += 1
        self._boot(service)

    def resize(self, service: Service, cpu_quota_us: int) -> None:
        self._check_engine()
        self.acts += 1
        self.services[service].quota_us = cpu_quota_us

    def deploy(self, service: Service, release: str, *, previous: str | None) -> None:
        self._check_engine()
        self._check_image(service, release)
        self.acts += 1
        self.clock.sleep(self.deploy_s)
        own = self.services[service]
        own.release, own.previous, own.redeployed = release, previous, True
        self._boot(service)

    def recreate(self, service: Service, release: str) -> None:
        self._check_engine()
        self._check_image(service, release)
        self.acts += 1
        self.services[service] = FakeService(release=release, sandbox_id=self._sandbox(service).container_id)
        self._boot(service)

    def stranded(self, service: Service) -> bool:
        self._check_engine()
        return self.services[service].stranded

    def restart_sandbox(self, service: Service) -> None:
        """What `docker restart` does to a sandbox: it gets another network namespace, and the service stays behind."""
        sandbox = self._sandbox(service)
        self.support[sandbox.name] = replace(sandbox, namespace_since=self.clock.now())
        self.services[service].stranded = True

    def _sandbox(self, service: Service) -> Part:
        return next(part for part in self.support.values() if part.service is service)

    def unpause(self, service: Service) -> None:
        self._check_engine()
        self.acts += 1
        self.services[service].paused = False

    def reset_limits(self, service: Service) -> None:
        self._check_engine()
        self.acts += 1
        self.services[service].drifted = ()

    def parts(self) -> list[Part]:
        self._check_engine()
        return list(self.support.values())

    def mend(self, part: Part) -> None:
        self._check_engine()
        self.acts += 1
        if part.name in self.beyond_repair:
            raise FleetError(f"could not mend {part}: no such image; next: mirr doctor")
        anew = part.container_id is None or part.hung or not part.running
        if part.role is Role.TRAFFIC and anew:
            self.running_campaigns.clear()  # a new process has no campaigns
            self.traffic = None
            self.generator_hangs = False
        self.support[part.name] = Part(
            role=part.role,
            service=part.service,
            name=part.name,
            container_id=part.container_id or "recreated",
            namespace_since=self.clock.now() if anew else part.namespace_since,
        )

    def remember(self) -> None:
        return

    def logs(self, service: Service, *, since: float, tail: int) -> list[str]:
        self._check_engine()
        return [line for at, line in self.services[service].lines if at >= since][-tail:]

    # Campaigns

    def start(self, campaign: CampaignRequest, lease_s: float) -> None:
        self.acts += 1
        self.running_campaigns[campaign.id] = (campaign, self._lease_end(lease_s))
        self.services[campaign.service].born_at = self.clock.now()

    def renew_lease(self, campaign: CampaignRequest, lease_s: float) -> bool:
        self.end_leases()
        if campaign.id not in self.running_campaigns:
            return False
        self.running_campaigns[campaign.id] = (
            self.running_campaigns[campaign.id][0],
            self._lease_end(lease_s),
        )
        return True

    def end_leases(self) -> None:
        """End the campaigns whose lease is over."""
        now = self.clock.now()
        self.running_campaigns = {key: one for key, one in self.running_campaigns.items() if one[1] > now}

    def _lease_end(self, lease_s: float) -> float:
        return self.clock.now() + (lease_s if self.leases_end else 1e9)

    def stop_all(self) -> list[str]:
        ended = list(self.running_campaigns)
        self.running_campaigns.clear()
        return ended

    # Traffic

    def change_traffic(self, change: TrafficChanges, lease_s: float) -> None:
        self.acts += 1
        self.traffic = change, self.clock.now(), self._lease_end(lease_s)

    def renew_traffic(self, lease_s: float) -> bool:
        if self.traffic is None or self.clock.now() >= self.traffic[2]:
            return False
        self.traffic = *self.traffic[:2], self._lease_end(lease_s)
        return True

    def reset_traffic(self) -> bool:
        changed, self.traffic = self.traffic is not None and self.clock.now() < self.traffic[2], None
        return changed

    @property
    def level(self) -> float:
        """How often users come, times the usual rate."""
        if self.traffic is None or self.clock.now() >= self.traffic[2]:
            return USUAL
        return level_after(self.traffic[0], self.clock.now() - self.traffic[1])

    # Measures

    def open_window(self) -> Window:
        return Window()

    def measure(self, window: Window) -> Snapshot:
        if self.prometheus_gone:
            raise WorldError("Prometheus at http://fake does not answer: gone; next: mirr up")
        self._settle()
        features = np.full(FEATURES_SHAPE, np.nan)
        for service in Service:
            features[SERVICE_ROW[service]] = self._row(service)
        journeys = {
            Journey.BROWSE: self._journey(30, (Service.GATEWAY, Service.INVENTORY)),
            Journey.SIGN_IN: self._journey(12, (Service.GATEWAY, Service.AUTH)),
            Journey.CHECK_OUT: self._journey(18, tuple(Service)),
        }
        degraded = {
            service: f"runs release {shown(own.release)}, steady is {STEADY_RELEASE}"
            for service, own in self.services.items()
            if own.release != STEADY_RELEASE and service not in window.sound
        }
        return Snapshot(features=features, journeys=journeys, degraded=degraded)

    def last(self, seconds: float) -> Snapshot:
        return self.measure(Window())

    # Meter

    def usual_load(self) -> Load | None:
        load = Load(cpu_cores=self.steady_cpu_cores, served_rate=self.steady_rate, quota_cores=QUOTA_US / 50_000)
        return load.times(self.level) if self.measured else None

    def last_load(self, service: Service) -> Load | None:
        if not self._answers(service):
            return None
        running = [one for one, _ in self.running_campaigns.values() if one.service is service]
        costly_rate = sum(one.rate_per_s for one in running if one.kind == costly.SENDS)
        rate = sum(one.rate_per_s for one in running) - costly_rate
        quota_cores = self.services[service].quota_us / 50_000
        work_cores = self._asked_cores(service)
        share = min(1.0, quota_cores / work_cores) if work_cores else 0.0
        return Load(
            cpu_cores=min(work_cores, quota_cores),
            served_rate=share * (self._users(service) * self.steady_rate + rate + costly_rate),
            quota_cores=quota_cores,
            served_by_route={costly.EXPENSIVE[service].route: share * costly_rate},
        )

    # Model

    def _check_engine(self) -> None:
        if self.engine_gone:
            raise FleetError("could not reach the engine: gone; next: mirr doctor")

    def _check_image(self, service: Service, release: str) -> None:
        if (service, release) in self.missing_images:
            raise ImageMissing(f"image mirr/{service}:{release} is missing, so {service} of lab fake was left as it is")

    def _boot(self, service: Service) -> None:
        own = self.services[service]
        own.running, own.oom_killed, own.kept_share = True, False, 0.0
        own.paused = own.hung = own.stranded = False
        own.started_at = self.clock.now()
        own.ready_at = own.born_at = self.clock.now() + BOOT_S
        own.boots += own.release != STEADY_RELEASE
        own.spoiled += errors.RELEASE.severity_of(own.release) * (1.0 - own.spoiled)
        stamp = datetime.fromtimestamp(self.clock.now(), UTC).isoformat()
        line = {"timestamp": stamp, "level": "INFO", "service": service, "event": "started"}
        line["release"] = shown(own.release)
        own.lines.append((self.clock.now(), json.dumps(line)))

    def _campaign(self, service: Service, kind: str) -> bool:
        return any(one.service is service and one.kind == kind for one, _ in self.running_campaigns.values())

    def _settle(self) -> None:
        for service, own in self.services.items():
            if own.running and self._memory(service) >= 1.0:
                own.running, own.oom_killed = False, True
            if self.clock.now() >= own.ready_at + lives_s(own.release, own.boots):
                own.running = False

    def _memory(self, service: Service) -> float:
        own = self.services[service]
        grows_per_s = kept_per_s(own.release)
        if self._campaign(service, leak.SENDS):
            grows_per_s += LEAK_SHARE_PER_S
        share = 0.3 + own.kept_share + kept_at_boot(own.release, own.boots)
        return share + grows_per_s * max(0.0, self.clock.now() - own.born_at)

    def _answers(self, service: Service) -> bool:
        own = self.services[service]
        return own.running and not own.hung and self.clock.now() >= own.ready_at

    def _asked_cores(self, service: Service) -> float:
        """The CPU that users and campaigns ask of the service."""
        return self._users(service) * self.steady_cpu_cores + self._campaign_load(service)[1]

    def _campaign_load(self, service: Service) -> tuple[float, float]:
        """The requests a second of the crowds on the service, and the CPU that they ask for."""
        rates = {crowd.SENDS: 0.0, costly.SENDS: 0.0}
        for campaign, _ in self.running_campaigns.values():
            if campaign.service is service and campaign.kind in rates:
                rates[campaign.kind] += campaign.rate_per_s
        cores = self.crowd_request_s * rates[crowd.SENDS] + self.costly_request_s * rates[costly.SENDS]
        return sum(rates.values()), cores

    def _users(self, service: Service) -> float:
        """How often users come to the service, times the usual rate."""
        return self.level if self._reached(service) else 0.0

    def _reached(self, service: Service) -> bool:
        """Whether users come to the service, by one of its callers that answers."""
        callers = [caller for caller, called in CALLS.items() if service in called]
        return not callers or any(self._answers(caller) and self._reached(caller) for caller in callers)

    def _own_errors(self, service: Service) -> float:
        own = self.services[service]
        if not self._answers(service) or own.full_disk:
            return 1.0
        crowded = self._asked_cores(service) > own.quota_us / 50_000
        spoiled = own.spoiled if errors.RELEASE.severity_of(own.release) else 0.0
        return max(0.3 if crowded or is_slow(own.release) else 0.0, spoiled)

    def _errors(self, service: Service) -> float:
        return max([self._own_errors(service), *(self._errors(upstream) for upstream in CALLS[service])])

    def _row(self, service: Service) -> list[float]:
        if not self._answers(service):
            return [0.0] + [float("nan")] * 6
        crowded = self._own_errors(service) == 0.3
        rate, crowd_cores = self._campaign_load(service)
        cpu_share = 0.33 * self.level + crowd_cores / (self.services[service].quota_us / 50_000)
        latency_p95_s, cpu_share, in_flight = (0.4, 1.0, 48.0) if crowded else (0.02, cpu_share, 1.0)
        asked = 20.0 * self.level + rate
        return [1.0, asked, self._errors(service), latency_p95_s, cpu_share, self._memory(service), in_flight]

    def _journey(self, requests: int, along: Iterable[Service]) -> JourneyCount:
        worst = max(self._own_errors(service) for service in along)
        asked = round(requests * self.level)
        return JourneyCount(requests=asked, failed=round(asked * worst))
