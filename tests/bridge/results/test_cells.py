"""A cell keeps one episode for each seed, and a run that was killed loses nothing that was over."""

from __future__ import annotations

import json
from dataclasses import replace
from pathlib import Path

import pytest

from mirr.bridge.results.cells import Cell, CellFile, read_cells
from mirr.bridge.results.episodes import FIELDS, Played
from mirr.env.record import RecordError
from mirr.env.vocabulary import Tier
from tests.bridge.results.episodes import EXHAUSTED, RESOLVED, VOID

CELL = Cell("docker", Tier.HARD, "heuristic")


def written(results: Path, *several: Played) -> Path:
    with CellFile(CELL, results) as file:
        file.add(several)
    return CELL.path(results)


def test_episodes_are_read_as_they_were_written(tmp_path: Path) -> None:
    written(tmp_path, EXHAUSTED, RESOLVED)
    episodes = read_cells(tmp_path)[CELL]
    assert episodes.in_order == [RESOLVED, EXHAUSTED]
    assert list(vars(RESOLVED)) == list(FIELDS)


def test_a_seed_counts_once(tmp_path: Path) -> None:
    written(tmp_path, RESOLVED)
    written(tmp_path, replace(RESOLVED, reward=0.0))
    assert read_cells(tmp_path)[CELL].in_order == [RESOLVED]


def test_a_void_episode_is_counted_and_its_seed_can_be_played_again(tmp_path: Path) -> None:
    written(tmp_path, VOID)
    written(tmp_path, replace(RESOLVED, seed=VOID.seed))
    episodes = read_cells(tmp_path)[CELL]
    assert (episodes.void, list(episodes.by_seed)) == (1, [VOID.seed])


def test_half_a_line_of_a_killed_run_is_dropped_and_the_next_run_goes_on(tmp_path: Path) -> None:
    path = written(tmp_path, RESOLVED)
    with path.open("a") as file:
        file.write('{"seed": 2, "outco')
    assert read_cells(tmp_path)[CELL].in_order == [RESOLVED]
    written(tmp_path, EXHAUSTED)
    assert read_cells(tmp_path)[CELL].in_order == [RESOLVED, EXHAUSTED]


def test_a_run_that_was_killed_at_its_first_line_is_begun_anew(tmp_path: Path) -> None:
    path = CELL.path(tmp_path)
    path.parent.mkdir()
    path.write_text('{"schema": "mirr-res')
    assert read_cells(tmp_path) == {}
    written(tmp_path, RESOLVED)
    assert read_cells(tmp_path)[CELL].in_order == [RESOLVED]


def test_a_forgotten_cell_is_empty(tmp_path: Path) -> None:
    written(tmp_path, RESOLVED, VOID)
    with CellFile(CELL, tmp_path) as file:
        file.forget()
        file.add([EXHAUSTED])
    episodes = read_cells(tmp_path)[CELL]
    assert (episodes.in_order, episodes.void) == ([EXHAUSTED], 0)


def test_a_bad_line_is_an_error_that_names_file_and_line(tmp_path: Path) -> None:
    path = written(tmp_path, RESOLVED)
    line = RESOLVED.to_json() | {"seed": 5, "steps": -1}
    with path.open("a") as file:
        file.write(json.dumps(line) + "\n")
    with pytest.raises(RecordError) as error:
        read_cells(tmp_path)
    assert str(error.value) == (f"{path}, line 3: not a line of results (steps: -1 is not a whole number from 0 up)")


def test_a_cell_under_the_name_of_another_one_is_refused(tmp_path: Path) -> None:
    path = written(tmp_path, RESOLVED)
    path = path.rename(path.with_name("docker-easy-heuristic.jsonl"))
    with pytest.raises(RecordError) as error:
        read_cells(tmp_path)
    assert str(error.value) == (
        f"{path} holds the episodes of heuristic in docker, hard, which belong into docker-hard-heuristic.jsonl"
    )


def test_a_file_of_another_schema_is_refused(tmp_path: Path) -> None:
    path = CELL.path(tmp_path)
    path.parent.mkdir()
    path.write_text('{"schema": "mirr-rollout", "version": 5}\n')
    with pytest.raises(RecordError) as error:
        read_cells(tmp_path)
    assert str(error.value) == f"{path} has schema 'mirr-rollout' 5; this reads mirr-results 1"
