"""Training on a CPU: both networks are one, imitation and GRPO each improve a tiny model by more than
chance."""

from __future__ import annotations

import json
from pathlib import Path

import numpy as np
import pytest

from mirr.agents.language_model.network import Size, scores
from mirr.agents.language_model.policy import load_checkpoint
from mirr.agents.language_model.words import encode
from mirr.agents.training.episodes import Endings, play
from mirr.agents.weights import BadCheckpoint
from mirr.env.scenario import EpisodeConfig
from tests.agents.language_model.briefings import TINY, random_briefing

SMALL = Size(width=32, heads=2, layers=2)


@pytest.fixture(autouse=True)
def one_thread() -> None:
    """Every test here needs PyTorch. In such small networks, more threads would mostly wait for each other."""
    torch = pytest.importorskip("torch", reason="PyTorch is not installed: pip install 'mirr-lab[train]'")
    torch.set_num_threads(1)


def endings(rewards: list[float], steps: list[int]) -> Endings:
    flags = np.zeros(len(rewards), dtype=np.bool_)
    return Endings(rewards=np.array(rewards), steps=np.array(steps), resolved=flags, diagnosed=flags, clean=flags)


def test_numpy_and_pytorch_compute_the_same_network() -> None:
    import torch

    from mirr.agents.training.small import SmallModel

    model = SmallModel(TINY, seed=1)
    with torch.no_grad():
        for each in model.parameters():
            each.normal_(0.0, 0.3, generator=torch.Generator().manual_seed(2))
    words = encode(random_briefing(64))
    by_pytorch = model(torch.from_numpy(words)).detach().numpy()
    by_numpy = scores(model.weights(), TINY, words)
    assert by_numpy.dtype == np.float32
    assert np.abs(by_numpy - by_pytorch).max() < 1e-4 * np.abs(by_pytorch).max()


@pytest.mark.thorough
def test_imitation_improves_a_tiny_model_by_more_than_chance() -> None:
    from tests.agents.training.learning import gain, judged, taught, untrained
    from tests.agents.training.plans import SHORT

    learner = untrained(SMALL)
    before = judged(learner)
    losses = taught(learner, SHORT)
    assert losses[-1] < 0.5 * losses[0]
    assert gain(before, judged(learner))[0] > 0.0


@pytest.mark.thorough
def test_grpo_improves_a_model_that_knows_nothing_by_more_than_chance() -> None:
    from mirr.agents.training.grpo import improve
    from tests.agents.training.learning import OneFault, gain, untrained
    from tests.agents.training.plans import GRPO

    learner = untrained(TINY)
    batch = OneFault(GRPO.size, config=EpisodeConfig(max_steps=6))
    seeds = range(GRPO.size)
    before = play(batch, seeds, learner.sampled())[1]
    for done in improve(learner, batch, GRPO):
        if done.number == 8:
            break
    assert gain(before, play(batch, seeds, learner.sampled())[1])[0] > 0.0


@pytest.mark.thorough
def test_the_same_seed_trains_the_same_model() -> None:
    import torch

    from tests.agents.training.learning import taught, untrained
    from tests.agents.training.plans import BRIEF

    first, second = untrained(TINY), untrained(TINY)
    assert taught(first, BRIEF) == taught(second, BRIEF)
    pairs = zip(first.model.parameters(), second.model.parameters(), strict=True)
    assert all(torch.equal(one, other) for one, other in pairs)


def test_doing_nothing_has_less_merit_than_being_wrong_early() -> None:
    from mirr.agents.training.grpo import GrpoPlan, merits

    plan = GrpoPlan(seeds=1, group=2)
    waited, guessed = merits(endings([0.0, -4.0], [30, 8]), plan).tolist()
    assert waited < 0.0 < guessed


def test_luck_counts_little_where_all_episodes_of_a_seed_went_alike() -> None:
    from mirr.agents.training.grpo import GrpoPlan, merits

    plan = GrpoPlan(seeds=2, group=2)
    found = merits(endings([45.0, 45.2, -15.0, 45.0], [4, 4, 4, 4]), plan)
    assert found == pytest.approx([-0.05, 0.05, -1.0, 1.0])


def test_a_long_episode_counts_no_more_than_a_short_one() -> None:
    from mirr.agents.training.grpo import GrpoPlan, merits, shared

    ended = endings([45.0, -4.0], [4, 28])
    each = shared(merits(ended, GrpoPlan(seeds=1, group=2)), ended)
    assert each * ended.steps == pytest.approx([16.0, -16.0])


def test_an_action_that_is_not_allowed_is_never_drawn() -> None:
    from tests.agents.training.learning import untrained

    learner = untrained(TINY)
    words = encode(random_briefing(500))
    allowed = np.random.default_rng(0).random((500, 41)) < 0.2
    allowed[:, 0] = True
    for choose in (learner.sampled(), learner.best()):
        chosen = choose(np.arange(500), words, allowed)
        assert allowed[np.arange(500), chosen].all()


def test_a_checkpoint_is_what_the_policy_reads(tmp_path: Path) -> None:
    from mirr.agents.training.small import SmallModel, small_about

    model, other = SmallModel(TINY, seed=0), SmallModel(TINY, seed=1)
    model.save(tmp_path / "a", small_about(TINY))
    other.load(tmp_path / "a")
    read = load_checkpoint(tmp_path / "a")
    assert read.size == TINY
    assert all(np.array_equal(read.weights[name], value) for name, value in other.weights().items())


def test_a_checkpoint_of_another_size_is_refused(tmp_path: Path) -> None:
    from mirr.agents.training.small import SmallModel, small_about

    SmallModel(TINY, seed=0).save(tmp_path / "a", small_about(TINY))
    with pytest.raises(BadCheckpoint) as refused:
        SmallModel(SMALL, seed=0).load(tmp_path / "a")
    assert str(refused.value) == (
        f"{tmp_path / 'a'} has another size, Size(width=16, heads=2, layers=2); "
        "this model has Size(width=32, heads=2, layers=2)"
    )


@pytest.mark.thorough
def test_a_whole_training_leaves_a_checkpoint_and_its_provenance(tmp_path: Path) -> None:
    from mirr.agents.training.grpo import FIRST_GRPO_SEED
    from mirr.agents.training.train import Tools, new_training
    from tests.agents.training.plans import TINY_PLAN

    said: list[str] = []
    clock = iter(float(second) for second in range(1000))
    tools = Tools(now=lambda: next(clock), say=said.append, commit="abc", threads=1)
    trained = new_training(TINY_PLAN, tmp_path, tools).run()
    provenance = json.loads((tmp_path / "small.json").read_text(encoding="utf-8"))
    assert provenance == json.loads(json.dumps(trained.provenance))
    assert (provenance["commit"], provenance["device"]) == ("abc", "CPU")
    assert provenance["held_out"]["trained"]["episodes"] == TINY_PLAN.judged
    assert provenance["seeds"]["grpo_from"] == FIRST_GRPO_SEED
    assert [each["iteration"] for each in provenance["curves"]["grpo"]] == [1, 2]
    assert load_checkpoint(tmp_path / "small.safetensors").size == TINY
    assert said[0] == "training small on CPU"


@pytest.mark.thorough
def test_the_curves_are_drawn(tmp_path: Path) -> None:
    pytest.importorskip("matplotlib", reason="Matplotlib is not installed: pip install 'mirr-lab[train]'")
    from mirr.agents.training.curves import Curves, draw_curves

    grpo = {"iteration": 1, "reward": 1.0, "loss": 0.1, "entropy": 0.5, "kl": 0.1}
    curves = Curves(
        imitation=[{"pass": 1, "loss": 2.0}], grpo=[grpo, grpo], validation=[{"iteration": 0, "reward": 1.0}]
    )
    written = draw_curves(curves, "small", tmp_path, "small")
    assert [path.name for path in written] == ["small-reward.png", "small-loss.png"]
    assert all(path.read_bytes().startswith(b"\x89PNG") for path in written)
