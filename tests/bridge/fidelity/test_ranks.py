"""Correlations, rank violations and regret of the success of policies: known values."""

from __future__ import annotations

import pytest

from mirr.bridge.fidelity.ranks import (
    Ties,
    mean_gap,
    mean_maximum_rank_violation,
    mean_ranks,
    pearson,
    regret,
    spearman,
)


def violation(real: list[float], sim: list[float], ties: Ties = Ties.VIOLATE) -> float | None:
    return mean_maximum_rank_violation(real=real, sim=sim, ties=ties)


def test_pearson_and_spearman_have_their_known_values() -> None:
    # As scipy.stats.pearsonr and spearmanr give them.
    real, sim = [1.0, 2.0, 3.0, 4.0, 5.0], [5.0, 6.0, 7.0, 8.0, 7.0]
    assert pearson(real=real, sim=sim) == pytest.approx(0.8320502943378436)
    assert spearman(real=real, sim=sim) == pytest.approx(0.8207826816681233)


def test_tied_values_share_the_mean_of_their_ranks() -> None:
    assert list(mean_ranks([0.3, 0.1, 0.3, 0.9])) == [2.5, 1.0, 2.5, 4.0]


def test_worlds_in_which_all_policies_do_alike_have_no_correlation() -> None:
    assert pearson(real=[0.5, 0.5, 0.5], sim=[0.1, 0.2, 0.3]) is None
    assert spearman(real=[0.1, 0.2, 0.3], sim=[1.0, 1.0, 1.0]) is None
    assert pearson(real=[0.1, 0.9], sim=[0.1, 0.9]) is None


def test_the_same_order_violates_nothing_however_far_apart_the_rates_are() -> None:
    assert violation([0.1, 0.5, 0.9], [0.0, 0.01, 0.02]) == 0.0


def test_a_violation_weighs_as_much_as_the_policies_really_differ() -> None:
    # The first two change places. They differ by 0.4 on the lab, and the third is where it was.
    assert violation([0.1, 0.5, 0.9], [0.5, 0.1, 0.9]) == pytest.approx((0.4 + 0.4 + 0.0) / 3)
    # All in the opposite order: the worst differs most from the best, and the middle one by 0.4 from both.
    assert violation([0.1, 0.5, 0.9], [0.9, 0.5, 0.1]) == pytest.approx((0.8 + 0.4 + 0.8) / 3)


def test_the_real_world_is_the_reference() -> None:
    real, sim = [0.1, 0.5, 0.9], [0.3, 0.2, 0.9]
    assert violation(real, sim) == pytest.approx((0.4 + 0.4) / 3)
    assert violation(sim, real) == pytest.approx((0.1 + 0.1) / 3)


def test_a_tie_in_the_simulator_means_what_the_caller_declares() -> None:
    real, sim = [0.1, 0.5, 0.9], [0.4, 0.4, 0.9]
    assert violation(real, sim, Ties.VIOLATE) == pytest.approx(0.8 / 3)
    assert violation(real, sim, Ties.AGREE) == 0.0


def test_a_real_tie_is_never_violated() -> None:
    assert violation([0.5, 0.5, 0.9], [0.1, 0.4, 0.9]) == 0.0


def test_regret_is_what_the_simulators_choice_really_costs() -> None:
    assert regret(real=[0.2, 0.7, 0.9], sim=[0.1, 0.8, 0.6]) == pytest.approx(0.2)
    assert regret(real=[0.2, 0.7, 0.9], sim=[0.1, 0.5, 0.6]) == 0.0


def test_of_policies_that_tie_in_the_simulator_the_worst_is_taken() -> None:
    assert regret(real=[0.2, 0.7, 0.9], sim=[0.8, 0.1, 0.8]) == pytest.approx(0.7)


def test_the_mean_gap_has_no_sign() -> None:
    assert mean_gap(real=[0.2, 0.8], sim=[0.4, 0.7]) == pytest.approx(0.15)


def test_no_policies_have_no_figures() -> None:
    assert violation([], []) is None
    assert regret(real=[], sim=[]) is None
    assert mean_gap(real=[], sim=[]) is None


def test_both_worlds_need_the_same_policies() -> None:
    with pytest.raises(ValueError, match="both worlds need one rate for each policy") as refused:
        regret(real=[0.1, 0.2], sim=[0.1])
    assert str(refused.value) == "both worlds need one rate for each policy; got (2,) and (1,)"
