"""Collecting: what is recorded of a play, and how a collection stops and goes on."""

from __future__ import annotations

from collections.abc import Iterator
from contextlib import contextmanager
from dataclasses import replace
from datetime import UTC, datetime
from pathlib import Path

import numpy as np
import pytest

from mirr.bridge.collect import Collected, Progress, collect
from mirr.bridge.collect_plan import Design, Part, plan
from mirr.bridge.collect_plays import Player, ProbePace
from mirr.bridge.recording import Phase, Play, PlayKind, Recording, Session
from mirr.bridge.recording_file import FILE_NAME, RecordingFile
from mirr.bridge.recording_table import TABLE_NAME, write_table
from mirr.bridge.recordings import open_file, read_recordings
from mirr.chaos.journal import Journal
from mirr.env.record import RecordError
from mirr.env.simulator.world import SimulatedWorld
from mirr.env.vocabulary import Fault, Restart, Service, Tier
from mirr.env.world import World, WorldError
from tests.bridge.collected import collected
from tests.fakes.assembly import fake_docker_world
from tests.fakes.clock import FakeClock
from tests.fakes.lab import FakeLab
from tests.worlds import Altered

CRASH = Play(kind=PlayKind.PROBE, round=0, seed=7, fault=Fault.parse("crashed:auth"), action=Restart(Service.AUTH))
EPISODE = Play(kind=PlayKind.RANDOMISED, round=0, seed=3, tier=Tier.MEDIUM)
FEW = plan(Design(parts=(Part.PROBES,), rounds=1))[:5]
AT_NOON = datetime(2026, 1, 31, 12, tzinfo=UTC)


@contextmanager
def opened(folder: Path, session: Session | None = None) -> Iterator[RecordingFile]:
    with open_file(folder) as file:
        file.begin(session or Session(world="sim", facts={"pace": {"step_s": 2.0}}))
        yield file


def run(
    folder: Path,
    plays: list[Play],
    world: World | None = None,
    *,
    budget_s: float | None = None,
    clock: FakeClock | None = None,
) -> tuple[Collected, list[Progress]]:
    said: list[Progress] = []
    now = (clock or FakeClock()).now
    with opened(folder) as file:
        done = collect(
            plays,
            Player(world or SimulatedWorld()),
            file,
            budget_s=budget_s,
            say=said.append,
            now=now,
            utc=lambda: AT_NOON,
        )
    return done, said


def same(one: Recording, two: Recording) -> bool:
    """Whether two recordings say the same in every field."""
    arrays = ("features", "journeys", "degraded", "overrun_s")
    fields = ("play", "culprit", "phases", "actions", "reasons", "session", "began", "seconds", "ending")
    return all(
        np.array_equal(vars(one)[name], vars(two)[name], equal_nan=name == "features") for name in arrays
    ) and all(vars(one)[name] == vars(two)[name] for name in fields)


def test_a_probe_is_steady_then_broken_and_then_acted_on() -> None:
    (recording,) = collected(SimulatedWorld(), [CRASH]).by_key.values()
    assert list(recording.phases) == [Phase.STEADY] * 2 + [Phase.FAULT] * 6 + [Phase.RESPONSE] * 8
    assert list(recording.actions) == ["wait"] * 8 + ["restart(auth)"] + ["wait"] * 7
    assert recording.form == "crashed/killed"
    up = recording.features[:, 1, 0]
    assert list(up[:8]) == [1.0] * 2 + [0.0] * 6
    assert up[-1] == 1.0
    assert np.isnan(recording.features[2, 1, 1:]).all()
    assert recording.snapshots[0].user_sli > 0.95
    assert recording.snapshots[3].user_sli < 0.9


def test_the_recordings_are_what_the_world_measured_to_the_last_bit() -> None:
    first, second = (collected(SimulatedWorld(), [CRASH]).by_key[CRASH.key] for _ in range(2))
    assert same(first, second)


def test_a_randomised_episode_takes_the_same_actions_whatever_it_sees() -> None:
    (calm,) = collected(SimulatedWorld(), [EPISODE]).by_key.values()
    (nothing_breaks,) = collected(Altered(SimulatedWorld(), injects=lambda fault: None), [EPISODE]).by_key.values()
    both = min(calm.steps, nothing_breaks.steps)
    assert both > 3
    assert calm.actions[:both] == nothing_breaks.actions[:both]
    assert calm.actions[0] == ""
    assert calm.ending is not None
    assert set(calm.phases) == {Phase.EPISODE}


def test_a_lab_is_recorded_like_the_simulator(tmp_path: Path) -> None:
    world = fake_docker_world(FakeLab(FakeClock()), Journal(tmp_path))
    (recording,) = collected(world, [CRASH]).by_key.values()
    assert recording.steps == ProbePace().steps
    assert list(recording.features[:, 1, 0][:8]) == [1.0] * 2 + [0.0] * 6
    assert recording.features[-1, 1, 0] == 1.0


def test_the_file_gives_back_what_was_recorded(tmp_path: Path) -> None:
    run(tmp_path, [*FEW, EPISODE])
    read = read_recordings(tmp_path)
    fresh = collected(SimulatedWorld(), [*FEW, EPISODE])
    assert list(read.by_key) == [play.key for play in (*FEW, EPISODE)]
    assert read.world == "sim"
    for key, recording in read.by_key.items():
        assert np.array_equal(recording.features, fresh.by_key[key].features, equal_nan=True)
        assert recording.ending == fresh.by_key[key].ending


@pytest.mark.thorough
def test_the_table_gives_back_what_the_file_has(tmp_path: Path) -> None:
    run(tmp_path, [*FEW, EPISODE])
    from_file = read_recordings(tmp_path)
    assert write_table(from_file, tmp_path) == tmp_path / TABLE_NAME
    (tmp_path / FILE_NAME).unlink()
    from_table = read_recordings(tmp_path)
    assert from_table.sessions == from_file.sessions
    assert list(from_table.by_key) == list(from_file.by_key)
    assert all(same(from_table.by_key[key], one) for key, one in from_file.by_key.items())


def test_what_the_folder_has_is_not_played_again(tmp_path: Path) -> None:
    assert run(tmp_path, FEW[:2])[0].played == 2
    done, said = run(tmp_path, FEW)
    assert (done.played, done.done, done.of, done.complete) == (3, 5, 5, True)
    assert [progress.done for progress in said] == [3, 4, 5]
    assert len(read_recordings(tmp_path).sessions) == 2


def test_half_a_line_of_a_killed_run_is_dropped_and_its_play_is_played_again(tmp_path: Path) -> None:
    run(tmp_path, FEW[:3])
    path = tmp_path / FILE_NAME
    whole = path.read_bytes()
    path.write_bytes(whole[:-40])
    assert list(read_recordings(tmp_path).by_key) == [play.key for play in FEW[:2]]
    assert run(tmp_path, FEW[:3])[0].played == 1
    assert list(read_recordings(tmp_path).by_key) == [play.key for play in FEW[:3]]


class SlowWorld(Altered):
    """A world in which every restore takes a minute."""

    def __init__(self, clock: FakeClock) -> None:
        super().__init__(SimulatedWorld(), after_restore=lambda: clock.sleep(60.0))


def test_no_play_begins_that_would_end_after_the_budget(tmp_path: Path) -> None:
    clock = FakeClock()
    done, said = run(tmp_path, FEW, SlowWorld(clock), budget_s=200.0, clock=clock)
    assert (done.played, done.done, done.of, done.complete) == (3, 3, 5, False)
    assert done.seconds == pytest.approx(180.0)
    assert [progress.left_s for progress in said] == pytest.approx([140.0, 80.0, 20.0])


def test_without_a_budget_the_time_left_is_that_of_the_plays_left(tmp_path: Path) -> None:
    clock = FakeClock()
    _, said = run(tmp_path, FEW, SlowWorld(clock), clock=clock)
    assert [progress.left_s for progress in said] == pytest.approx([240.0, 180.0, 120.0, 60.0, 0.0])


def test_a_play_in_which_the_world_fails_is_void_and_is_played_again_by_the_next_run(tmp_path: Path) -> None:
    inner = SimulatedWorld()

    def inject(fault: Fault) -> None:
        if fault == FEW[1].fault:
            raise WorldError("the engine is gone; next: mirr doctor")
        inner.inject(fault)

    done, said = run(tmp_path, FEW, Altered(inner, injects=inject))
    assert (done.played, done.void, done.done, done.complete) == (4, 1, 4, False)
    assert [progress.void for progress in said] == ["", "the engine is gone; next: mirr doctor", "", "", ""]
    assert read_recordings(tmp_path).void == 1
    assert run(tmp_path, FEW)[0].played == 1


def test_a_world_that_fails_in_three_plays_in_a_row_ends_the_run(tmp_path: Path) -> None:
    def inject(fault: Fault) -> None:
        raise WorldError("the engine is gone")

    with pytest.raises(WorldError) as failed:
        run(tmp_path, FEW, Altered(SimulatedWorld(), injects=inject))
    assert str(failed.value) == "the engine is gone (the world failed in 3 plays in a row)"
    assert list(read_recordings(tmp_path).by_key) == [FEW[0].key]  # steady state: nothing was injected


@pytest.mark.parametrize(
    ("session", "why"),
    [
        (Session(world="docker", facts={"pace": {"step_s": 2.0}}), "holds recordings of sim, and not of docker"),
        (Session(world="sim", facts={"pace": {"step_s": 1.0}}), "was recorded with another pace"),
    ],
)
def test_recordings_of_something_else_are_not_mixed(tmp_path: Path, session: Session, why: str) -> None:
    run(tmp_path, FEW[:1])
    with pytest.raises(RecordError) as refused, opened(tmp_path, session):
        pass
    assert str(refused.value) == f"{tmp_path / FILE_NAME} {why}; next: another --out DIR"


def test_a_collection_goes_on_from_a_table(tmp_path: Path) -> None:
    run(tmp_path, [*FEW[:1], EPISODE])
    before = replace(read_recordings(tmp_path), void=2)
    write_table(before, tmp_path)
    (tmp_path / FILE_NAME).unlink()
    done, said = run(tmp_path, [*FEW[:2], EPISODE])
    after = read_recordings(tmp_path)
    assert [progress.play for progress in said] == [FEW[1]]
    assert (done.played, done.done, done.of) == (1, 3, 3)
    assert (after.sessions, after.void) == (before.sessions * 2, 2)
    assert list(after.by_key) == [FEW[0].key, EPISODE.key, FEW[1].key]
    assert all(same(after.by_key[key], one) for key, one in before.by_key.items())


def test_a_file_without_a_play_does_not_hide_the_table(tmp_path: Path) -> None:
    run(tmp_path, FEW[:2])
    write_table(read_recordings(tmp_path), tmp_path)
    (tmp_path / FILE_NAME).write_bytes(b"")
    assert list(read_recordings(tmp_path).by_key) == [play.key for play in FEW[:2]]
    done, _ = run(tmp_path, FEW[:3])
    assert (done.played, done.done) == (1, 3)


def add_to_a_full_disk(folder: Path) -> None:
    with opened(folder) as file:
        file._file.close()
        file._file = Path("/dev/full").open("wb")  # noqa: SIM115  # the recording file closes it
        file.add_void(FEW[1], "late")


def test_a_full_disk_is_one_error_and_the_same_command_goes_on(tmp_path: Path) -> None:
    run(tmp_path, FEW[:1])
    with pytest.raises(RecordError) as refused:
        add_to_a_full_disk(tmp_path)
    assert str(refused.value) == (
        f"cannot write the recordings {tmp_path / FILE_NAME}: No space left on device; next: another --out DIR"
    )
    done, _ = run(tmp_path, FEW[:2])
    assert (done.played, done.done) == (1, 2)


def test_two_runs_do_not_write_into_one_folder(tmp_path: Path) -> None:
    with opened(tmp_path), pytest.raises(RecordError) as refused:
        open_file(tmp_path)
    assert str(refused.value) == (
        f"another mirr collect is writing {tmp_path / FILE_NAME}; next: wait until it is over, or another --out DIR"
    )
    done, _ = run(tmp_path, FEW[:1])
    assert (done.played, done.done) == (1, 1)


def test_a_file_that_cannot_be_made_from_a_table_leaves_nothing_behind(tmp_path: Path) -> None:
    run(tmp_path, FEW[:1])
    write_table(read_recordings(tmp_path), tmp_path)
    (tmp_path / FILE_NAME).unlink()
    (tmp_path / f"{FILE_NAME}.part").mkdir()
    with pytest.raises(RecordError) as refused:
        open_file(tmp_path)
    assert str(refused.value) == (
        f"cannot write the recordings {tmp_path / FILE_NAME}: Is a directory; next: another --out DIR"
    )
    assert not (tmp_path / FILE_NAME).exists()


def test_a_folder_without_recordings_says_how_to_get_some(tmp_path: Path) -> None:
    with pytest.raises(RecordError) as refused:
        read_recordings(tmp_path)
    assert str(refused.value) == (
        f"{tmp_path} has neither recordings.jsonl nor recordings.parquet; next: mirr collect --out {tmp_path}"
    )


@pytest.mark.parametrize(
    ("line", "why"),
    [
        ("[" * 100_000, "line 2: not a line of recordings (nested too deeply)"),
        ("[]", "line 2: not a line of recordings (list indices must be integers or slices, not str)"),
        ('{"kind": "song"}', "line 2: not a line of recordings ('song' is not a valid LineKind)"),
        ('{"kind": "play"}', "line 2: not a line of recordings ('play')"),
    ],
)
def test_a_line_that_is_none_is_named(tmp_path: Path, line: str, why: str) -> None:
    run(tmp_path, [])
    path = tmp_path / FILE_NAME
    path.write_text(path.read_text() + line + "\n")
    with pytest.raises(RecordError) as refused:
        read_recordings(tmp_path)
    assert str(refused.value) == f"{path}, {why}"


def test_a_play_whose_parts_have_different_steps_is_refused(tmp_path: Path) -> None:
    run(tmp_path, FEW[:1])
    path = tmp_path / FILE_NAME
    path.write_text(path.read_text().replace('"phases": ["steady", ', '"phases": ['))
    with pytest.raises(RecordError) as refused:
        read_recordings(tmp_path)
    assert (
        str(refused.value) == f"{path}, line 2: not a line of recordings (actions has the shape (16,), and not (15,))"
    )
