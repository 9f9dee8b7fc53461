"""The notes of an agent: the same in a batch as alone, and they say what is still of use."""

from __future__ import annotations

import numpy as np

from mirr.agents.language_model.notebook import Notebook
from mirr.agents.language_model.words import FEATURES, LOG_FLAGS, UNSEEN, Briefing, encode, levels
from mirr.env.environment import Environment
from mirr.env.logs import LOG_NUMBERS_SHAPE, LogBook
from mirr.env.objectives import SERVICE_ROW
from mirr.env.simulator.batch import BatchedSimulator
from mirr.env.simulator.fast import rows as k
from mirr.env.simulator.world import SimulatedWorld
from mirr.env.vocabulary import ACTION_INDEX, ACTIONS, Service, parse_action
from mirr.env.world import FEATURES_SHAPE

CALM = np.full((1, *FEATURES_SHAPE), 1.0, dtype=np.float32)
NO_LOGS = np.zeros((1, *LOG_NUMBERS_SHAPE), dtype=np.float32)
STEPS = 12


def noted(*actions: str, accepted: bool = True) -> Notebook:
    notebook = Notebook(1)
    notebook.begin(CALM)
    for action in actions:
        number = np.array([ACTION_INDEX[parse_action(action)]])
        notebook.note(number, np.array([accepted]), CALM, NO_LOGS)
    return notebook


def forbidden(notebook: Notebook) -> list[str]:
    from mirr.env.vocabulary import action_text

    return [action_text(ACTIONS[number]) for number in np.flatnonzero(~notebook.allowed[0])]


def briefings_in_a_batch(seeds: range, actions: np.ndarray) -> list[np.ndarray]:
    batch = BatchedSimulator(len(seeds))
    notebook = Notebook(len(seeds))
    notebook.begin(batch.reset(seeds))
    found = [encode(notebook.briefing())]
    for chosen in actions:
        features, *_ = batch.step(chosen)
        notebook.note(chosen, batch.column(k.RESULT) == k.ACCEPTED, features, batch.logged())
        found.append(encode(notebook.briefing()))
    return found


def briefings_alone(seed: int, actions: np.ndarray) -> list[np.ndarray]:
    """As many as there are until the episode is over."""
    environment, notebook, logs = Environment(SimulatedWorld()), Notebook(1), LogBook()
    observation, _ = environment.reset(seed=seed)
    notebook.begin(observation.features[None])
    found = [encode(notebook.briefing())[0]]
    for chosen in actions:
        observation, _, terminated, truncated, _ = environment.step(int(chosen))
        if terminated or truncated:
            return found
        logs.note(observation.step, observation.logs_of, observation.logs)
        accepted = np.array([observation.last_accepted])
        notebook.note(np.array([chosen]), accepted, observation.features[None], logs.numbers()[None])
        found.append(encode(notebook.briefing())[0])
    return found


def test_an_agent_alone_notes_the_same_as_in_a_batch() -> None:
    seeds = range(20)
    actions = np.random.default_rng(0).integers(len(ACTIONS), size=(STEPS, len(seeds)))
    together = briefings_in_a_batch(seeds, actions)
    for place, seed in enumerate(seeds):
        alone = briefings_alone(seed, actions[:, place])
        assert len(alone) > 1
        assert np.array_equal(alone, [step[place] for step in together[: len(alone)]])


def test_everything_is_allowed_before_the_first_action() -> None:
    assert forbidden(noted()) == []


def test_a_second_diagnosis_is_not_allowed() -> None:
    assert len(forbidden(noted("diagnose(auth, crashed)"))) == 20


def test_a_second_scale_up_is_allowed_only_if_the_first_was_refused() -> None:
    assert forbidden(noted("scale_up(auth)")) == ["scale_up(auth)"]
    assert forbidden(noted("scale_up(auth)", accepted=False)) == []


def test_a_second_rollback_is_not_allowed() -> None:
    assert forbidden(noted("rollback(orders)", "wait")) == ["rollback(orders)"]


def test_the_first_diagnosis_is_remembered_and_no_later_one() -> None:
    briefing = noted("diagnose(gateway, memory_leak)", "diagnose(auth, crashed)", *["wait"] * 20).briefing()
    assert briefing.diagnosis.tolist() == [2]
    assert briefing.past.tolist() == [[1] * 8]
    assert briefing.step.tolist() == [22]


def test_a_refused_action_is_remembered_as_refused() -> None:
    number = ACTION_INDEX[parse_action("rollback(auth)")]
    briefing = noted("rollback(auth)", accepted=False).briefing()
    assert briefing.past.tolist() == [[0] * 7 + [1 + number + len(ACTIONS)]]


def test_what_was_last_seen_of_a_service_that_is_down_is_kept() -> None:
    down = CALM.copy()
    down[0, SERVICE_ROW[Service.AUTH]] = np.nan
    notebook, wait = Notebook(1), np.array([0])
    notebook.begin(CALM)
    for _ in range(3):
        notebook.note(wait, np.array([True]), down, NO_LOGS)
    briefing: Briefing = notebook.briefing()
    auth = SERVICE_ROW[Service.AUTH]
    assert briefing.before[0, auth].tolist() == levels(CALM)[0, auth].tolist()
    assert briefing.now[0, auth].tolist() == [UNSEEN] * len(FEATURES)


def test_a_log_that_was_read_has_a_word_of_its_own_for_what_it_told() -> None:
    notebook, read = Notebook(1), NO_LOGS.copy()
    notebook.begin(CALM)
    read[0, SERVICE_ROW[Service.ORDERS]] = [1, 0, 1, 1, 0, 0, 1]  # one start of another release, and one kind of error
    notebook.note(np.array([4]), np.array([True]), CALM, read)
    bits = sum(1 << LOG_FLAGS.index(flag) for flag in ("errors", "other release"))
    assert notebook.briefing().logs.tolist() == [[0, 0, 0, 1 + bits, 0]]
