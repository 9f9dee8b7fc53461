"""PPO on a CPU: both networks are one, a short training learns more than chance, and a killed one goes on."""

from __future__ import annotations

import csv
import json
from dataclasses import replace
from pathlib import Path
from typing import Any

import numpy as np
import pytest
from numpy.typing import NDArray

from mirr.agents.ppo.network import Size, scores
from mirr.agents.ppo.notes import CHOICES, OWN, SERVICES, SHARED, Floats
from tests.agents.ppo.networks import TINY

pytestmark = pytest.mark.thorough

torch = pytest.importorskip("torch", reason="PyTorch is not installed: pip install 'mirr-lab[train]'")

from mirr.agents.ppo.policy import load_checkpoint  # noqa: E402
from mirr.agents.registry import PolicyName  # noqa: E402
from mirr.agents.training import ppo_training  # noqa: E402
from mirr.agents.training.arena import TRUTHS, Arena, judged, judged_policy  # noqa: E402
from mirr.agents.training.ppo import ImitationPlan, Ppo, PpoPlan, Seen, favoured  # noqa: E402
from mirr.agents.training.ppo_network import Actor  # noqa: E402
from mirr.agents.training.ppo_training import (  # noqa: E402
    FIRST_PPO_SEED,
    CannotGoOn,
    Simulator,
    Tools,
    Trainer,
    Training,
)
from mirr.agents.weights import BadCheckpoint  # noqa: E402 - PyTorch is looked for first
from mirr.env.scenario import draw  # noqa: E402
from mirr.env.simulator.randomisation import Randomisation, default_parameters  # noqa: E402
from mirr.env.vocabulary import Breaks, Tier  # noqa: E402
from mirr.env.world import WorldError  # noqa: E402

CPU = torch.device("cpu")
SMALL = Size(width=32, together=32)
SHORT = PpoPlan(rows=64, steps=8, passes=2, at_once=128)
TINY_TRAINING = Training(
    tier=Tier.EASY, minutes=None, steps=2 * 512, size=TINY, ppo=SHORT, validate_s=0.0, validated=16, judged=16
)


def random_notes(count: int, seed: int = 0) -> tuple[Floats, Floats]:
    rng = np.random.default_rng(seed)
    own = rng.normal(size=(count, SERVICES, OWN)).astype(np.float32)
    return own, rng.normal(size=(count, SHARED)).astype(np.float32)


def learner(plan: PpoPlan = SHORT, *, size: Size = TINY, seed: int = 0, tier: Tier = Tier.EASY) -> Ppo:
    arena = Arena(plan.rows, tier, threads=1)
    arena.begin(range(FIRST_PPO_SEED, FIRST_PPO_SEED + plan.rows))
    return Ppo(plan, arena, size, CPU, seed)


def tools(said: list[str] | None = None) -> Tools:
    seconds = iter(float(number) for number in range(10_000))
    return Tools(
        now=lambda: next(seconds), say=(said if said is not None else []).append, commit="abc", threads=1, device=CPU
    )


def test_numpy_and_pytorch_compute_the_same() -> None:
    actor = Actor(Size(), seed=3)
    own, shared = random_notes(64)
    with torch.no_grad():
        found = actor(torch.from_numpy(own), torch.from_numpy(shared)).numpy()
    assert np.abs(scores(actor.weights(), own, shared) - found).max() < 1e-5


def test_a_checkpoint_is_what_the_policy_reads(tmp_path: Path) -> None:
    actor, other = Actor(TINY, seed=0), Actor(TINY, seed=1)
    actor.save(tmp_path / "a")
    other.load(tmp_path / "a")
    read = load_checkpoint(tmp_path / "a")
    assert all(np.array_equal(read.weights[name], value) for name, value in other.weights().items())
    with pytest.raises(BadCheckpoint) as refused:
        Actor(SMALL).load(tmp_path / "a")
    assert str(refused.value) == (
        f"{tmp_path / 'a'} has another size, Size(width=8, together=8); this network has Size(width=32, together=32)"
    )


def test_a_few_iterations_earn_more_than_chance() -> None:
    plan = PpoPlan(rows=256, steps=16, passes=3, at_once=512, learning_rate=3e-3, entropy_worth=0.0)
    ppo = learner(plan, size=SMALL)
    found = [ppo.iterate(0.0) for _ in range(16)]
    # The first iterations play at random. Ten times the spread of a mean over some hundred episodes is far from chance.
    assert np.mean([each.reward for each in found[-3:]]) > np.mean([each.reward for each in found[:3]]) + 5.0
    assert found[-1].entropy < found[0].entropy


def test_the_same_seed_learns_the_same() -> None:
    networks = []
    for _ in range(2):
        ppo = learner()
        ppo.iterate(0.0)
        networks.append(ppo.actor)
    assert all(torch.equal(one, other) for one, other in zip(*(n.parameters() for n in networks), strict=True))


def test_an_advantage_is_what_came_minus_what_was_expected() -> None:
    ppo = learner(replace(SHORT, rows=1, steps=3, discount=0.5, trace=0.5))
    rewards, over = np.array([[1.0], [2.0], [4.0]]), np.array([[False], [True], [False]])
    values = np.array([[10.0], [20.0], [30.0], [40.0]])
    last = 4.0 + 0.5 * 40.0 - 30.0
    ending = 2.0 - 20.0  # nothing comes after the end of an episode
    first = 1.0 + 0.5 * 20.0 - 10.0 + 0.25 * ending
    assert ppo._advantages(rewards, over, values)[:, 0].tolist() == [first, ending, last]


def test_an_action_that_is_not_allowed_is_never_drawn() -> None:
    ppo = learner()
    own, shared = random_notes(500)
    allowed = np.random.default_rng(0).random((500, CHOICES)) < 0.2
    allowed[:, 0] = True
    read = (torch.from_numpy(own), torch.from_numpy(shared), torch.from_numpy(allowed))
    seen = Seen(*read, torch.zeros(500, TRUTHS))
    drawn = ppo._drawn(ppo._log_shares(seen)).numpy()
    assert allowed[np.arange(500), drawn].all()


def test_the_actor_does_not_see_what_is_true() -> None:
    ppo = learner()
    own, shared = random_notes(4)
    allowed = torch.ones(4, CHOICES, dtype=torch.bool)
    one, other = (
        Seen(torch.from_numpy(own), torch.from_numpy(shared), allowed, torch.full((4, TRUTHS), value))
        for value in (0.0, 1.0)
    )
    assert torch.equal(ppo._log_shares(one), ppo._log_shares(other))
    assert not torch.equal(ppo._values(one), ppo._values(other))


def test_the_truth_names_the_fault() -> None:
    arena = Arena(32, Tier.EASY, threads=1)
    arena.begin(range(32))
    truth: NDArray[Any] = arena.truth()
    assert truth.shape == (32, TRUTHS)
    services = [draw(seed).faults[0].service for seed in range(32)]
    by_service = {service: truth[[each is service for each in services]] for service in set(services)}
    assert all((rows.min(axis=0) == 1.0).any() for rows in by_service.values())
    assert draw(0).timeline[0].event == Breaks(draw(0).faults[0])


def test_the_arena_judges_a_policy_as_mirr_evaluate_does() -> None:
    found, shown = judged_policy(PolicyName.HEURISTIC, range(64), Tier.EASY, threads=1)
    assert found.endings.resolved.all()
    assert len(shown) == found.endings.steps.sum()
    assert shown.allowed[np.arange(len(shown)), shown.actions].all()
    told = found.to_json()
    assert (told["episodes"], told["resolved"]) == (64, 1.0)
    assert 0.0 < float(str(told["mean_time_to_mitigate_s"])) < 20.0


def test_imitation_teaches_what_was_shown() -> None:
    _, shown = judged_policy(PolicyName.HEURISTIC, range(1_000_000, 1_000_256), Tier.EASY, threads=1)
    ppo = learner(size=SMALL)
    losses = list(ppo.imitate(shown, ImitationPlan(passes=8, at_once=64, learning_rate=3e-3)))
    assert losses[-1] < 0.5 * losses[0]
    before = [each.clone() for each in ppo.actor.parameters()]
    ppo.iterate(0.0, critic_alone=True)
    assert all(torch.equal(one, other) for one, other in zip(before, ppo.actor.parameters(), strict=True))
    assert judged(range(64), Tier.EASY, favoured(ppo.actor), threads=1).endings.rewards.mean() > 0.0


def test_a_whole_training_leaves_a_checkpoint_its_provenance_and_its_curve(tmp_path: Path) -> None:
    said: list[str] = []
    provenance = Trainer(TINY_TRAINING, tmp_path, tools(said)).run()
    assert sorted(path.name for path in tmp_path.iterdir()) == [
        "ppo-curve.csv",
        "ppo.json",
        "ppo.safetensors",
    ]
    assert json.loads((tmp_path / "ppo.json").read_text(encoding="utf-8")) == json.loads(json.dumps(provenance))
    assert (provenance["commit"], provenance["device"], provenance["steps"]) == ("abc", "CPU", 1024)
    with (tmp_path / "ppo-curve.csv").open(encoding="utf-8") as file:
        curve = list(csv.DictReader(file))
    assert [point["steps"] for point in curve] == ["512", "1024"]
    assert all(float(point["validation"]) for point in curve)
    assert load_checkpoint(tmp_path / "ppo.safetensors").size == TINY
    assert said[0] == "PPO on easy, CPU, start 1"


def test_the_curve_is_drawn(tmp_path: Path) -> None:
    pytest.importorskip("matplotlib", reason="Matplotlib is not installed: pip install 'mirr-lab[train]'")
    from mirr.agents.training.curves import draw_rewards

    point = {"seconds": 1.0, "reward": 2.0, "entropy": 3.0}
    draw_rewards([point, point | {"validation": 4.0}], "PPO", tmp_path / "a.png")
    assert (tmp_path / "a.png").read_bytes().startswith(b"\x89PNG")


class Killed(Exception):
    """Stands for a kill in the middle of a training."""


def killed_after(validations: int, training: Training, out: Path) -> None:
    """Train, and end without a word after so many validations."""
    count = 0

    def say(text: str) -> None:
        nonlocal count
        count += "favoured actions" in text
        if count > validations:
            raise Killed

    with pytest.raises(Killed):
        Trainer(training, out, replace(tools(), say=say)).run()


def test_a_training_that_was_killed_goes_on_where_it_was(tmp_path: Path) -> None:
    training = replace(TINY_TRAINING, steps=4 * 512)
    killed_after(2, training, tmp_path)
    provenance = Trainer(training, tmp_path, tools(), resume=True).run()
    assert (provenance["starts"], provenance["steps"]) == (2, 4 * 512)
    with (tmp_path / "ppo-curve.csv").open(encoding="utf-8") as file:
        assert [point["steps"] for point in csv.DictReader(file)] == ["512", "1024", "1536", "2048"]


def test_what_does_not_fit_the_training_in_a_folder_is_refused(tmp_path: Path) -> None:
    with pytest.raises(CannotGoOn) as refused:
        Trainer(TINY_TRAINING, tmp_path, tools(), resume=True)
    state = tmp_path / "ppo.state"
    assert str(refused.value) == f"{state} does not exist, so there is nothing to go on with; next: leave --resume out"
    killed_after(1, replace(TINY_TRAINING, steps=4 * 512), tmp_path)
    with pytest.raises(CannotGoOn) as refused:
        Trainer(TINY_TRAINING, tmp_path, tools())
    assert str(refused.value) == f"{tmp_path} has a training that is not over; next: --resume, or another --out"
    with pytest.raises(CannotGoOn) as refused:
        Trainer(replace(TINY_TRAINING, seed=1, tier=Tier.HARD), tmp_path, tools(), resume=True)
    assert str(refused.value) == (
        f"{state} is of a training with another seed, tier; next: the same options, or another --out"
    )


def test_a_training_says_with_which_simulator_it_learned(tmp_path: Path) -> None:
    simulator = Simulator(randomisation=Randomisation.everything(0.1, sets=2))
    training = replace(TINY_TRAINING, steps=1, simulator=simulator)
    provenance = Trainer(training, tmp_path, tools()).run()
    told: Any = provenance["training"]
    assert told["simulator"]["randomisation"]["sets"] == 2
    assert [each["cpu_quota_cores"] for each in told["simulator"]["parameters"]] == [0.3]


def test_a_training_on_several_machines_varies_each_of_them_alike() -> None:
    usual = default_parameters()
    slow = replace(usual, boot_cpu_s=2.0 * usual.boot_cpu_s)
    simulator = Simulator(parameters=(usual, slow), randomisation=Randomisation.everything(0.1, sets=3))
    boots_s = np.array([each.boot_cpu_s for each in simulator.sets().sets])  # (6,)
    np.testing.assert_allclose(boots_s[3:], 2.0 * boots_s[:3])
    assert len(set(boots_s)) == 6
    as_they_are = replace(simulator, randomisation=None)
    assert as_they_are.sets().sets == (usual, slow)
    told: Any = as_they_are.to_json()
    assert [each["boot_cpu_s"] for each in told["parameters"]] == [usual.boot_cpu_s, slow.boot_cpu_s]


def test_a_training_on_simulators_that_differ_comes_to_its_end(tmp_path: Path) -> None:
    simulator = Simulator(randomisation=Randomisation.everything(0.1, sets=8))
    training = replace(TINY_TRAINING, tier=Tier.HARD, steps=8 * 512, validate_s=1e9, simulator=simulator)
    provenance = Trainer(training, tmp_path, tools()).run()
    assert (provenance["starts"], provenance["steps"]) == (1, 8 * 512)


class Stumbling(Arena):
    """An arena in which a fault does not land at some of its steps."""

    stumbles_at: frozenset[int] = frozenset()
    stepped = 0

    def step(self, actions: NDArray[Any]) -> tuple[NDArray[np.float64], NDArray[np.bool_]]:
        self.stepped += 1
        if self.stepped in self.stumbles_at:
            raise WorldError("crashed:auth did not land")
        return super().step(actions)


def test_a_fault_that_does_not_land_does_not_end_a_training(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(ppo_training, "Arena", Stumbling)
    monkeypatch.setattr(Stumbling, "stumbles_at", {3})
    said: list[str] = []
    provenance = Trainer(TINY_TRAINING, tmp_path / "once", tools(said)).run()
    assert said[1] == "crashed:auth did not land; all episodes begin anew, with other seeds"
    assert (provenance["starts"], provenance["steps"]) == (2, 2 * 512)

    monkeypatch.setattr(Stumbling, "stumbles_at", {3, 4})
    with pytest.raises(WorldError, match="crashed:auth did not land"):
        Trainer(TINY_TRAINING, tmp_path / "twice", tools()).run()
