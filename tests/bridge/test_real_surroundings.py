"""What goes on around an incident, on the real lab: more users, a harmless deploy and its rollback, a burst."""

from __future__ import annotations

import pytest

from mirr.bridge.assembly import open_docker_world
from mirr.bridge.docker_world import Patience
from mirr.bridge.traces import campaigns, level
from mirr.env.environment import Environment
from mirr.env.objectives import FEATURE_COLUMN, OBJECTIVES, SERVICE_ROW, service_breaches
from mirr.env.scenario import EpisodeConfig, Scenario, Scheduled
from mirr.env.vocabulary import (
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

pytestmark = pytest.mark.docker

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
# A slow machine needs some three seconds to boot the release that goes out before the first window.
SHORT = Patience(deploys_s=1.0, opening_after_deploys_s=5.0)


def feature(snapshot: Snapshot, service: Service, of: Feature) -> float:
    return float(snapshot.features[SERVICE_ROW[service], FEATURE_COLUMN[of]])


def test_users_come_more_often_and_a_burst_harms_nobody_and_both_are_over_after_the_episode(real_lab: str) -> None:
    traffic_url = LabContainers(connect(), real_lab).traffic_url
    world = open_docker_world(real_lab, what="pytest", patience=SHORT)
    try:
        environment = Environment(world, EpisodeConfig(step_s=STEP_S, none_diagnosis=True))
        environment.reset(scenario=SCENARIO)
        seen, started = [], list[str]()
        for action in (Wait(), Wait(), Wait(), CheckLogs(Service.AUTH), Wait()):
            logs = environment.step(action)[0].logs
            assert environment.last_snapshot is not None
            seen.append(environment.last_snapshot)
            started += [line.text for line in logs if line.event == "started"]
        assert level(traffic_url) == LEVEL
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
        running = campaigns(traffic_url)  # the crowd's vanguard has come, and the burst is over
        assert [campaign.partition(" ")[0] for campaign in running] == ["flash_crowd:payments"]
        assert "1.5.0" in started[0]
        assert service_breaches(seen[3], Service.AUTH) == []
        back = environment.step(Rollback(Service.AUTH))[0]
        assert back.last_result == "auth is going back to release 1.4.0"
        world.restore(0)
        assert (level(traffic_url), campaigns(traffic_url)) == (1.0, [])
    finally:
        world.close()
