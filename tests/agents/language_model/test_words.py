"""Prompts: nothing is lost between a briefing and its words, and what is no prompt is refused."""

from __future__ import annotations

import numpy as np
import pytest

from mirr.agents.language_model.words import (
    FEATURES,
    FLOORS,
    LENGTH,
    PLACES,
    SERVICES,
    UNSEEN,
    VOCABULARY,
    NotAPrompt,
    decode,
    encode,
    levels,
    same,
)
from mirr.env.objectives import FEATURE_COLUMN, SERVICE_ROW
from mirr.env.vocabulary import Feature, Service
from mirr.env.world import FEATURES_SHAPE
from tests.agents.language_model.briefings import random_briefing


def test_a_briefing_survives_encoding_and_decoding() -> None:
    briefing = random_briefing(2000)
    words = encode(briefing)
    assert words.shape == (2000, LENGTH)
    assert (words.min(), words.max()) == (0, VOCABULARY - 1)
    assert same(decode(words), briefing)


def test_different_briefings_have_different_words() -> None:
    words = encode(random_briefing(2000))
    assert len(np.unique(words, axis=0)) == 2000


def test_the_prompt_has_45_words() -> None:
    assert (LENGTH, VOCABULARY) == (45, 768)


@pytest.mark.parametrize(("place", "word"), [(0, -1), (0, 31), (1, 30), (44, VOCABULARY)])
def test_a_word_that_cannot_be_at_its_place_is_refused(place: int, word: int) -> None:
    words = encode(random_briefing(3))
    words[2, place] = word
    kind = PLACES[place]
    with pytest.raises(NotAPrompt) as refused:
        decode(words)
    assert str(refused.value) == (
        f"prompt 2 has word {word} at place {place}; there it is one of {kind.first} to {kind.first + kind.count - 1}"
    )


def test_words_of_another_shape_are_refused() -> None:
    with pytest.raises(NotAPrompt, match=r"^a prompt has 45 words, so prompts are \(n, 45\); got \(3, 44\)$"):
        decode(encode(random_briefing(3))[:, 1:])


def test_a_level_begins_at_its_floor() -> None:
    features = np.ones((len(FLOORS[Feature.ERROR_RATIO]), *FEATURES_SHAPE), dtype=np.float32)
    for place, floor in enumerate(FLOORS[Feature.ERROR_RATIO]):
        features[place, :, FEATURE_COLUMN[Feature.ERROR_RATIO]] = floor * 1.001
    found = levels(features)[:, 0, FEATURES.index(Feature.ERROR_RATIO)]
    assert found.tolist() == [1, 2, 3, 4, 5, 6, 7, 8]


def test_what_could_not_be_measured_is_unseen() -> None:
    features = np.ones((1, *FEATURES_SHAPE), dtype=np.float32)
    features[0, SERVICE_ROW[Service.AUTH], FEATURE_COLUMN[Feature.UP]] = 0.0
    features[0, SERVICE_ROW[Service.ORDERS], FEATURE_COLUMN[Feature.LATENCY_P95_S]] = np.nan
    unseen = np.zeros((SERVICES, len(FEATURES)), dtype=np.bool_)
    unseen[SERVICE_ROW[Service.AUTH]] = True
    unseen[SERVICE_ROW[Service.ORDERS], FEATURES.index(Feature.LATENCY_P95_S)] = True
    assert np.array_equal(levels(features)[0] == UNSEEN, unseen)
