"""The alerts that Prometheus has, as its HTTP interface says them."""

from __future__ import annotations

import json

import pytest
import requests

from mirr.bridge.prometheus import FiredAlert, PrometheusReader
from mirr.env.world import WorldError

DOWN = {
    "labels": {"alertname": "ServiceDown", "service": "orders", "severity": "critical"},
    "annotations": {"summary": "orders is down"},
    "state": "firing",
    "activeAt": "2026-11-27T01:00:00Z",
    "value": "0e+00",
}
USERS = {"labels": {"alertname": "TrafficAbsent", "severity": "critical"}, "state": "pending"}


class Session(requests.Session):
    """Answers every request with one text."""

    def __init__(self, text: str, status: int = 200) -> None:
        super().__init__()
        self.text = text
        self.status = status
        self.asked: list[str] = []

    def get(self, url: str | bytes, **_: object) -> requests.Response:
        self.asked.append(str(url))
        answer = requests.Response()
        answer.status_code = self.status
        answer._content = self.text.encode()
        return answer


def test_alerts_are_read_with_their_service_if_they_have_one() -> None:
    session = Session(json.dumps({"status": "success", "data": {"alerts": [DOWN, USERS]}}))
    assert PrometheusReader("http://127.0.0.1:9090", session).alerts() == [
        FiredAlert(name="ServiceDown", service="orders", severity="critical", state="firing"),
        FiredAlert(name="TrafficAbsent", service="", severity="critical", state="pending"),
    ]
    assert session.asked == ["http://127.0.0.1:9090/api/v1/alerts"]


@pytest.mark.parametrize(
    ("text", "status", "kind"),
    [
        ("", 503, "HTTPError"),
        ("{", 200, "JSONDecodeError"),
        ('{"data": {}}', 200, "KeyError"),
        ("[]", 200, "TypeError"),
    ],
)
def test_a_prometheus_that_answers_nonsense_is_named(text: str, status: int, kind: str) -> None:
    with pytest.raises(WorldError) as failed:
        PrometheusReader("http://127.0.0.1:9090", Session(text, status)).alerts()
    assert str(failed.value) == f"Prometheus at http://127.0.0.1:9090 does not answer ({kind}); next: mirr up"
