"""A journal with broken or unknown lines, and a journal that cannot be written."""

from __future__ import annotations

import errno
import json
import os
from pathlib import Path

import pytest

from mirr.chaos.errors import JournalError
from mirr.chaos.journal import Act, Journal
from mirr.chaos.leases import LeaseFile, ticks
from mirr.env.vocabulary import Fault, FaultMode, Service, TrafficChanges
from mirr.lab.processes import boot_id
from tests.fakes.assembly import fake_chaos
from tests.fakes.clock import FakeClock
from tests.fakes.lab import FakeLab

AUTH_DOWN = Fault(FaultMode.CRASHED, Service.AUTH)
ORDERS_DOWN = Fault(FaultMode.CRASHED, Service.ORDERS)


def faults(journal: Journal) -> list[Fault]:
    return [one.fault for one in journal.open_faults()]


def test_a_line_after_a_cut_off_line_is_read(journal: Journal) -> None:
    journal.injecting(AUTH_DOWN)
    with (journal.folder / "journal.jsonl").open("a") as file:
        file.write('{"act": "inject", "fau')
    journal.injecting(ORDERS_DOWN)
    assert faults(journal) == [AUTH_DOWN, ORDERS_DOWN]


@pytest.mark.parametrize(
    "line",
    [
        b"\x00\xff\xfe rubbish",
        b"[]",
        b'"inject"',
        b"{}",
        b'{"act": "inject"}',
        b'{"act": "inject", "fault": 7, "at": 1}',
        b'{"act": "inject", "fault": "melted:auth", "at": 1}',
        b'{"act": "inject", "fault": "crashed:auth", "at": "yesterday"}',
        b'{"act": "deploy", "service": "billing", "at": 1}',
        b'{"act": ["inject"], "fault": "crashed:auth", "at": 1}',
        b'{"act": "inject", "fault": "crashed:auth", "at": 1, "until": null}',
        b'{"act": "inject", "fault": "crashed:auth", "at": 1, "until": NaN}',
        b'{"act": "inject", "fault": "crashed:auth", "at": 1' + b"0" * 400 + b"}",
        b"[" * 100_000,
        b'{"act":' * 100_000,
    ],
    ids=lambda line: line[:60].decode(errors="replace"),
)
def test_a_line_that_cannot_be_read_is_skipped(journal: Journal, line: bytes) -> None:
    journal.injecting(ORDERS_DOWN)
    with (journal.folder / "journal.jsonl").open("ab") as file:
        file.write(line + b"\n")
    assert faults(journal) == [ORDERS_DOWN]


def test_a_line_of_an_older_version_gets_the_longest_lease(journal: Journal) -> None:
    journal.folder.joinpath("journal.jsonl").write_text('{"act": "inject", "fault": "crashed:auth", "at": 100.0}\n')
    assert [one.until for one in journal.open_faults()] == [700.0]


def test_a_renewed_lease_extends_only_the_faults_of_its_holder(journal: Journal, lab: FakeLab) -> None:
    lease = LeaseFile(journal.folder, "me", now=lab.clock.now)
    journal.injecting(AUTH_DOWN, lease_s=6.0, holder="me")
    journal.injecting(ORDERS_DOWN, lease_s=6.0, holder="another")
    lab.clock.sleep(4.0)
    lease.renew(6.0)
    assert [one.until - lab.clock.now() for one in journal.open_faults()] == [6.0, 2.0]


@pytest.mark.parametrize("content", ["", "{", "[]", '{"until": "later"}', '{"until": null}', '{"until": 1e12}'])
def test_a_lease_file_that_cannot_be_read_does_not_count(journal: Journal, content: str) -> None:
    journal.injecting(AUTH_DOWN, lease_s=6.0, holder="me")
    (journal.folder / "lease-me.json").write_text(content)
    (act,) = journal.open_acts()
    assert act.until - act.at == 6.0


@pytest.mark.parametrize("set_by_s", [-86_400.0, -300.0, 300.0, 86_400.0])
def test_a_lease_ends_in_time_if_the_clock_is_set(journal: Journal, set_by_s: float) -> None:
    wall, ticking = FakeClock(), FakeClock()
    folder = journal.folder
    Journal(folder, now=wall.now, ticks=ticking.now).injecting(AUTH_DOWN, lease_s=60.0)
    wall.sleep(set_by_s)
    for clock in (wall, ticking):
        clock.sleep(59.0)
    later = Journal(folder, now=wall.now, ticks=ticking.now)
    assert [one.until - wall.now() for one in later.open_acts()] == [1.0]
    assert [wall.now() - one.at for one in later.open_acts()] == [59.0]


@pytest.mark.parametrize("at", [1001.5, 4600.0, 1e12, float("inf")])
def test_a_lease_of_another_boot_that_was_written_in_the_future_is_over(journal: Journal, at: float) -> None:
    line = {"act": "inject", "fault": "crashed:auth", "at": at, "until": at + 60.0, "ticks": 1.0, "boot": "another"}
    journal.folder.joinpath("journal.jsonl").write_text(json.dumps(line) + "\n")
    assert [one.until for one in journal.open_acts()] == [1000.0]  # now


@pytest.mark.parametrize("boot", ["another", None])
@pytest.mark.parametrize("until", [1_601.0, 1e12, float("inf")])
def test_no_lease_is_longer_than_the_longest(journal: Journal, until: float, boot: str | None) -> None:
    line = {"act": "inject", "fault": "crashed:auth", "at": 1000.0, "until": until}
    stamp = {"ticks": 1000.0, "boot": boot or boot_id()}
    journal.folder.joinpath("journal.jsonl").write_text(json.dumps(line | stamp) + "\n")
    assert [one.until for one in journal.open_acts()] == [1600.0]


def test_a_lease_file_that_was_written_in_the_future_does_not_extend_a_fault(journal: Journal) -> None:
    journal.injecting(AUTH_DOWN, lease_s=6.0, holder="me")
    (journal.folder / "lease-me.json").write_text('{"at": 4600.0, "until": 4606.0}')
    (act,) = journal.open_acts()
    assert act.until - act.at == 6.0


@pytest.mark.parametrize("text", ["", "[]", "7", "[" * 100_000, '{"at": 1' + "0" * 400 + "}"])
def test_a_lease_file_and_a_blueprint_that_cannot_be_read_count_as_none(journal: Journal, text: str) -> None:
    journal.injecting(AUTH_DOWN, lease_s=6.0, holder="me")
    (journal.folder / "lease-me.json").write_text(text)
    (act,) = journal.open_acts()
    assert act.until - act.at == 6.0
    (journal.folder / "auth.json").write_text("[" + text)
    assert journal.recall_blueprint("auth") is None
    (journal.folder / "auth.json").write_text("[]")
    assert journal.recall_blueprint("auth") is None


def test_calm_does_not_begin_in_the_future(journal: Journal) -> None:
    journal.folder.joinpath("journal.jsonl").write_text('{"act": "reverted", "at": 4600.0}\n{"act": "ended"}\n')
    assert [one.began for one in journal.calm()] == [1000.0]  # now


def test_the_ticks_of_a_machine_go_on_within_one_boot() -> None:
    first = ticks()
    assert 0 < first <= ticks()
    assert boot_id() == boot_id()


def test_nothing_is_injected_if_the_disk_is_full(
    lab: FakeLab, journal: Journal, monkeypatch: pytest.MonkeyPatch
) -> None:
    def no_space(_: int) -> None:
        raise OSError(errno.ENOSPC, os.strerror(errno.ENOSPC))

    monkeypatch.setattr(os, "fsync", no_space)
    with pytest.raises(JournalError) as raised:
        fake_chaos(lab, journal).inject(AUTH_DOWN)
    assert str(raised.value) == (
        f"the journal in {journal.folder} cannot be written, so nothing was done: No space left on device; "
        "next: make room there, or set MIRR_STATE_DIR to another folder"
    )
    assert lab.acts == 0


def test_nothing_is_injected_if_the_folder_cannot_be_created(lab: FakeLab, tmp_path: Path) -> None:
    (tmp_path / "file").write_text("")
    journal = Journal(tmp_path / "file" / "mirr")
    with pytest.raises(JournalError, match=r"cannot be .*, so nothing was done: Not a directory; next: "):
        fake_chaos(lab, journal).inject(AUTH_DOWN)
    assert lab.acts == 0


def test_revert_works_where_no_folder_can_be_created(lab: FakeLab, tmp_path: Path) -> None:
    (tmp_path / "file").write_text("")
    lab.kill(Service.AUTH)
    assert fake_chaos(lab, Journal(tmp_path / "file" / "mirr")).revert() == ["restarted auth"]


def test_revert_works_on_a_full_disk(lab: FakeLab, journal: Journal) -> None:
    fake_chaos(lab, journal).inject(AUTH_DOWN)
    os.symlink("/dev/full", journal.folder / "journal.new")
    assert fake_chaos(lab, journal).revert() == ["restarted auth"]
    assert faults(journal) == []


def test_every_service_is_restarted_if_the_journal_cannot_be_read(lab: FakeLab, journal: Journal) -> None:
    (journal.folder / "journal.jsonl").mkdir()
    with pytest.raises(JournalError, match=r"everything was reverted, but the journal at .* still says otherwise: "):
        fake_chaos(lab, journal).revert()
    assert all(own.ready_at > 0 for own in lab.services.values())  # each service was restarted


def test_a_blueprint_that_cannot_be_saved_is_an_error(journal: Journal) -> None:
    os.symlink("/dev/full", journal.folder / "auth.json.new")
    with pytest.raises(JournalError, match="cannot be written, so nothing was done: No space left on device"):
        journal.remember_blueprint(Service.AUTH, {"Name": "/x", "Config": {}, "HostConfig": {}, "Mounts": []})


def test_revert_removes_the_leases(journal: Journal, lab: FakeLab) -> None:
    LeaseFile(journal.folder, "dead", now=lab.clock.now).renew(6.0)
    fake_chaos(lab, journal).revert()
    assert list(journal.folder.glob("lease-*")) == []


def calm(journal: Journal, besides: Service | None = None) -> list[tuple[float, float | None]]:
    """When it was calm, in seconds after the clock of a FakeLab began."""
    return [
        (max(0.0, one.began - 1000.0), None if one.ended is None else one.ended - 1000.0)
        for one in journal.calm(besides)
    ]


def test_it_is_calm_since_the_last_revert_and_the_end_of_the_last_fault(lab: FakeLab, journal: Journal) -> None:
    assert calm(journal) == [(0.0, None)]
    lab.clock.sleep(5.0)
    journal.injecting(AUTH_DOWN)
    assert calm(journal) == [(0.0, 5.0)]
    lab.clock.sleep(5.0)
    journal.ended(AUTH_DOWN)
    assert calm(journal) == [(10.0, None), (0.0, 5.0)]
    lab.clock.sleep(5.0)
    journal.reverted()
    assert calm(journal) == [(15.0, None)]


def test_it_is_not_calm_while_one_of_two_faults_is_open(lab: FakeLab, journal: Journal) -> None:
    lab.clock.sleep(5.0)
    journal.injecting(AUTH_DOWN)
    lab.clock.sleep(5.0)
    journal.injecting(ORDERS_DOWN)
    lab.clock.sleep(5.0)
    journal.ended(AUTH_DOWN)
    assert calm(journal) == [(0.0, 5.0)]
    lab.clock.sleep(5.0)
    journal.ended(ORDERS_DOWN)
    assert calm(journal) == [(20.0, None), (0.0, 5.0)]


def test_a_fault_that_is_about_to_begin_does_not_end_the_calm(lab: FakeLab, journal: Journal) -> None:
    lab.clock.sleep(5.0)
    journal.injecting(AUTH_DOWN)
    assert calm(journal, besides=Service.AUTH) == [(0.0, None)]
    lab.clock.sleep(5.0)
    journal.injecting(ORDERS_DOWN)
    assert calm(journal, besides=Service.ORDERS) == [(0.0, 5.0)]
    journal.ended(AUTH_DOWN)
    assert calm(journal, besides=Service.ORDERS) == [(10.0, None), (0.0, 5.0)]


def test_what_breaks_nothing_does_not_end_the_calm(lab: FakeLab, journal: Journal) -> None:
    lab.clock.sleep(5.0)
    journal.deploying(Service.AUTH, "1.5.0-sound")
    journal.bursting(Service.ORDERS, lease_s=10.0)
    journal.changing_traffic(TrafficChanges(1.2, 1.2))
    assert calm(journal) == [(0.0, None)]


@pytest.mark.parametrize("act", Act)
def test_everything_that_is_open_can_be_written_off(journal: Journal, act: Act) -> None:
    match act:
        case Act.FAULT:
            journal.injecting(AUTH_DOWN)
        case Act.DEPLOY:
            journal.deploying(Service.AUTH, "1.5.0-sound")
        case Act.BURST:
            journal.bursting(Service.AUTH, lease_s=10.0)
        case Act.TRAFFIC:
            journal.changing_traffic(TrafficChanges(1.2, 1.2))
    (open_act,) = journal.open_acts()
    assert open_act.act is act
    journal.over(open_act)
    assert journal.open_acts() == []


def test_a_deploy_and_a_burst_on_one_service_are_two_things(journal: Journal) -> None:
    journal.deploying(Service.AUTH, "1.5.0-sound")
    journal.bursting(Service.AUTH, lease_s=10.0)
    journal.burst_ended(Service.AUTH)
    assert [one.act for one in journal.open_acts()] == [Act.DEPLOY]
