"""Puts together the parts that work on one lab: engine, containers, chaos, telemetry. Every command uses these."""

from __future__ import annotations

import uuid
from contextlib import ExitStack
from dataclasses import dataclass
from functools import cache, partial

from mirr.bridge.docker_world import DockerWorld, Patience
from mirr.bridge.load import LoadMeter
from mirr.bridge.prometheus import PrometheusReader
from mirr.bridge.telemetry import Telemetry
from mirr.chaos import reaper
from mirr.chaos.campaigns import Heartbeat, HttpCampaigns
from mirr.chaos.chaos import Chaos
from mirr.chaos.docker_fleet import DockerFleet
from mirr.chaos.errors import FleetError
from mirr.chaos.journal import Journal
from mirr.chaos.leases import LeaseFile
from mirr.chaos.limits import Limits
from mirr.chaos.open_reverter import open_reverter
from mirr.chaos.reverter import Reverter
from mirr.env.vocabulary import Service
from mirr.lab.clock import EngineClock
from mirr.lab.containers import LabContainers
from mirr.lab.engine import connect
from mirr.lab.images import ensure_release
from mirr.lab.lock import hold
from mirr.lab.loopback import direct_session
from mirr.lab.ports import refuse_unreachable
from mirr.lab.state import state_dir


@dataclass(frozen=True, kw_only=True)
class Parts:
    """What works on one lab."""

    containers: LabContainers
    fleet: DockerFleet
    chaos: Chaos
    telemetry: Telemetry
    clock: EngineClock  # that of the containers, and so of their logs and measurements


def assemble(lab: str, *, limits: Limits | None = None) -> Parts:
    """The parts for a lab that is up. `limits` says how much may be broken at once.

    Raises LabError if no engine answers or the lab is not there."""
    client = connect()
    containers = LabContainers(client, lab)
    refuse_unreachable(containers)
    prometheus_url, traffic_url = containers.prometheus_url, containers.traffic_url
    # This comes after the lab was found, because a lab that does not exist must not get a folder.
    folder = state_dir(lab)
    journal = Journal(folder)
    fleet = DockerFleet(client.api, lab, journal, build=partial(ensure_release, client))

    @cache
    def steady_cpu_quota_cores(service: Service) -> float:
        state = fleet.state(service)
        if state is None:
            raise FleetError(f"{service} has no container in lab {lab}; next: mirr up --lab {lab}")
        return state.steady_cpu_quota_us / state.cpu_period_us

    clock = EngineClock.of(client)
    telemetry = Telemetry(
        PrometheusReader(prometheus_url, direct_session()), steady_cpu_quota_cores=steady_cpu_quota_cores
    )
    campaigns = HttpCampaigns(traffic_url, direct_session())
    # It has a session of its own, because two threads must not share connections.
    lease = LeaseFile(folder, uuid.uuid4().hex[:12])
    heartbeat = Heartbeat(HttpCampaigns(traffic_url, direct_session()), lease=lease)
    chaos = Chaos(
        fleet,
        campaigns,
        journal,
        heartbeat,
        LoadMeter(
            telemetry,
            steady_quota_cores=steady_cpu_quota_cores,
            calm=journal.calm,
            traffic=journal.traffic,
            skew_s=clock.skew_s,
        ),
        limits=limits,
        watched=partial(reaper.ensure, lab, folder),
    )
    return Parts(containers=containers, fleet=fleet, chaos=chaos, telemetry=telemetry, clock=clock)


def prometheus_of(lab: str) -> PrometheusReader:
    """The Prometheus of a lab that is up. Raises LabError."""
    return PrometheusReader(LabContainers(connect(), lab).prometheus_url, direct_session())


def assemble_reverter(lab: str, *, answer_s: int | None = None) -> Reverter:
    """The reverter of the lab. It also works if only a part of the lab is left. `answer_s` limits how many seconds
    one answer of the engine may take. Raises LabError."""
    return open_reverter(connect(answer_s=answer_s), lab)


def open_docker_world(lab: str, *, what: str = "mirr episode", patience: Patience | None = None) -> DockerWorld:
    """The lab as a World, held for `what` until it is closed. Raises LabError if it is not up or in use."""
    with ExitStack() as stack:
        reverted = stack.enter_context(hold(lab, what))
        parts = assemble(lab)
        return DockerWorld(
            fleet=parts.fleet,
            chaos=parts.chaos,
            telemetry=parts.telemetry,
            wall_clock=parts.clock.now,
            held=stack.pop_all(),
            reverted=reverted,
            patience=patience,
            lab=lab,
        )
