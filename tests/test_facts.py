"""Facts that are in two places, because the simulator must not import the lab. The tests compare both places.

A failing test names both places. Change both, or add the difference to `KNOWN_DIFFERENCES` with its reason.
"""

from __future__ import annotations

from dataclasses import dataclass
from pathlib import Path

import pytest
import yaml

from mirr.chaos.faults import leaky
from mirr.chaos.faults.leak import LANDED_AFTER_S, LEAK_RATES_PER_S, RATES_ARE_FOR
from mirr.chaos.journal import Journal
from mirr.env.forms import severity_of
from mirr.env.objectives import USER_LATENCY_S
from mirr.env.simulator.chronicle import EXCEPTIONS, ROUTES
from mirr.env.simulator.fast.rows import BOUNDS
from mirr.env.simulator.parameters import load_parameters
from mirr.env.simulator.physics.callgraph import BASKET_LINES
from mirr.env.vocabulary import NEXT_RELEASE, STEADY_RELEASE, Fault, Journey, ScaleUp, Service
from services import gateway, orders
from services.data.release import VERSION
from services.kit import edge, metrics, upstreams
from tests.audit.lines import service_routes
from tests.fakes.assembly import fake_docker_world
from tests.fakes.clock import FakeClock
from tests.fakes.lab import FakeLab
from tests.paths import ROOT
from tests.services.test_releases import ERRORS
from traffic import campaigns, users
from traffic import metrics as users_metrics

COMPOSE = yaml.safe_load((ROOT / "docker-compose.yml").read_text(encoding="utf-8"))
SIMULATED = load_parameters()
FILE = "env/simulator/parameters.json"
MEGABYTE = 1_000_000

Fact = tuple[str, object]
"""A place (file and name) and the value in that place."""


@dataclass(frozen=True, kw_only=True)
class Twice:
    """One fact in two places."""

    lab: Fact
    simulator: Fact

    def difference(self) -> str | None:
        """If the values differ, a text with both places and both values, else None."""
        (lab_place, lab), (simulator_place, simulated) = self.lab, self.simulator
        same = lab == pytest.approx(simulated) if isinstance(lab, float) else lab == simulated
        return None if same else f"{lab_place} is {lab!r}; {simulator_place} is {simulated!r}"


def _quota_cores(service: Service) -> float:
    container = COMPOSE["services"][service]
    return float(container["cpu_quota"] / container["cpu_period"])


def _memory_limit_mib(service: Service) -> float:
    return float(str(COMPOSE["services"][service]["mem_limit"]).removesuffix("m"))


def _scrape_interval_s() -> float:
    written = yaml.safe_load((ROOT / "prometheus/prometheus.yml").read_text(encoding="utf-8"))["global"]
    return float(written["scrape_interval"].removesuffix("ms")) / 1000.0


def _parameter(name: str) -> Fact:
    return f"{FILE}: {name}", getattr(SIMULATED, name)


FACTS: dict[str, Twice] = {
    "requests in flight": Twice(
        lab=("services/kit/edge.py: MAX_IN_FLIGHT", float(edge.MAX_IN_FLIGHT)),
        simulator=_parameter("in_flight_limit"),
    ),
    "the gateway's time-out": Twice(
        lab=("services/gateway.py: UPSTREAM_TIMEOUT_S", gateway.UPSTREAM_TIMEOUT_S),
        simulator=_parameter("gateway_timeout_s"),
    ),
    "the time-out of orders": Twice(
        lab=("services/orders.py: UPSTREAM_TIMEOUT_S", orders.UPSTREAM_TIMEOUT_S),
        simulator=_parameter("orders_timeout_s"),
    ),
    "the delay of a retry": Twice(
        lab=("services/kit/upstreams.py: RETRY_AFTER_S", upstreams.RETRY_AFTER_S),
        simulator=_parameter("retry_delay_s"),
    ),
    "the time between two scrapes": Twice(
        lab=("prometheus/prometheus.yml: scrape_interval", _scrape_interval_s()),
        simulator=_parameter("scrape_interval_s"),
    ),
    "the rows of an order": Twice(
        lab=("traffic/users.py: BASKET_LINES", users.BASKET_LINES),
        simulator=("env/simulator/physics/callgraph.py: BASKET_LINES", BASKET_LINES),
    ),
    "the buckets of latencies": Twice(
        lab=("services/kit/metrics.py: BUCKETS_S", metrics.BUCKETS_S),
        simulator=("env/simulator/fast/rows.py: BOUNDS", BOUNDS),
    ),
    "the latency that fails a user": Twice(
        lab=("traffic/metrics.py: SLOW_AFTER_S", users_metrics.SLOW_AFTER_S),
        simulator=("env/objectives.py: USER_LATENCY_S", USER_LATENCY_S),
    ),
    "the load of a crowd": Twice(
        lab=("env/forms.py: the usual severity of overloaded/crowd", severity_of(Fault.parse("overloaded:auth"))),
        simulator=_parameter("overload_factor"),
    ),
    "the rise at which a leak has landed": Twice(
        lab=("chaos/faults/leak.py: LANDED_AFTER_S * RATES_ARE_FOR", round(LANDED_AFTER_S * RATES_ARE_FOR, 6)),
        simulator=_parameter("leak_landed_share"),
    ),
    "the usual seconds after which a leaky release has landed": Twice(
        lab=("chaos/faults/leaky.py: LANDED_AFTER_S", leaky.LANDED_AFTER_S),
        simulator=_parameter("leaky_landed_s"),
    ),
    "the body of a leaking request": Twice(
        lab=("traffic/campaigns.py: NOTE_BYTES, in MB", round(campaigns.NOTE_BYTES / MEGABYTE, 1)),
        simulator=_parameter("leak_body_mb"),
    ),
    **{
        f"the CPU quota of {service}": Twice(
            lab=(f"docker-compose.yml: {service}, cpu_quota / cpu_period", _quota_cores(service)),
            simulator=_parameter("cpu_quota_cores"),
        )
        for service in Service
    },
    **{
        f"the memory limit of {service}": Twice(
            lab=(f"docker-compose.yml: {service}, mem_limit in MiB", _memory_limit_mib(service)),
            simulator=_parameter("memory_limit_mb"),
        )
        for service in Service
    },
    **{
        f"the rate of {journey}": Twice(
            lab=(
                f"traffic/users.py: RATE_PER_S * MIX[{journey}]",
                users.RATE_PER_S * users.MIX[users_metrics.Journey(journey)],
            ),
            simulator=(f"{FILE}: journeys_per_s.{journey}", SIMULATED.journeys_per_s[journey]),
        )
        for journey in Journey
    },
    **{
        f"the leak on {service}": Twice(
            lab=(f"chaos/faults/leak.py: LEAK_RATES_PER_S[{service}]", LEAK_RATES_PER_S[service]),
            simulator=_parameter("leak_requests_per_s"),
        )
        for service in Service
    },
}

# The simulator has one leak rate. On the lab, gateway keeps more of each body and payments needs more CPU time for it,
# so the lab sends fewer to them.
# A rate for each service in the simulator would change the episode of every seed. So it waits for the calibration with
# recordings of the lab.
_SIMULATED_LEAK = "env/simulator/parameters.json: leak_requests_per_s is 10.0"
KNOWN_DIFFERENCES = {
    "the leak on gateway": f"chaos/faults/leak.py: LEAK_RATES_PER_S[gateway] is 8.0; {_SIMULATED_LEAK}",
    "the leak on payments": f"chaos/faults/leak.py: LEAK_RATES_PER_S[payments] is 8.0; {_SIMULATED_LEAK}",
}


@pytest.mark.parametrize("name", FACTS)
def test_the_lab_and_the_simulator_have_the_same_value(name: str) -> None:
    assert FACTS[name].difference() == KNOWN_DIFFERENCES.get(name)


def test_a_difference_names_both_places() -> None:
    different = Twice(lab=("services/kit/edge.py: MAX_IN_FLIGHT", 48.0), simulator=("parameters.json: limit", 40.0))
    assert different.difference() == "services/kit/edge.py: MAX_IN_FLIGHT is 48.0; parameters.json: limit is 40.0"


@pytest.mark.parametrize("service", Service)
def test_a_faulty_release_raises_the_exception_that_the_simulator_logs(service: Service) -> None:
    kind, text = ERRORS[service]
    assert isinstance(kind, type)
    kinds: list[type] = [kind, *kind.__subclasses__()]
    simulated_kind, _, simulated_text = EXCEPTIONS[service].partition(": ")
    places = "tests/services/test_releases.py: ERRORS and env/simulator/chronicle.py: EXCEPTIONS differ"
    assert simulated_kind in {each.__name__ for each in kinds}, places
    # The rest of the lab's text has numbers that depend on the row.
    assert text.startswith(simulated_text), places


@pytest.mark.parametrize("service", Service)
def test_the_simulated_log_names_a_route_of_the_service(service: Service) -> None:
    route = ROUTES[service].partition("route=")[2]
    place = f"env/simulator/chronicle.py: ROUTES[{service}]; services/{service}.py has no {route}"
    assert route in service_routes(service), place


def test_both_worlds_scale_up_by_the_same_factor(tmp_path: Path) -> None:
    lab = FakeLab(FakeClock())
    before = lab.services[Service.ORDERS].quota_us
    fake_docker_world(lab, Journal(tmp_path)).apply(ScaleUp(Service.ORDERS))
    factor = lab.services[Service.ORDERS].quota_us / before
    place = "bridge/docker_world.py: _scale_up and env/simulator/parameters.json: scale_up_factor"
    assert factor == SIMULATED.scale_up_factor, place


def test_the_releases_are_the_releases_of_the_services() -> None:
    place = "env/vocabulary.py: STEADY_RELEASE, NEXT_RELEASE and services/"
    assert VERSION == STEADY_RELEASE, place
    assert (ROOT / "services" / "releases" / NEXT_RELEASE).is_dir(), place
