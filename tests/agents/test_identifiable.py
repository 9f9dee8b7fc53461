"""The tier `medium` is fair: what an agent can see within eight steps tells the modes apart.

A script waits and reads the logs of whatever looks worst. A small model then learns the answers from what was seen. It
reads each service's numbers in the same way, and its 20 outputs are the 20 answers.
"""

from __future__ import annotations

import warnings
from dataclasses import dataclass

import numpy as np
import pytest
from numpy.typing import NDArray

from mirr.env.forms import all_forms, form_name
from mirr.env.objectives import FEATURE_COLUMN, SERVICE_ROW
from mirr.env.scenario import draw
from mirr.env.simulator.batch import BatchedSimulator
from mirr.env.vocabulary import ACTION_INDEX, CALLS, CheckLogs, FaultMode, Feature, Service, Tier

Numbers = NDArray[np.float64]

STEPS = 8
LEARNED_FROM, HELD_OUT = 4_000, 2_000  # episodes
LEAST_ACCURACY = 0.95
LEAST_OF_A_FORM = 0.85  # no form may hide among the others
READ_AGAIN = 3  # steps, after which a log may be read again

SERVICES, MODES = tuple(Service), tuple(FaultMode)
USUAL_RATES = np.array([38.0, 19.0, 30.0, 11.0, 11.0])  # requests a second, service by service
CALLED = np.array([[float(upstream in CALLS[service]) for upstream in Service] for service in Service])
FIRST_LOG = ACTION_INDEX[CheckLogs(SERVICES[0])]


@dataclass(frozen=True)
class Seen:
    """What was seen in many episodes, and what they were."""

    windows: Numbers  # (episodes, windows, services, features), NaN where nothing was seen
    logs: Numbers  # (episodes, services, log numbers)
    answers: NDArray[np.int64]  # (episodes,), the number of service and mode
    forms: list[str]


def suspicion(features: Numbers) -> Numbers:  # (episodes, services)
    """How bad each service looks in one window: down, swollen, swamped, or with errors of its own."""
    up, errors, cpu, memory, busy = (
        features[..., FEATURE_COLUMN[feature]]
        for feature in (Feature.UP, Feature.ERROR_RATIO, Feature.CPU_SHARE, Feature.MEMORY_SHARE, Feature.IN_FLIGHT)
    )
    swollen = memory / np.nanmedian(memory, axis=-1, keepdims=True) - 1.0
    worst_below = (np.nan_to_num(errors, nan=1.0)[:, None, :] * CALLED).max(axis=-1)
    bad = np.nan_to_num(swollen) + np.nan_to_num(cpu) * np.nan_to_num(busy) / 20.0
    bad += np.maximum(0.0, np.nan_to_num(errors) - worst_below)
    return np.where(up < 1.0, 10.0, bad)


def played(seeds: range) -> Seen:
    """Each step reads the log of the service that looks worst, among those that were not read lately."""
    batch = BatchedSimulator(len(seeds), tier=Tier.MEDIUM)
    features = batch.reset(list(seeds)).astype(np.float64)
    windows = [features]
    over = np.zeros(len(seeds), dtype=bool)
    logs = batch.logged().astype(np.float64)
    last_read = np.full((len(seeds), len(SERVICES)), -READ_AGAIN)
    for step in range(1, STEPS + 1):
        worst = np.where(step - last_read >= READ_AGAIN, suspicion(features), -np.inf).argmax(axis=-1)
        last_read[np.arange(len(seeds)), worst] = step
        shown, _, terminated, _ = batch.step(FIRST_LOG + worst)
        features = shown.astype(np.float64)
        # An episode that is over shows nothing more. The batch has begun another one in its place.
        windows.append(np.where(over[:, None, None], np.nan, features))
        logs = np.where(over[:, None, None], logs, batch.logged())
        over |= terminated
    faults = [draw(seed, tier=Tier.MEDIUM).faults[0] for seed in seeds]
    return Seen(
        windows=np.stack(windows, axis=1),
        logs=logs,
        answers=np.array([SERVICE_ROW[each.service] * len(MODES) + MODES.index(each.mode) for each in faults]),
        forms=[form_name(each.mode, each.form) for each in faults],
    )


def inputs(seen: Seen) -> Numbers:  # (episodes, services, inputs)
    """What the model gets for each service: the means and the last values of its metrics, and its log."""
    windows = seen.windows
    up, rate, errors, p95, cpu, memory, busy = (windows[..., FEATURE_COLUMN[feature]] for feature in Feature)
    with warnings.catch_warnings():
        warnings.simplefilter("ignore", RuntimeWarning)  # means of nothing are NaN, and become 0 below
        rise = memory / np.nanmedian(memory, axis=-1, keepdims=True)
        of_metrics = [
            np.nanmean(up, axis=1),
            np.log(np.maximum(0.05, np.nanmean(rate, axis=1) / USUAL_RATES)),
            np.nanmean(errors, axis=1),
            np.log(np.maximum(0.005, np.nanmean(p95, axis=1))),
            np.nanmean(cpu, axis=1),
            np.log(np.maximum(1.0, np.nanmean(busy, axis=1))),
            np.nanmean(rise, axis=1),
            np.nanmean(rise[:, -3:], axis=1),
            np.nanmax(rise, axis=1),
        ]
    own = np.nan_to_num(np.stack(of_metrics, axis=-1))
    around = np.einsum("ij,ejk->eik", CALLED, own[..., [0, 2]])  # what its upstreams do
    return np.concatenate([own, around, seen.logs], axis=-1)


class Model:
    """A layer of hidden units for each service, the same for all, and a softmax over the 20 answers."""

    HIDDEN, ROUNDS, BATCH, STEP = 32, 30, 200, 0.01

    def __init__(self, inputs: Numbers, answers: NDArray[np.int64], rng: np.random.Generator) -> None:
        flat = inputs.reshape(-1, inputs.shape[-1])
        self._mean, self._scale = flat.mean(axis=0), flat.std(axis=0) + 1e-6
        width = inputs.shape[-1]
        self._weights = [
            rng.normal(size=(width, self.HIDDEN)) / np.sqrt(width),
            np.zeros(self.HIDDEN),
            rng.normal(size=(self.HIDDEN, len(MODES))) / np.sqrt(self.HIDDEN),
            np.zeros(len(MODES)),
        ]
        self._learn((inputs - self._mean) / self._scale, answers, rng)

    def _learn(self, scaled: Numbers, answers: NDArray[np.int64], rng: np.random.Generator) -> None:
        """Adam on the cross entropy."""
        moments = [(np.zeros_like(each), np.zeros_like(each)) for each in self._weights]
        taken = 0
        for _ in range(self.ROUNDS):
            for chosen in np.array_split(rng.permutation(len(answers)), len(answers) // self.BATCH):
                taken += 1
                for i, slope in enumerate(self._slopes(scaled[chosen], answers[chosen])):
                    first, second = moments[i]
                    first += 0.1 * (slope - first)
                    second += 0.001 * (slope**2 - second)
                    ahead = first / (1.0 - 0.9**taken)
                    self._weights[i] -= self.STEP * ahead / (np.sqrt(second / (1.0 - 0.999**taken)) + 1e-8)

    def _slopes(self, scaled: Numbers, answers: NDArray[np.int64]) -> list[Numbers]:
        hidden, shares = self._forward(scaled)
        off = shares.copy()
        off[np.arange(len(answers)), answers] -= 1.0
        off = off.reshape(len(answers), len(SERVICES), len(MODES)) / len(answers)
        back = (off @ self._weights[2].T) * (1.0 - hidden**2)
        return [
            np.einsum("esi,esh->ih", scaled, back),
            back.sum(axis=(0, 1)),
            np.einsum("esh,esm->hm", hidden, off),
            off.sum(axis=(0, 1)),
        ]

    def _forward(self, scaled: Numbers) -> tuple[Numbers, Numbers]:  # (episodes, services, hidden), (episodes, answers)
        into, bias, out, lift = self._weights
        hidden = np.tanh(scaled @ into + bias)
        logits = (hidden @ out + lift).reshape(len(scaled), -1)
        raised = np.exp(logits - logits.max(axis=-1, keepdims=True))
        return hidden, raised / raised.sum(axis=-1, keepdims=True)

    def modes(self, inputs: Numbers) -> NDArray[np.int64]:  # (episodes,)
        """The number of the mode that is most likely, wherever it is."""
        _, shares = self._forward((inputs - self._mean) / self._scale)
        return np.asarray(shares.reshape(len(inputs), len(SERVICES), len(MODES)).sum(axis=1).argmax(axis=-1))


@pytest.mark.thorough
def test_a_small_model_tells_the_mode_from_eight_steps_of_medium() -> None:
    learned = played(range(1_000_000, 1_000_000 + LEARNED_FROM))
    held_out = played(range(2_000_000, 2_000_000 + HELD_OUT))
    model = Model(inputs(learned), learned.answers, np.random.default_rng(0))
    right = model.modes(inputs(held_out)) == held_out.answers % len(MODES)
    by_form = {
        name: float(np.mean(right[np.array(held_out.forms) == name]))
        for forms in all_forms().values()
        for name in forms
    }
    assert right.mean() >= LEAST_ACCURACY, f"{right.mean():.3f} of the modes, by form: {by_form}"
    assert min(by_form.values()) >= LEAST_OF_A_FORM, by_form
