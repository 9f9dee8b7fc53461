"""The environment for TRL: its tools are the actions, its texts those of the policy `llm`, and TRL trains on it."""

from __future__ import annotations

import inspect
from pathlib import Path
from typing import Any, get_args

import pytest

from mirr.agents.llm.answers import tools
from mirr.agents.llm.conversation import Conversation
from mirr.agents.training.trl_environment import (
    STEP_COST,
    AlarmEnvironment,
    IncidentEnvironment,
    ModeName,
    ServiceName,
    prompts,
    reward,
)
from mirr.env.briefing import MODE_SAYS, VERBS, Verb
from mirr.env.environment import Environment, EpisodeError
from mirr.env.scenario import EpisodeConfig
from mirr.env.simulator.world import SimulatedWorld
from mirr.env.vocabulary import FaultMode, Service, Tier, parse_action

SEED = 7


def offered(kind: type[IncidentEnvironment]) -> dict[str, Any]:
    """The tools that TRL finds: all public methods but `reset`."""
    found = inspect.getmembers(kind, inspect.isfunction)
    return {name: method for name, method in found if not name.startswith("_") and name != "reset"}


def begun(seed: int = SEED, tier: str = "easy") -> IncidentEnvironment:
    environment = IncidentEnvironment()
    environment.reset(seed=seed, tier=tier)
    return environment


def test_there_is_a_method_for_each_tool_and_no_other() -> None:
    for kind, config in (
        (IncidentEnvironment, EpisodeConfig()),
        (AlarmEnvironment, EpisodeConfig(none_diagnosis=True)),
    ):
        assert set(offered(kind)) == {tool["function"]["name"] for tool in tools(config)}


@pytest.mark.parametrize("verb", VERBS.values(), ids=lambda verb: verb.name)
def test_a_docstring_says_what_the_tool_says(verb: Verb) -> None:
    method = offered(AlarmEnvironment)[verb.name]
    text = inspect.getdoc(method) or ""
    assert text.startswith(f"{verb.says}\n")
    arguments = [name for name, wanted in (("service", verb.service), ("mode", verb.mode)) if wanted]
    assert list(inspect.signature(method).parameters) == ["self", *arguments]
    for name in arguments:
        assert f"\n    {name}: " in text
    if verb.mode:
        assert MODE_SAYS in " ".join(text.split())


def test_the_choices_are_those_of_the_vocabulary() -> None:
    assert get_args(ServiceName) == tuple(Service)
    assert get_args(ModeName) == tuple(FaultMode)


def test_an_episode_reads_as_it_does_for_the_policy() -> None:
    ours = IncidentEnvironment()
    environment = Environment(SimulatedWorld())
    talk = Conversation(EpisodeConfig())
    seen, _ = environment.reset(seed=SEED)
    assert ours.reset(seed=SEED, tier="easy", prompt="of no interest") == talk.see(seen)
    for text, answer in (("check_logs(auth)", ours.check_logs("auth")), ("restart(auth)", ours.restart("auth"))):
        seen, *_ = environment.step(parse_action(text))
        assert answer == talk.see(seen)


def test_the_reward_is_that_of_the_episode_less_the_cost_of_its_steps() -> None:
    environment = IncidentEnvironment()
    environment.reset(seed=SEED)
    plain = Environment(SimulatedWorld())
    plain.reset(seed=SEED)
    earned, steps, over = 0.0, 0, False
    while not over:
        _, paid, terminated, truncated, _ = plain.step(parse_action("wait"))
        earned, steps, over = earned + paid, steps + 1, terminated or truncated
    assert reward([environment]) == [earned - STEP_COST * steps]


def test_a_model_that_stops_early_waits_for_the_rest_of_the_episode() -> None:
    stopped, waited = begun(), begun()
    for _ in range(3):
        waited.wait()
    assert reward([stopped]) == reward([waited])


def test_nonsense_costs_a_step_and_says_so() -> None:
    environment = begun()
    with pytest.raises(ValueError, match=r"^restart cannot take the arguments .* The step passed with wait\.$"):
        environment.restart("shop")  # type: ignore[arg-type]  # as a model may call it
    assert environment.wait().endswith("step 2, 28 left")


def test_after_the_end_there_is_no_step() -> None:
    environment = begun()
    reward([environment])
    with pytest.raises(ValueError, match=r"^the episode is over$"):
        environment.wait()


def test_the_tool_for_false_alarms_is_only_where_they_may_be() -> None:
    environment = AlarmEnvironment()
    assert environment.reset(seed=1, tier="hard").endswith("step 0, 30 left")
    assert "diagnosis noted: nothing is broken" in environment.diagnose_none()
    with pytest.raises(EpisodeError, match=r"^in the tier easy something is broken; next: "):
        environment.reset(seed=1, tier="easy")


def test_each_prompt_has_the_seed_of_its_incident() -> None:
    first, second = prompts([1, 2], Tier.MEDIUM)
    assert (first["seed"], second["seed"], first["tier"]) == (1, 2, "medium")
    assert [each["role"] for each in first["prompt"]] == ["system", "user"]
    assert first["prompt"][0]["content"].endswith("Call one tool in each step.")


@pytest.mark.thorough
def test_trl_trains_on_it_for_a_few_steps(tmp_path: Path) -> None:
    for package in ("trl", "datasets", "transformers", "torch"):
        pytest.importorskip(package, reason=f"{package} is not installed")
    from tests.agents.training.trl_trial import trained

    steps, calls, rewards = trained(tmp_path, steps=2)
    assert steps == 2
    assert calls == 8  # two steps of two episodes, and two calls in each
    assert len(rewards) == 2
    assert max(rewards) <= -STEP_COST  # reading logs is not enough
