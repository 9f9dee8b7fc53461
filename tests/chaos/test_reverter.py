"""The kill switch: it reverts what it can, it names what it cannot revert, and it needs only the engine."""

from __future__ import annotations

import json
import socket
from collections.abc import Callable
from dataclasses import replace
from pathlib import Path
from typing import Any

import pytest
import requests

from mirr.chaos.campaigns import HttpCampaigns
from mirr.chaos.errors import CampaignError, FleetError, GeneratorAway, NotReverted
from mirr.chaos.journal import Journal
from mirr.chaos.reverter import ENGINE_SETTLES_S, Reverter
from mirr.env.vocabulary import Fault, FaultMode, Service
from mirr.lab.loopback import direct_session
from tests.fakes.assembly import fake_chaos
from tests.fakes.campaigns import FakeCampaigns
from tests.fakes.lab import FakeLab
from tests.fakes.service import QUOTA_US

AUTH_DOWN = Fault(FaultMode.CRASHED, Service.AUTH)
ORDERS_LEAKING = Fault(FaultMode.MEMORY_LEAK, Service.ORDERS)
PROMETHEUS, GENERATOR = "lab_prometheus_1", "lab_traffic_1"


@pytest.fixture
def reverter(lab: FakeLab, journal: Journal) -> Reverter:
    return Reverter(lab, FakeCampaigns(lab), journal, now=lab.clock.now, sleep=lab.clock.sleep)


def change_part(lab: FakeLab, name: str, **changes: Any) -> None:
    lab.support[name] = replace(lab.support[name], **changes)


@pytest.mark.parametrize(
    ("changes", "done"),
    [
        ({"container_id": None, "running": False}, "recreated Prometheus"),
        ({"running": False}, "started Prometheus"),
        ({"paused": True}, "unpaused Prometheus"),
        ({"hung": True}, "restarted Prometheus, which did not answer"),
        ({"drifted": ("CpuQuota",)}, "gave Prometheus its limits back"),
    ],
)
def test_revert_mends_prometheus_in_any_state(
    reverter: Reverter, lab: FakeLab, changes: dict[str, Any], done: str
) -> None:
    change_part(lab, PROMETHEUS, **changes)
    assert reverter.revert() == [done]
    assert reverter.revert() == []


def test_a_mend_that_the_engine_refuses_for_a_moment_is_tried_again(
    reverter: Reverter, lab: FakeLab, monkeypatch: pytest.MonkeyPatch
) -> None:
    lab.services[Service.AUTH].running = False
    restart, refusals = lab.restart, [FleetError("removal of container auth is already in progress")]

    def busy(service: Service) -> None:
        if refusals:
            raise refusals.pop()
        restart(service)

    monkeypatch.setattr(lab, "restart", busy)
    before = lab.clock.now()
    assert reverter.revert() == ["restarted auth"]
    assert lab.clock.now() - before == ENGINE_SETTLES_S


def hang_auth(lab: FakeLab) -> None:
    lab.services[Service.AUTH].hung = True


def pause_auth(lab: FakeLab) -> None:
    lab.services[Service.AUTH].paused = True


def raise_memory_limit(lab: FakeLab) -> None:
    lab.services[Service.AUTH].drifted = ("Memory", "MemorySwap")


def scale_auth_up(lab: FakeLab) -> None:
    lab.services[Service.AUTH].quota_us = 2 * QUOTA_US


def leave_a_stray(lab: FakeLab) -> None:
    lab.services[Service.AUTH].strays = 1


@pytest.mark.parametrize(
    ("break_it", "done"),
    [
        (hang_auth, ["restarted auth, which hung"]),
        (pause_auth, ["unpaused auth"]),
        (raise_memory_limit, ["gave auth its limits back (Memory, MemorySwap)"]),
        (scale_auth_up, ["gave auth its steady CPU quota back"]),
        (leave_a_stray, ["recreated auth at release 1.4.0"]),
    ],
)
def test_changes_that_a_person_makes_to_a_service_are_reverted(
    reverter: Reverter, lab: FakeLab, break_it: Callable[[FakeLab], None], done: list[str]
) -> None:
    break_it(lab)
    assert reverter.revert() == done
    assert reverter.revert() == []


def test_a_service_is_recreated_if_its_sandbox_was_recreated(reverter: Reverter, lab: FakeLab) -> None:
    change_part(lab, "lab_auth-net_1", container_id=None, running=False)
    assert reverter.revert() == ["recreated auth's sandbox", "recreated auth at release 1.4.0"]


def test_the_leak_of_somebody_with_another_journal_is_reverted_too(
    lab: FakeLab, journal: Journal, tmp_path: Path
) -> None:
    fake_chaos(lab, journal).inject(ORDERS_LEAKING)
    lab.clock.sleep(5.0)
    mine = Journal(tmp_path / "of another user", now=lab.clock.now)
    reverter = Reverter(lab, FakeCampaigns(lab), mine, now=lab.clock.now, sleep=lab.clock.sleep)
    assert reverter.revert() == ["ended 1 campaign(s)", "restarted orders"]
    assert lab.services[Service.ORDERS].started_at == lab.clock.now()
    assert reverter.revert() == []


def test_a_load_generator_that_hangs_is_restarted_and_its_campaigns_end(
    reverter: Reverter, lab: FakeLab, journal: Journal
) -> None:
    fake_chaos(lab, journal).inject(ORDERS_LEAKING)
    lab.generator_hangs = True
    assert reverter.revert() == ["restarted orders", "restarted the load generator, which did not answer"]
    assert not lab.running_campaigns


def test_a_load_generator_that_still_starts_is_not_restarted(reverter: Reverter, lab: FakeLab) -> None:
    lab.generator_answers_from = lab.clock.now() + 2.0
    assert reverter.revert() == []


def test_a_load_generator_that_cannot_be_reached_is_restarted_and_its_campaigns_end(
    reverter: Reverter, lab: FakeLab, journal: Journal
) -> None:
    fake_chaos(lab, journal).inject(ORDERS_LEAKING)
    lab.generator_elsewhere = True
    assert reverter.revert() == ["restarted orders", "restarted the load generator, which did not answer"]
    assert not lab.running_campaigns
    assert journal.open_acts() == []


def test_a_campaign_that_may_still_run_is_a_failure_and_stays_in_the_journal(
    reverter: Reverter, lab: FakeLab, journal: Journal
) -> None:
    fake_chaos(lab, journal).inject(ORDERS_LEAKING)
    lab.generator_elsewhere = True
    lab.beyond_repair = {GENERATOR}
    with pytest.raises(NotReverted) as raised:
        reverter.revert()
    assert str(raised.value) == (
        "the load generator at http://fake does not answer (ConnectionError); next: mirr up; it could not be restarted "
        "either, so its campaigns may run for up to 600 s: could not mend the load generator: no such image; "
        "next: mirr doctor"
    )
    assert raised.value.done == ["restarted orders"]
    assert [one.fault for one in journal.open_faults()] == [ORDERS_LEAKING]


def test_an_expired_fault_stays_in_the_journal_if_its_campaign_may_still_run(
    reverter: Reverter, lab: FakeLab, journal: Journal
) -> None:
    fake_chaos(lab, journal).inject(ORDERS_LEAKING, lease_s=10.0)
    fake_chaos(lab, journal).inject(AUTH_DOWN, lease_s=100.0)
    lab.generator_elsewhere = True
    lab.beyond_repair = {GENERATOR}
    lab.clock.sleep(11.0)
    with pytest.raises(NotReverted, match=r"its campaigns may run for up to 600 s"):
        reverter.revert_expired()
    assert [one.fault for one in journal.open_faults()] == [ORDERS_LEAKING, AUTH_DOWN]


def test_the_campaigns_of_a_load_generator_with_other_limits_are_ended_too(
    reverter: Reverter, lab: FakeLab, journal: Journal
) -> None:
    fake_chaos(lab, journal).inject(ORDERS_LEAKING)
    change_part(lab, GENERATOR, drifted=("CpuQuota",))  # they are set again while its process runs
    assert reverter.revert() == ["gave the load generator its limits back", "restarted orders", "ended 1 campaign(s)"]


def test_the_loopback_is_asked_without_a_proxy(monkeypatch: pytest.MonkeyPatch) -> None:
    with socket.socket() as proxy, socket.socket() as nobody:
        proxy.bind(("127.0.0.1", 0))
        proxy.listen()
        nobody.bind(("127.0.0.1", 0))
        for name in ("HTTP_PROXY", "http_proxy", "ALL_PROXY", "all_proxy"):
            monkeypatch.setenv(name, f"http://127.0.0.1:{proxy.getsockname()[1]}")
        for name in ("NO_PROXY", "no_proxy"):
            monkeypatch.delenv(name, raising=False)
        url = f"http://127.0.0.1:{nobody.getsockname()[1]}"
        with pytest.raises(GeneratorAway, match=r"does not answer \(ConnectionError\)"):
            HttpCampaigns(url, direct_session(), timeout_s=0.1).stop_all()
        proxy.settimeout(0.0)
        with pytest.raises(BlockingIOError):
            proxy.accept()


class Somebody(requests.Session):
    """Another web server at the load generator's address. It has the same answer for everybody."""

    def __init__(self, status: int, body: bytes) -> None:
        super().__init__()
        self._status, self._body = status, body

    def request(self, *_: object, **__: object) -> requests.Response:
        answer = requests.Response()
        answer.status_code, answer._content = self._status, self._body
        return answer


@pytest.mark.parametrize("body", [b"<html>hello</html>", b"[]", b"{}", b'{"campaigns": 3}', b'{"campaigns": [3]}'])
def test_an_answer_of_somebody_else_does_not_mean_that_no_campaign_runs(body: bytes) -> None:
    with pytest.raises(CampaignError, match=r"^what answers at http://there is not the load generator: 200 "):
        HttpCampaigns("http://there", Somebody(200, body)).stop_all()


def test_only_the_load_generator_itself_can_say_that_a_campaign_is_gone() -> None:
    with pytest.raises(CampaignError) as raised:
        HttpCampaigns("http://there", Somebody(404, b"<h1>not here</h1>")).stop("flash-crowd-auth")
    assert str(raised.value) == (
        "what answers at http://there is not the load generator: 404 '<h1>not here</h1>'; next: mirr doctor"
    )
    gone = json.dumps({"error": "no campaign 'flash-crowd-auth' is running"}).encode()
    HttpCampaigns("http://there", Somebody(404, gone)).stop("flash-crowd-auth")


def test_the_users_of_an_older_load_generator_come_as_usual() -> None:
    body = json.dumps({"error": "DELETE /traffic: Not Found"}).encode()
    assert not HttpCampaigns("http://there", Somebody(404, body)).reset_traffic()
    with pytest.raises(CampaignError, match="what answers at http://there is not the load generator"):
        HttpCampaigns("http://there", Somebody(404, b"{}")).reset_traffic()


def test_a_refused_connection_and_a_timeout_of_the_load_generator_are_different_errors() -> None:
    with socket.socket() as server:
        server.bind(("127.0.0.1", 0))
        url = f"http://127.0.0.1:{server.getsockname()[1]}"
        campaigns = HttpCampaigns(url, requests.Session(), timeout_s=0.1)
        with pytest.raises(GeneratorAway, match=r"does not answer \(ConnectionError\); next: mirr up"):
            campaigns.stop_all()
        server.listen()  # the kernel accepts connections for a process that hangs
        with pytest.raises(CampaignError, match=r"does not answer \(ReadTimeout\); next: mirr up") as raised:
            campaigns.stop_all()
        assert not isinstance(raised.value, GeneratorAway)


def test_a_paused_load_generator_goes_on_without_its_campaigns(
    reverter: Reverter, lab: FakeLab, journal: Journal
) -> None:
    fake_chaos(lab, journal).inject(ORDERS_LEAKING)
    change_part(lab, GENERATOR, paused=True)
    assert reverter.revert() == ["unpaused the load generator", "restarted orders", "ended 1 campaign(s)"]


def test_the_error_names_what_cannot_be_reverted_and_the_rest_is_reverted(
    reverter: Reverter, lab: FakeLab, journal: Journal
) -> None:
    fake_chaos(lab, journal).inject(AUTH_DOWN)
    change_part(lab, PROMETHEUS, running=False)
    lab.beyond_repair = {PROMETHEUS}
    with pytest.raises(NotReverted) as raised:
        reverter.revert()
    assert str(raised.value) == "could not mend Prometheus: no such image; next: mirr doctor"
    assert raised.value.done == ["restarted auth"]
    assert lab.services[Service.AUTH].running
    assert [one.fault for one in journal.open_faults()] == [AUTH_DOWN]


def test_the_error_names_each_failure_once() -> None:
    error = NotReverted(["a is gone", "b is gone", "a is gone"], [])
    assert str(error) == "2 things failed: a is gone | b is gone"


def test_a_plan_names_every_container_and_does_nothing(reverter: Reverter, lab: FakeLab, journal: Journal) -> None:
    fake_chaos(lab, journal).inject(AUTH_DOWN)
    change_part(lab, PROMETHEUS, running=False)
    lab.deploy(Service.PAYMENTS, "1.5.0", previous="1.4.0")
    acts, written = lab.acts, (journal.folder / "journal.jsonl").read_text()
    assert [(step.container, step.act) for step in reverter.plan()] == [
        (PROMETHEUS, "start Prometheus"),
        ("lab_auth_1", "restart auth"),
        ("lab_payments_1", "recreate payments at release 1.4.0, with fresh data"),
    ]
    assert (lab.acts, (journal.folder / "journal.jsonl").read_text()) == (acts, written)


def test_only_faults_whose_lease_has_ended_are_reverted(reverter: Reverter, lab: FakeLab, journal: Journal) -> None:
    fake_chaos(lab, journal).inject(AUTH_DOWN, lease_s=10.0)
    fake_chaos(lab, journal).inject(ORDERS_LEAKING, lease_s=100.0)
    assert reverter.revert_expired() == []
    lab.clock.sleep(11.0)
    assert reverter.revert_expired() == ["restarted auth"]
    assert [one.fault for one in journal.open_faults()] == [ORDERS_LEAKING]
    assert list(lab.running_campaigns) == ["unique-keys-orders"]
    lab.clock.sleep(100.0)
    assert reverter.revert_expired() == ["restarted orders", "ended 1 campaign(s)"]
    assert journal.open_acts() == []


def test_a_harmless_deploy_is_reverted_when_its_lease_ends(reverter: Reverter, lab: FakeLab, journal: Journal) -> None:
    fake_chaos(lab, journal).deploy_sound(Service.AUTH)
    lab.clock.sleep(13.0)
    assert reverter.revert_expired() == ["recreated auth at release 1.4.0"]
    assert journal.open_acts() == []


def test_a_fault_that_another_process_reverted_is_reported_as_lost(
    lab: FakeLab, journal: Journal, reverter: Reverter
) -> None:
    chaos = fake_chaos(lab, journal)
    chaos.inject(AUTH_DOWN)
    assert chaos.lost_lease() is None
    reverter.revert()
    assert chaos.lost_lease() == "crashed:auth was reverted by somebody else"
    chaos.revert()
    assert chaos.lost_lease() is None
