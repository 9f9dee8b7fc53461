"""What one has to know to repeat a recording."""

from __future__ import annotations

import json
from types import SimpleNamespace
from typing import Any, cast

import pytest
from docker.errors import DockerException

from mirr.bridge.collect_plays import ProbePace
from mirr.bridge.provenance import lab_facts, run_facts, simulator_facts
from mirr.env.simulator.randomisation import default_parameters
from mirr.env.vocabulary import Service
from mirr.env.world import WorldError
from mirr.lab.containers import LabContainers


class FakeContainers:
    """The containers of a lab, each with an image of its own."""

    lab = "mirr"

    def __init__(self, version: Any) -> None:
        self.client = SimpleNamespace(api=SimpleNamespace(version=version))

    def service(self, service: Service) -> SimpleNamespace:
        return self._container(f"mirr/{service}:1.4.0")

    def traffic(self) -> SimpleNamespace:
        return self._container("mirr/traffic:lab")

    def prometheus(self) -> SimpleNamespace:
        return self._container("mirr/prometheus:lab")

    def _container(self, image: str) -> SimpleNamespace:
        return SimpleNamespace(attrs={"Config": {"Image": image}, "Image": f"sha256 of {image}"})


def containers(version: Any) -> LabContainers:
    return cast(LabContainers, FakeContainers(version))


def test_a_lab_is_known_by_its_engine_and_the_ids_of_all_its_images() -> None:
    facts = lab_facts(containers(lambda: {"Version": "29.0", "ApiVersion": "1.52", "KernelVersion": "6.1"}))
    images = cast(dict[str, dict[str, str]], facts["images"])
    assert facts["lab"] == "mirr"
    assert cast(dict[str, str], facts["engine"])["Version"] == "29.0"
    assert set(images) == {*map(str, Service), "traffic", "prometheus"}
    assert images["auth"] == {"name": "mirr/auth:1.4.0", "id": "sha256 of mirr/auth:1.4.0"}


def test_an_engine_that_does_not_answer_is_a_failure_of_the_world() -> None:
    def version() -> dict[str, str]:
        raise DockerException("gone")

    with pytest.raises(WorldError) as failed:
        lab_facts(containers(version))
    assert str(failed.value) == "could not look at what lab mirr is made of: gone; next: mirr doctor"


def test_the_facts_can_be_written_as_json_and_name_the_profile() -> None:
    facts = run_facts("1.2.3", ProbePace()) | simulator_facts(default_parameters())
    read = json.loads(json.dumps(facts))
    assert (read["mirr"], read["profile"]) == ("1.2.3", "reference")
    assert read["parameters"]["services"]["auth"]["request_cpu_s"] > 0.0
    assert read["pace"] == {"step_s": 2.0, "steady_steps": 2, "fault_steps": 6, "response_steps": 8}
    assert read["machine"]["cores"] >= 1
