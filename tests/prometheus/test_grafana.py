"""Grafana as code: each query asks for what there is, lines are the objectives, and nobody can change anything."""

from __future__ import annotations

import json
import re
from collections.abc import Iterator
from pathlib import Path
from typing import Any

import httpx
import pytest
import yaml

from mirr.env.objectives import OBJECTIVES
from mirr.lab.containers import LabContainers
from mirr.lab.engine import connect
from services.kit.metrics import Metrics as ServiceMetrics
from tests.paths import ROOT
from traffic.metrics import Metrics as TrafficMetrics

GRAFANA = ROOT / "prometheus" / "grafana"
COMPOSE = yaml.safe_load((GRAFANA / "docker-compose.yml").read_text())
SOURCE = yaml.safe_load((GRAFANA / "provisioning" / "datasources" / "prometheus.yml").read_text())["datasources"][0]
PROVIDER = yaml.safe_load((GRAFANA / "provisioning" / "dashboards" / "mirr.yml").read_text())["providers"][0]
DASHBOARDS: dict[str, dict[str, Any]] = {
    path.stem: json.loads(path.read_text()) for path in sorted((GRAFANA / "dashboards").iterdir())
}
PANELS = [panel for dashboard in DASHBOARDS.values() for panel in dashboard["panels"]]

WORDS = {"sum", "max", "by", "rate"}
"""What a query of a dashboard may be made of, besides metrics and labels."""


def queries() -> list[str]:
    annotations = [each["expr"] for dashboard in DASHBOARDS.values() for each in dashboard["annotations"]["list"]]
    return [target["expr"] for panel in PANELS for target in panel["targets"]] + annotations


def metrics_of(query: str) -> set[str]:
    """The metrics that a query asks for: its names, without labels, ranges and words."""
    bare = re.sub(r"\{[^}]*\}|\[[^]]*\]|\bby \([^)]*\)", "", query)
    return set(re.findall(r"[a-zA-Z_:][a-zA-Z0-9_:]*", bare)) - WORDS


def recorded() -> Iterator[str]:
    for path in (ROOT / "prometheus" / "rules").glob("*.yml"):
        for group in yaml.safe_load(path.read_text())["groups"]:
            yield from (rule["record"] for rule in group["rules"] if "record" in rule)


def exported(tmp_path: Path) -> set[str]:
    """What the services and the load generator export. A service that has answered nothing has no requests yet."""
    service = ServiceMetrics("1.4.0", tmp_path)
    service.answered("GET", "/", 200, 0.1)
    lines = (service.text() + TrafficMetrics().text()).decode().splitlines()
    return {re.split(r"[{ ]", line)[0] for line in lines if not line.startswith("#")}


def test_every_query_asks_for_metrics_that_are_exported_or_recorded(tmp_path: Path) -> None:
    known = {*exported(tmp_path), *recorded(), "ALERTS"}
    unknown = {query: metrics_of(query) - known for query in queries()}
    assert {query: names for query, names in unknown.items() if names} == {}
    assert all(metrics_of(query) for query in queries())


def test_no_query_asks_for_what_prometheus_drops() -> None:
    config = yaml.safe_load((ROOT / "prometheus" / "prometheus.yml").read_text())
    dropped = re.compile(config["scrape_configs"][0]["metric_relabel_configs"][0]["regex"])
    assert [name for query in queries() for name in metrics_of(query) if dropped.fullmatch(name)] == []


def test_the_lines_in_the_panels_are_the_objectives() -> None:
    lines = {
        panel["title"]: panel["fieldConfig"]["defaults"]["thresholds"]["steps"][1]["value"]
        for panel in PANELS
        if len(panel["fieldConfig"]["defaults"]["thresholds"]["steps"]) > 1
    }
    assert lines == {
        "Errors": OBJECTIVES.error_ratio,
        "Latency p95": OBJECTIVES.latency_p95_s,
        "Memory, share of the limit": OBJECTIVES.memory_share,
        "Journeys that went well": OBJECTIVES.user_sli,
    }


def test_every_panel_asks_the_provisioned_prometheus_and_has_a_place_and_a_number_of_its_own() -> None:
    sources = {target["datasource"]["uid"] for panel in PANELS for target in (panel, *panel["targets"])}
    assert sources == {SOURCE["uid"]}
    for dashboard in DASHBOARDS.values():
        places = [(panel["gridPos"]["x"], panel["gridPos"]["y"]) for panel in dashboard["panels"]]
        assert len(set(places)) == len({panel["id"] for panel in dashboard["panels"]}) == len(places)
    assert len({dashboard["uid"] for dashboard in DASHBOARDS.values()}) == len(DASHBOARDS)


def test_grafana_is_pinned_hardened_on_loopback_and_a_viewers() -> None:
    (part,) = COMPOSE["services"].values()
    assert re.fullmatch(r"grafana/grafana:\d+\.\d+\.\d+", part["image"])
    assert part["profiles"] == ["grafana"]
    assert (part["read_only"], part["cap_drop"], part["user"]) == (True, ["ALL"], "472:472")
    assert all(volume.endswith(":ro") for volume in part["volumes"])
    settings = part["environment"]
    assert (settings["GF_SERVER_HTTP_ADDR"], settings["GF_AUTH_ANONYMOUS_ORG_ROLE"]) == ("127.0.0.1", "Viewer")
    asks_others = [name for name in settings if "ANALYTICS" in name or "NEWS" in name]
    assert {settings[name] for name in asks_others} == {"false"}


def test_what_is_provisioned_is_where_the_container_has_it() -> None:
    (part,) = COMPOSE["services"].values()
    inside = dict(reversed(volume.removesuffix(":ro").split(":")) for volume in part["volumes"])
    assert inside[PROVIDER["options"]["path"]] == "./dashboards"
    assert inside["/etc/grafana/provisioning"] == "./provisioning"
    assert SOURCE["url"] == "http://127.0.0.1:$PROMETHEUS_PORT"
    assert "PROMETHEUS_PORT" in part["environment"]


@pytest.mark.docker
def test_the_labs_prometheus_answers_every_query(real_lab: str) -> None:
    address = LabContainers(connect(), real_lab).prometheus_url
    for query in queries():
        answer = httpx.get(f"{address}/api/v1/query", params={"query": query}, timeout=10).json()
        assert answer["status"] == "success", (query, answer)
