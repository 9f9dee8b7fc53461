"""Chaos and a World on a fake lab."""

from __future__ import annotations

from mirr.bridge.docker_world import DockerWorld
from mirr.chaos.campaigns import Heartbeat
from mirr.chaos.chaos import Chaos
from mirr.chaos.journal import Journal
from mirr.chaos.limits import Limits
from tests.fakes.campaigns import FakeCampaigns
from tests.fakes.lab import FakeLab
from tests.fakes.meter import FakeMeter


def fake_chaos(lab: FakeLab, journal: Journal, *, limits: Limits | None = None) -> Chaos:
    """Chaos on a FakeLab."""
    campaigns = FakeCampaigns(lab)
    return Chaos(
        lab,
        campaigns,
        journal,
        Heartbeat(campaigns),
        FakeMeter(lab),
        limits=limits,
        sleep=lab.clock.sleep,
        now=lab.clock.now,
    )


def fake_docker_world(lab: FakeLab, journal: Journal) -> DockerWorld:
    """A DockerWorld on a FakeLab with the clock of the FakeLab."""
    return DockerWorld(
        fleet=lab,
        chaos=fake_chaos(lab, journal),
        telemetry=lab,
        now=lab.clock.now,
        sleep=lab.clock.sleep,
        wall_clock=lab.clock.now,
    )
