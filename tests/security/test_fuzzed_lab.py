"""The running services get random requests while users are served. The requests come from their own descriptions."""

from __future__ import annotations

import re
import time
from collections.abc import Callable, Mapping
from datetime import UTC, datetime

import pytest
import requests

from mirr.bridge.assembly import assemble
from mirr.bridge.steady import wait_until_steady
from mirr.env.vocabulary import Service
from mirr.lab.containers import LabContainers
from tests.security.conftest import Address
from tests.security.fuzz import from_address, fuzz
from tests.trials import trials

pytestmark = pytest.mark.docker

# The number of good requests for every operation, and of bad requests. Every service gets about the same total.
EXAMPLES = {
    Service.GATEWAY: trials(12),
    Service.AUTH: trials(15),
    Service.INVENTORY: trials(15),
    Service.ORDERS: trials(15),
    Service.PAYMENTS: trials(30),
}
PAUSE_S = 0.015  # the pause between two requests: the test is like one more client and not like a flash crowd
STEADY_TIMEOUT_S = 20.0
# Fuzzed requests carry client keys, and the ledger keeps the last answer for each: a few hundred short ones.
KEPT_BYTES = 12 << 20


def resident_bytes(url: str) -> float:
    text = requests.get(f"{url}/metrics", timeout=5).text
    found = re.search(r"^process_resident_memory_bytes (\S+)$", text, re.M)
    assert found
    return float(found[1])


@pytest.mark.parametrize("service", Service)
def test_the_answers_of_a_running_service_match_its_description_and_the_lab_stays_in_steady_state(
    service: Service, lab: LabContainers, addresses: Mapping[Service, Address], url_of: Callable[[Service], str]
) -> None:
    url, session = url_of(service), requests.Session()
    telemetry = assemble(lab.lab).telemetry
    wait_until_steady(telemetry, timeout_s=STEADY_TIMEOUT_S)
    before_bytes, began = resident_bytes(url), datetime.now(UTC)

    def send(case: object) -> object:
        time.sleep(PAUSE_S)
        return case.call(session=session)  # type: ignore[attr-defined]  # a Case of schemathesis

    sent = fuzz(from_address(url), examples=EXAMPLES[service], send=send)
    assert sent >= EXAMPLES[service]
    assert resident_bytes(url) - before_bytes < KEPT_BYTES
    for one in Service:
        log = lab.service(one).logs(since=began.timestamp()).decode("utf-8", errors="replace")
        assert "Traceback" not in log
        assert '"level": "error"' not in log
    wait_until_steady(telemetry, timeout_s=STEADY_TIMEOUT_S)
