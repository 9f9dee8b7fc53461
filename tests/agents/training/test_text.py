"""A prompt as text: a line for each service, and one letter for each action."""

from __future__ import annotations

import numpy as np
import pytest

from mirr.agents.language_model.words import PLACES, encode
from mirr.agents.registry import PolicyName
from mirr.agents.training.episodes import demonstrate, open_batch
from mirr.agents.training.text import ANSWERS, pieces, text_of
from mirr.env.vocabulary import ACTIONS, Tier
from tests.agents.language_model.briefings import random_briefing
from tests.agents.language_model.test_notebook import noted

PROMPT = """\
Incident, step 2.
diagnosis: auth crashed
done: diagnose auth crashed, restart auth,
logs:
before: errors, latency, cpu, memory, queue, rate
gateway 888811
auth 888811
inventory 888811
orders 888811
payments 888811
now: errors, latency, cpu, memory, queue, rate
gateway 888811
auth 888811
inventory 888811
orders 888811
payments 888811
action """


def test_a_prompt_reads_as_this_text() -> None:
    words = encode(noted("diagnose(auth, crashed)", "restart(auth)").briefing())
    assert text_of(words[0]) == PROMPT


def test_each_action_has_a_letter_of_its_own() -> None:
    assert len(ANSWERS) == len(set(ANSWERS)) == len(ACTIONS)


def test_every_word_at_every_place_has_its_own_text() -> None:
    assert [len(place) for place in pieces()] == [kind.count for kind in PLACES]
    assert all(len(set(place)) == len(place) for place in pieces())


@pytest.mark.thorough
def test_different_prompts_have_different_texts() -> None:
    words = encode(random_briefing(300))
    assert len({text_of(row) for row in words}) == len(np.unique(words, axis=0)) == 300


def test_the_prompts_of_played_episodes_have_at_most_225_tokens() -> None:
    pretrained = pytest.importorskip("mirr.agents.training.pretrained", reason="PyTorch is not installed")
    pytest.importorskip("transformers", reason="transformers is not installed")
    pytest.importorskip("gguf", reason="gguf is not installed")
    try:
        base = pretrained.find_base()
    except pretrained.NoBaseModel as error:
        pytest.skip(str(error))
    from transformers import AutoTokenizer

    tokenizer = AutoTokenizer.from_pretrained(str(base.parent), gguf_file=base.name)
    batch = open_batch(64, Tier.EASY, threads=1, spread=0.0, seed=0)
    for teacher in (PolicyName.HEURISTIC, PolicyName.BRUTE_FORCE):
        shown, _ = demonstrate(batch, teacher, range(64))
        assert max(len(tokenizer.encode(text_of(row))) for row in shown.words.astype(np.int64)) <= 225
