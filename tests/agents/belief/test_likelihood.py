"""How well what was seen fits a hypothesis."""

from __future__ import annotations

import math

import numpy as np
import pytest
from numpy.typing import NDArray

from mirr.agents.belief.episodes import LogReadings
from mirr.agents.belief.likelihood import (
    OTHER_ERROR_SAYS,
    OTHER_START,
    OTHER_UP,
    log_fit,
    reading_of,
    shown,
    window_fit,
)
from mirr.env.objectives import FEATURE_COLUMN, SERVICE_ROW
from mirr.env.vocabulary import Feature, Service
from mirr.env.world import Level, LogLine

WELL = np.tile(np.array([1.0, 20.0, 0.0, 0.03, 0.33, 0.28, 1.0], dtype=np.float32), (5, 1))


def changed(service: Service, **cells: float) -> NDArray[np.float32]:
    features = WELL.copy()
    for name, value in cells.items():
        features[SERVICE_ROW[service], FEATURE_COLUMN[Feature(name)]] = value
    return features


def fit(seen: NDArray[np.float32], shows: NDArray[np.float32]) -> float:
    return float(window_fit(shown(seen), shown(shows)))


def down(service: Service) -> NDArray[np.float32]:
    return changed(service, **{str(feature): 0.0 if feature is Feature.UP else math.nan for feature in Feature})


def test_what_is_the_same_fits_best() -> None:
    assert fit(WELL, WELL) == 0.0
    assert fit(changed(Service.AUTH, error_ratio=0.1), WELL) < 0.0


def test_the_farther_off_the_worse_but_one_outlier_strikes_nothing_out() -> None:
    fits = [fit(changed(Service.AUTH, memory_share=share), WELL) for share in (0.29, 0.4, 0.6, 0.95)]
    assert fits == sorted(fits, reverse=True)
    assert fits[-1] > -5.0


def test_what_chance_explains_says_nothing() -> None:
    assert fit(changed(Service.AUTH, request_rate=23.0, cpu_share=0.38, memory_share=0.3), WELL) == 0.0


def test_errors_say_more_than_latencies_which_machines_differ_in() -> None:
    slower = fit(changed(Service.AUTH, latency_p95_s=0.06), WELL)  # twice as slow
    failing = fit(changed(Service.AUTH, error_ratio=0.3), WELL)
    assert slower == 0.0
    assert failing < -1.0


def test_a_service_that_is_down_in_one_of_them_counts_once_and_its_other_features_say_nothing() -> None:
    assert fit(down(Service.ORDERS), WELL) == pytest.approx(OTHER_UP)
    assert fit(WELL, down(Service.ORDERS)) == pytest.approx(OTHER_UP)
    assert fit(down(Service.ORDERS), down(Service.ORDERS)) == 0.0


def test_many_hypotheses_are_weighed_at_once() -> None:
    shows = np.stack([WELL, down(Service.AUTH), changed(Service.AUTH, error_ratio=0.5)])
    fits = window_fit(shown(WELL), shown(shows))
    assert fits.shape == (3,)
    assert fits.argmax() == 0


def reading(
    age_s: float = math.inf, *, exited: bool = False, raising: bool = False, certain: bool = True
) -> LogReadings:
    """Of a release 1.5.0 that was started so long ago, or of none."""
    return LogReadings(
        other_release=np.array([math.isfinite(age_s)]),
        started_s_ago=np.array([age_s]),
        certain=np.array([certain]),
        exited=np.array([exited]),
        raising=np.array([raising]),
        turned_away=np.array([False]),
    )


def test_logs_that_say_the_same_fit() -> None:
    assert log_fit(reading(5.0), reading(5.0), before_s=0.0).tolist() == [0.0]


def test_what_a_log_says_is_nearly_certain() -> None:
    assert log_fit(reading(5.0), reading(), before_s=0.0).tolist() == [OTHER_START]
    assert log_fit(reading(exited=True), reading(), before_s=0.0).tolist() == [pytest.approx(OTHER_ERROR_SAYS)]
    assert log_fit(reading(raising=True), reading(), before_s=0.0).tolist() == [pytest.approx(OTHER_ERROR_SAYS)]


def test_when_a_release_was_started_tells_a_new_one_from_one_that_was_there_before() -> None:
    # The first observation was 10 s before, so the release of 4 s ago came later. The other two were there already,
    # and how long they were is a matter of how a world opens an episode.
    new, before, long_before = reading(4.0), reading(22.0), reading(30.0)
    assert log_fit(before, long_before, before_s=10.0).tolist() == [0.0]
    assert log_fit(new, before, before_s=10.0).tolist() == [OTHER_START]


def test_where_only_a_harmless_release_can_be_it_hardly_matters_whether_there_is_one() -> None:
    harmless = reading(22.0, certain=False)
    for there in (reading(), reading(22.0), reading(60.0)):
        assert log_fit(there, harmless, before_s=10.0).item() == pytest.approx(math.log(0.5), abs=0.25)
    assert log_fit(reading(4.0), harmless, before_s=10.0).item() < OTHER_START
    assert log_fit(reading(22.0), reading(certain=False), before_s=10.0).tolist() == [OTHER_START]
    assert log_fit(reading(), reading(certain=False), before_s=10.0).tolist() == [0.0]


def line(event: str, text: str = "", age_s: float = 1.0, level: Level = Level.INFO) -> LogLine:
    return LogLine(age_s=age_s, level=level, event=event, text=text)


def test_a_reading_takes_the_last_start() -> None:
    read = reading_of((line("started", "release=1.5.0", 9.0), line("started", "release=1.4.0", 2.5)))
    assert (read.other_release.tolist(), read.started_s_ago.tolist()) == ([False], [2.5])


def test_a_reading_tells_an_error_of_the_code_from_the_last_word_of_a_process() -> None:
    raising = reading_of((line("request_failed", "code=500", level=Level.ERROR),))
    assert (raising.raising.tolist(), raising.exited.tolist()) == ([True], [False])
    exited = reading_of((line("exiting", "error=NumbersUsedUp", level=Level.ERROR),))
    assert (exited.raising.tolist(), exited.exited.tolist()) == ([False], [True])


def test_an_empty_log_tells_nothing() -> None:
    read = reading_of(())
    assert [bool(values[0]) for values in vars(read).values()] == [
        False,
        True,
        True,
        False,
        False,
        False,
    ]  # inf is true
