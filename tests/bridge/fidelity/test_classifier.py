"""The classifier that is told to tell two worlds apart, and its AUC."""

from __future__ import annotations

import numpy as np
import pytest

from mirr.bridge.fidelity.classifier import Boosting, auc, held_out_scores

QUICK = Boosting(trees=10)


def labels(*given: int) -> np.ndarray[tuple[int], np.dtype[np.bool_]]:
    return np.array(given, dtype=np.bool_)


@pytest.mark.parametrize(
    ("scores", "given", "area"),
    [
        ([0.1, 0.4, 0.35, 0.8], [0, 0, 1, 1], 0.75),
        ([1.0, 2.0, 3.0, 4.0], [0, 0, 1, 1], 1.0),
        ([1.0, 1.0, 1.0, 1.0], [0, 1, 0, 1], 0.5),
        ([4.0, 3.0, 2.0], [0, 1, 1], 0.0),
    ],
)
def test_auc_is_the_share_of_pairs_in_the_right_order(scores: list[float], given: list[int], area: float) -> None:
    assert auc(np.array(scores), labels(*given)) == pytest.approx(area)


def test_auc_of_one_label_alone_is_not_defined() -> None:
    assert auc(np.array([1.0, 2.0]), labels(1, 1)) is None


def test_a_weight_counts_like_so_many_rows() -> None:
    scores, given = np.array([0.1, 0.4, 0.35, 0.8]), labels(0, 0, 1, 1)
    times = np.array([2, 1, 3, 1])
    assert auc(scores, given, times.astype(float)) == pytest.approx(
        auc(np.repeat(scores, times), np.repeat(given, times))
    )


def told(values: np.ndarray[tuple[int, int], np.dtype[np.float64]], seed: int = 0) -> float:
    """The AUC if the first half of the rows is of one world and the second of the other, play by play."""
    half = len(values) // 2
    plays = np.tile(np.arange(half) // 10, 2)
    given = np.arange(len(values)) >= half
    scores = held_out_scores(values, given, plays, np.random.default_rng(seed), QUICK)
    assert scores is not None
    found = auc(scores, given)
    assert found is not None
    return found


def test_the_same_distribution_is_not_told_apart() -> None:
    assert told(np.random.default_rng(1).normal(size=(2000, 5))) == pytest.approx(0.5, abs=0.06)


def test_a_shift_is_told_apart_as_far_as_it_can_be() -> None:
    values = np.random.default_rng(1).normal(size=(2000, 3))
    values[1000:, 1] += 1.0
    assert told(values) == pytest.approx(0.76, abs=0.03)  # of the normal distribution: P(N(1, 2) > 0) = 0.760


def test_whole_numbers_are_told_from_fractions_with_the_same_mean() -> None:
    rng = np.random.default_rng(1)
    whole, fractions = rng.poisson(0.6, size=(1000, 1)), rng.normal(0.6, 0.1, size=(1000, 1))
    assert told(np.concatenate([whole, fractions]).astype(float)) > 0.95


def test_what_only_a_combination_shows_is_found() -> None:
    values = np.random.default_rng(1).normal(size=(2000, 2))
    half = values[1000:]
    half[:, 1] = np.abs(half[:, 1]) * np.sign(half[:, 0])
    assert told(values) > 0.7


def test_missing_values_tell_worlds_apart() -> None:
    values = np.random.default_rng(1).normal(size=(2000, 2))
    values[1500:, 0] = np.nan
    assert told(values) == pytest.approx(0.75, abs=0.05)


def test_a_play_that_all_of_its_windows_give_away_is_not_learned_by_heart() -> None:
    # Every play has a value of its own, the same in both worlds.
    plays = np.repeat(np.random.default_rng(1).normal(size=(50, 1)), 10, axis=0)
    assert told(np.concatenate([plays, plays])) == pytest.approx(0.5, abs=0.06)


def test_one_play_cannot_be_held_out() -> None:
    values, given = np.zeros((4, 1)), labels(0, 0, 1, 1)
    assert held_out_scores(values, given, np.zeros(4, dtype=np.int64), np.random.default_rng(0)) is None
