"""The hypothetical episodes: what is planned in them, copies of them, and that they go on."""

from __future__ import annotations

import numpy as np
import pytest

from mirr.agents.belief.episodes import FIRST_SEED, FORMS, NEVER, HypotheticalEpisodes, fresh_copy, opened
from mirr.agents.belief.likelihood import NEW_S, reading_of
from mirr.env.forms import form_number
from mirr.env.objectives import SERVICE_ROW
from mirr.env.scenario import draw
from mirr.env.vocabulary import ACTION_INDEX, Breaks, CheckLogs, Service, Tier, Wait

SIZE = 96
WAIT = ACTION_INDEX[Wait()]


def waited(episodes: HypotheticalEpisodes, steps: int) -> None:
    for _ in range(steps):
        episodes.play_on(np.full(episodes.size, WAIT))


@pytest.mark.parametrize("tier", Tier)
def test_what_is_planned_is_what_the_tier_draws(tier: Tier) -> None:
    plans = opened(tier, SIZE).plans()
    for lane in range(SIZE):
        timeline = draw(FIRST_SEED + lane, tier=tier).timeline
        broken = [(entry.step, entry.event.fault) for entry in timeline if isinstance(entry.event, Breaks)]
        drawn = [(step, form_number(fault), SERVICE_ROW[fault.service]) for step, fault in broken]
        rows = zip(plans.onsets[lane], plans.forms[lane], plans.services[lane], strict=True)
        assert [tuple(map(int, row)) for row in rows if row[0] != NEVER] == drawn


def test_a_copy_goes_its_own_way_and_is_the_same_episode() -> None:
    first = fresh_copy(opened(Tier.HARD, SIZE))
    waited(first, 3)
    copied = HypotheticalEpisodes(2 * SIZE, Tier.HARD)
    lanes = np.repeat(np.arange(SIZE), 2)
    copied.copy_lanes(first, lanes, np.arange(2 * SIZE))
    before = first.features.copy()
    waited(copied, 4)
    np.testing.assert_array_equal(first.features, before)
    waited(first, 4)
    np.testing.assert_array_equal(copied.features, first.features[lanes])


def test_the_opened_episodes_are_never_played() -> None:
    start = opened(Tier.HARD, SIZE)
    before = start.features.copy()
    waited(fresh_copy(start), 5)
    np.testing.assert_array_equal(start.features, before)


def test_no_episode_ends() -> None:
    episodes = fresh_copy(opened(Tier.EASY, SIZE))
    ended = np.sum([episodes.play_on(np.full(SIZE, WAIT)) for _ in range(40)], axis=0)
    assert ended.max() > 1  # what has collapsed goes on, and collapses again
    assert not episodes.over.any()


def test_an_observation_has_no_noise() -> None:
    features = opened(Tier.EASY, SIZE).features
    running = features[features[:, 0, 0] == 1.0]
    assert len(np.unique(np.round(running[:, 0, 5], 4))) < 0.5 * len(running)  # memory that nobody has touched


def test_a_fault_can_begin_that_was_not_planned() -> None:
    episodes = fresh_copy(opened(Tier.HARD, SIZE))
    other = fresh_copy(episodes)
    killed = next(number for number, form in enumerate(FORMS) if form.place == 0 and form.order == 40)
    lane = int(np.flatnonzero((episodes.plans().onsets[:, 0] > 2) & (episodes.features[:, 4, 0] == 1.0))[0])
    other.begin_fault(lane, killed, 4, 0.0)
    for each in (episodes, other):
        waited(each, 1)
    assert episodes.features[lane, 4, 0] == 1.0
    assert other.features[lane, 4, 0] == 0.0


@pytest.mark.parametrize("service", Service)
def test_a_log_says_the_same_in_numbers_as_its_lines_say_to_an_agent(service: Service) -> None:
    episodes = fresh_copy(opened(Tier.HARD, SIZE))
    waited(episodes, 7)
    episodes.play_on(np.full(SIZE, ACTION_INDEX[CheckLogs(service)]))
    told = episodes.log_readings(np.ones(SIZE, dtype=np.bool_), np.full(SIZE, np.nan))
    for lane in range(SIZE):
        read = reading_of(episodes.observation(lane).logs)
        for name, values in vars(read).items():
            assert vars(told)[name][lane] == pytest.approx(values[0]), (lane, name)


def test_a_harmless_release_was_there_before_the_first_observation() -> None:
    assert opened(Tier.HARD, SIZE).deployed_s_ago().min() >= NEW_S  # at least one service has one
    assert np.isnan(opened(Tier.EASY, SIZE).deployed_s_ago()).all()


def test_where_a_start_is_not_certain_the_log_says_how_old_it_is_at_least() -> None:
    episodes = fresh_copy(opened(Tier.HARD, SIZE))
    episodes.play_on(np.full(SIZE, ACTION_INDEX[CheckLogs(Service.AUTH)]))
    told = episodes.log_readings(np.zeros(SIZE, dtype=np.bool_), np.full(SIZE, 7.0))
    assert told.other_release.all()
    assert (told.started_s_ago == 7.0).all()
    assert not episodes.log_readings(np.zeros(SIZE, dtype=np.bool_), np.full(SIZE, np.nan)).other_release.any()
