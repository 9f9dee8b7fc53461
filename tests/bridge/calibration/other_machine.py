"""A lab whose parameters are known, for tests: the simulator on a faster machine, with other users."""

from __future__ import annotations

from collections.abc import Iterable
from functools import cache

from mirr.bridge.calibration.machine import Machine
from mirr.bridge.calibration.values import changed
from mirr.bridge.collect_plan import Design, Part, plan
from mirr.bridge.recording import Play, Recordings
from mirr.env.simulator.parameters import Parameters
from mirr.env.simulator.randomisation import default_parameters
from mirr.env.simulator.world import SimulatedWorld
from mirr.env.vocabulary import Service
from tests.bridge.collected import OtherUsers, collected

FASTER = Machine(
    request_cpu={
        Service.GATEWAY: 0.5,
        Service.AUTH: 0.65,
        Service.INVENTORY: 0.55,
        Service.ORDERS: 0.72,
        Service.PAYMENTS: 0.6,
    },
    latency_p50_s={
        Service.GATEWAY: 0.0026,
        Service.AUTH: 0.0063,
        Service.INVENTORY: 0.0024,
        Service.ORDERS: 0.0027,
        Service.PAYMENTS: 0.005,
    },
    base_memory_mb={service: 1.1 * own.base_memory_mb for service, own in default_parameters().services.items()},
    latency_sigma=0.6,
    start_s=0.8,
    boot_cpu_s=0.29,
    idle_cpu_cores=0.005,
)


def truth() -> Parameters:
    """A system that is a little different, on a faster machine."""
    usual = default_parameters()
    system = changed(
        usual,
        {
            "leak_body_mb": 0.7,
            "leaky_carried_s": 2.6,
            "timeout_spread": 0.3,
        },
    )
    return FASTER.applied(system)


PLAYS = plan(Design(parts=(Part.PROBES, Part.EPISODES), passes=1))


def recorded(plays: Iterable[Play], parameters: Parameters) -> Recordings:
    """What a lab with these parameters does, with its own users."""
    return collected(OtherUsers(SimulatedWorld(parameters)), plays, name="docker")


@cache
def faster_lab() -> Recordings:
    """The recordings that most tests fit to."""
    return recorded(PLAYS, truth())
