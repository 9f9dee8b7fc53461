"""What goes on around an incident, on the real lab: it does what it should, and reveals nothing.

`MIRR_AUDIT_HARD` is the number of episodes of `hard` that are played, with many deploys and with one in turn. One more
episode, with one deploy, has the events of this module.
"""

from __future__ import annotations

import os
from collections.abc import Iterator
from dataclasses import dataclass
from itertools import count

import pytest

from mirr.bridge.assembly import open_docker_world
from mirr.bridge.docker_world import DockerWorld
from mirr.bridge.traces import campaigns, level
from mirr.env.objectives import FEATURE_COLUMN, OBJECTIVES, SERVICE_ROW, service_breaches
from mirr.env.scenario import EpisodeConfig, Scenario, Scheduled
from mirr.env.vocabulary import (
    Action,
    Breaks,
    Bursts,
    CheckLogs,
    Deploys,
    Fault,
    Feature,
    Rollback,
    Service,
    Tier,
    TrafficChanges,
    Wait,
)
from mirr.env.world import Snapshot
from mirr.lab.containers import LabContainers
from mirr.lab.engine import connect
from tests.audit.auditor import findings
from tests.audit.channels import AROUND, OBVIOUS_S, revealing_channels
from tests.audit.hard import deploys, hard
from tests.audit.plays import logs
from tests.audit.transcript import Transcript, record

pytestmark = pytest.mark.docker

HARD_EPISODES = int(os.environ.get("MIRR_AUDIT_HARD", "1"))
LEVEL = 1.3
STEP_S = 2.0
USUAL_USERS_PER_S = 38.0  # traffic/users.py
SCENARIO = Scenario(
    seed=1,
    timeline=(
        Scheduled(0, TrafficChanges(LEVEL, LEVEL)),
        Scheduled(0, Deploys(Service.AUTH)),
        Scheduled(1, Bursts(Service.INVENTORY, 0.25, 6.0)),
        Scheduled(5, Breaks(Fault.parse("overloaded@1.4:payments"))),
    ),
    tier=Tier.HARD,
)
CONFIG = EpisodeConfig(step_s=STEP_S, max_steps=80, none_diagnosis=True)


@dataclass(frozen=True, kw_only=True)
class Around:
    """The episode of SCENARIO, and what the load generator did."""

    transcript: Transcript
    level: float  # of the users, in the episode
    running: list[str]  # campaigns at the end of the episode
    left: tuple[float, list[str]]  # level and campaigns after a restore

    @property
    def windows(self) -> tuple[Snapshot, ...]:
        """What was measured in the steps: without a look while the deploy settles, and without the reset."""
        return self.transcript.measured[2:]


class Plays:
    """All episodes, played in one world."""

    def __init__(self, world: DockerWorld, traffic_url: str) -> None:
        self._world = world
        self._url = traffic_url
        many = (seed for seed in count() if deploys(hard(seed)) >= 4)
        one = (seed for seed in count() if deploys(hard(seed)) == 1)
        seeds = [next((many, one)[number % 2]) for number in range(HARD_EPISODES)]
        self.hard = [record(world, hard(seed), logs(seed), name="lab", config=CONFIG) for seed in seeds]
        self.around = self.play_around()

    def play_around(self) -> Around:
        """Play SCENARIO, and restore the lab."""
        looked: list[tuple[float, list[str]]] = []

        def look() -> None:
            looked.append((level(self._url), campaigns(self._url)))

        def actions() -> Iterator[Action]:
            yield from (Wait(), CheckLogs(Service.INVENTORY), CheckLogs(Service.PAYMENTS))
            yield from (CheckLogs(Service.AUTH), Wait())
            look()
            yield Rollback(Service.AUTH)

        transcript = record(self._world, SCENARIO, actions(), name="lab", config=CONFIG)
        self._world.restore(0)
        look()
        (users, running), left = looked
        self.around = Around(transcript=transcript, level=users, running=running, left=left)
        return self.around


@pytest.fixture(scope="module")
def plays(real_lab: str) -> Iterator[Plays]:
    world = open_docker_world(real_lab, what="pytest")
    try:
        yield Plays(world, LabContainers(connect(), real_lab).traffic_url)
    finally:
        world.close()


def feature(snapshot: Snapshot, service: Service, of: Feature) -> float:
    return float(snapshot.features[SERVICE_ROW[service], FEATURE_COLUMN[of]])


def test_nothing_reveals_the_surroundings(plays: Plays) -> None:
    transcripts = [*plays.hard, plays.around.transcript]
    assert [finding for one in transcripts for finding in findings(one)] == []
    assert revealing_channels(transcripts, AROUND) == []
    resets_s = [one.seen[0].took_s for one in transcripts]
    assert max(resets_s) - min(resets_s) < OBVIOUS_S


def test_users_come_more_often_and_a_burst_harms_nobody_and_both_are_over_after_the_episode(
    plays: Plays, request: pytest.FixtureRequest
) -> None:
    around = plays.play_around() if getattr(request.node, "execution_count", 1) > 1 else plays.around
    seen = around.windows[:5]
    assert around.level == LEVEL
    users_per_s = sum(one.requests for one in seen[:4]) / (4 * STEP_S)
    assert users_per_s == pytest.approx(LEVEL * USUAL_USERS_PER_S, rel=0.12)
    rates = [feature(one, Service.INVENTORY, Feature.REQUEST_RATE) for one in seen]
    # One window has some 90 requests, which scatter by 10. So two windows with the burst are compared to two more.
    assert (rates[1] + rates[2]) / 2 > (rates[0] + rates[4]) / 2 + 5.0
    for one in seen[:4]:
        assert one.user_sli >= OBJECTIVES.user_sli
        assert feature(one, Service.INVENTORY, Feature.ERROR_RATIO) <= OBJECTIVES.error_ratio
        assert feature(one, Service.INVENTORY, Feature.LATENCY_P95_S) <= OBJECTIVES.latency_p95_s
    # A slow machine is near its limit in a single window.
    assert sum(feature(one, Service.INVENTORY, Feature.CPU_SHARE) for one in seen[:4]) / 4 < 0.9
    # The crowd's vanguard has come, and the burst is over.
    assert [campaign.partition(" ")[0] for campaign in around.running] == ["flash_crowd:payments"]
    steps = around.transcript.seen[1:]
    (auths,) = [step.observation.logs for step in steps if step.observation.logs_of is Service.AUTH]
    assert "1.5.0" in next(line.text for line in auths if line.event == "started")
    assert service_breaches(seen[3], Service.AUTH) == []
    assert steps[-1].action == Rollback(Service.AUTH)
    assert steps[-1].observation.last_result == "auth is going back to release 1.4.0"
    assert around.left == (1.0, [])
