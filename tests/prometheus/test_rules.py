"""The Prometheus configuration and rules: they are valid and complete, have tests, and do not mention causes."""

from __future__ import annotations

import io
import re
import tarfile
from collections.abc import Iterator
from functools import cache
from pathlib import Path
from typing import Any

import pytest
import yaml

from mirr.bridge.prometheus import TRAFFIC
from mirr.env.objectives import OBJECTIVES
from mirr.env.vocabulary import FaultMode, Service
from mirr.lab.names import PROMETHEUS_IMAGE
from tests.paths import ROOT

PROMETHEUS = ROOT / "prometheus"
CONFIG = PROMETHEUS / "prometheus.yml"
RULE_FILES = sorted((PROMETHEUS / "rules").glob("*.yml"))
TEST_FILES = sorted((PROMETHEUS / "tests").glob("*.yml"))

PROMTOOL_COMMANDS: dict[str, list[str]] = {
    "config": ["check", "config", "prometheus.yml"],
    "rules": ["check", "rules", "--lint-fatal", *(f"rules/{path.name}" for path in RULE_FILES)],
    "tests": ["test", "rules", *(f"tests/{path.name}" for path in TEST_FILES)],
}

CAUSES = {
    *FaultMode,
    *("campaign", "chaos", "crash", "deploy", "fault", "flash", "inject", "injected", "leak", "overload", "surge"),
}
"""Words for causes. Rules may only mention symptoms."""


@cache  # most tests read all files, and none changes what was read
def _load(path: Path) -> Any:
    return yaml.safe_load(path.read_text())


def _rules() -> Iterator[dict[str, Any]]:
    for path in RULE_FILES:
        for group in _load(path)["groups"]:
            yield from group["rules"]


def _names(kind: str) -> list[str]:
    return [rule[kind] for rule in _rules() if kind in rule]


def _test_cases() -> Iterator[dict[str, Any]]:
    for path in TEST_FILES:
        yield from _load(path)["tests"]


def _alert(name: str) -> dict[str, Any]:
    return next(rule for rule in _rules() if rule.get("alert") == name)


def test_every_service_is_scraped_under_its_own_name() -> None:
    jobs = {job["job_name"]: job for job in _load(CONFIG)["scrape_configs"]}
    targets = {config["labels"]["service"]: config["targets"] for config in jobs["services"]["static_configs"]}
    assert targets == {service.value: [f"{service}:8000"] for service in Service}
    assert jobs["traffic"]["static_configs"] == [{"targets": ["traffic:8000"], "labels": {"service": TRAFFIC}}]


def test_no_metric_that_the_bridge_reads_is_dropped() -> None:
    dropped = re.compile(_load(CONFIG)["scrape_configs"][0]["metric_relabel_configs"][0]["regex"])
    source = (ROOT / "bridge" / "prometheus.py").read_text()
    read = re.findall(r'"([a-z0-9_]+)"', source.partition("_METRICS = (")[2].partition(")")[0])
    assert "http_requests_total" in read
    assert [name for name in read if dropped.fullmatch(name)] == []
    unread = ["python_gc_objects_collected_total", "http_requests_created", "process_open_fds"]
    assert [name for name in unread if not dropped.fullmatch(name)] == []


@pytest.mark.parametrize("name", _names("record"))
def test_every_recording_rule_has_a_test_that_evaluates_it(name: str) -> None:
    expressions = [check["expr"] for case in _test_cases() for check in case.get("promql_expr_test", ())]
    assert any(name in expression for expression in expressions)


@pytest.mark.parametrize("name", _names("alert"))
def test_every_alert_has_a_test_that_fires_it_and_a_test_that_does_not(name: str) -> None:
    checks = [check for case in _test_cases() for check in case.get("alert_rule_test", ())]
    fires = {bool(check.get("exp_alerts")) for check in checks if check["alertname"] == name}
    assert fires == {True, False}


@pytest.mark.parametrize("name", _names("record"))
def test_the_name_of_a_recording_rule_has_a_level_a_metric_and_an_operation(name: str) -> None:
    assert re.fullmatch(r"(service|journey|user):[a-z_]+:[a-z0-9_]+", name)


@pytest.mark.parametrize("name", _names("alert"))
def test_an_alert_says_how_bad_it_is_and_what_to_do_next(name: str) -> None:
    alert = _alert(name)
    assert alert["labels"]["severity"] in {"critical", "warning", "info"}
    assert set(alert["annotations"]) == {"summary", "description"}
    assert re.search(r"\b(See|Read|read|Compare)\b", alert["annotations"]["description"])


@pytest.mark.parametrize("path", [CONFIG, *RULE_FILES], ids=lambda path: path.name)
def test_no_rule_mentions_causes(path: Path) -> None:
    words = set(re.findall(r"[a-z]+(?:_[a-z]+)*", path.read_text().lower()))
    assert words & CAUSES == set()


def test_the_thresholds_of_the_alerts_equal_the_objectives() -> None:
    thresholds = {
        name: float(_alert(name)["expr"].split(">")[1]) for name in ("HighErrorRatio", "HighLatency", "MemoryNearLimit")
    }
    assert thresholds == {
        "HighErrorRatio": OBJECTIVES.error_ratio,
        "HighLatency": OBJECTIVES.latency_p95_s,
        "MemoryNearLimit": OBJECTIVES.memory_share,
    }


def _archive() -> bytes:
    """The files of prometheus/ as a tar archive. They are copied and not mounted: the engine may be remote."""
    packed = io.BytesIO()
    with tarfile.open(fileobj=packed, mode="w") as archive:
        for path in (CONFIG, *RULE_FILES, *TEST_FILES):
            archive.add(path, arcname=f"checked/{path.relative_to(PROMETHEUS)}")
    return packed.getvalue()


@pytest.mark.docker
@pytest.mark.parametrize("check", PROMTOOL_COMMANDS)
def test_promtool_accepts_the_configuration_and_the_rules(check: str) -> None:
    from mirr.lab import engine, images
    from mirr.lab.progress import PlainProgress

    client = engine.connect()
    images.ensure(client, PlainProgress())
    container = client.containers.create(
        PROMETHEUS_IMAGE,
        PROMTOOL_COMMANDS[check],
        entrypoint=["/bin/promtool"],
        working_dir="/checked",
        network_mode="none",
        user="0:0",  # the files belong to the user of the checkout
    )
    try:
        container.put_archive("/", _archive())
        container.start()
        status = container.wait(timeout=120)["StatusCode"]
        output = container.logs().decode()
    finally:
        container.remove(force=True)
    assert status == 0, output
