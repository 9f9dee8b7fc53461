"""Compares many episodes. A channel that is not a symptom must not show which fault is there."""

from __future__ import annotations

from collections.abc import Callable, Iterator, Mapping, Sequence

import numpy as np
from numpy.typing import NDArray

from mirr.env.evaluation import wilson_interval
from mirr.env.forms import form_name
from mirr.env.vocabulary import ALL_FAULTS, Breaks, Bursts, Deploys, Diagnosis, Event, TrafficChanges, Wait
from tests.audit.transcript import NO_FAULT, Seen, Transcript

ALPHA = 0.001  # how often the test reports a channel that reveals nothing
OBVIOUS_S = 0.5  # an obvious difference in time; with twenty episodes ALPHA would be too strict for it
OBVIOUS_ALPHA = 0.02
SHUFFLES = 4_000
CLOCK_RESOLUTION_S = 0.1  # smaller differences come from the scheduler and the load of the machine

ON_CLOCK = "in s"

LABELS: dict[str, Callable[[Transcript], str]] = {
    "mode": lambda one: NO_FAULT if one.fault is None else str(one.fault.mode),
    "service": lambda one: NO_FAULT if one.fault is None else str(one.fault.service),
}

BY_FORM: dict[str, Callable[[Transcript], str]] = LABELS | {
    "form": lambda one: (
        NO_FAULT if one.fault is None else f"{one.fault.mode}/{form_name(one.fault.mode, one.fault.form)}"
    ),
}


def _number_of(transcript: Transcript, kind: type[Event]) -> int:
    return sum(isinstance(entry.event, kind) for entry in transcript.scenario.timeline)


def _onset(transcript: Transcript) -> int | None:
    """The step at which the first fault begins, or None."""
    steps = [entry.step for entry in transcript.scenario.timeline if isinstance(entry.event, Breaks)]
    return min(steps, default=None)


def _users(transcript: Transcript) -> str:
    """Whether fewer or more users than usual come at first."""
    changes = [entry.event for entry in transcript.scenario.timeline if isinstance(entry.event, TrafficChanges)]
    return "as usual" if not changes else "fewer" if changes[0].first < 1.0 else "more"


AROUND: dict[str, Callable[[Transcript], str]] = LABELS | {
    "number of faults": lambda one: str(_number_of(one, Breaks)),
    "number of deploys": lambda one: str(_number_of(one, Deploys)),
    "number of bursts": lambda one: str(_number_of(one, Bursts)),
    "onset": lambda one: {None: "never", 0: "at once"}.get(_onset(one), "later"),
    "traffic": _users,
}
"""What happens around an incident must not show either."""


def revealing_channels(
    transcripts: Sequence[Transcript], labels: Mapping[str, Callable[[Transcript], str]] = LABELS
) -> list[str]:
    """One sentence for each channel that is not a symptom but shows one of the `labels`: by default, the mode or the
    service of the fault."""
    found = []
    for channel, values in _channels(transcripts).items():
        for what, label in labels.items():
            told = [label(one) for one in transcripts]
            p = permutation_p_value(values, told)
            means = {
                name: float(np.mean([v for v, own in zip(values, told, strict=True) if own == name]))
                for name in sorted(set(told))
            }
            obvious = channel.endswith(ON_CLOCK) and max(means.values()) - min(means.values()) > OBVIOUS_S
            if p < (OBVIOUS_ALPHA if obvious else ALPHA):
                by_label = ", ".join(f"{name} {mean:.3g}" for name, mean in means.items())
                found.append(f"{channel} tells the {what}: {by_label} (p = {p:.2g})")
    return found


def permutation_p_value(values: Sequence[float], labels: Sequence[str], seed: int = 0) -> float:
    """How often random labels would divide the ranks of `values` as clearly as these labels do.

    This is a Kruskal-Wallis test with permutations. The result is 1 if all values are equal."""
    ranks = _ranks(np.asarray(values, dtype=np.float64))
    groups = np.array([[own == name for own in labels] for name in sorted(set(labels))], dtype=np.float64)
    if np.ptp(ranks) == 0.0 or len(groups) < 2:
        return 1.0
    sizes = groups.sum(axis=1)

    def spread(dealt: NDArray[np.float64]) -> NDArray[np.float64]:  # (deals, values) → (deals,)
        sums = dealt @ groups.T
        found: NDArray[np.float64] = (sums**2 / sizes).sum(axis=1)
        return found

    dealt = np.random.default_rng(seed).permuted(np.tile(ranks, (SHUFFLES, 1)), axis=1)
    as_clear = spread(dealt) >= spread(ranks[None, :]) - 1e-9
    return (1.0 + float(as_clear.sum())) / (SHUFFLES + 1.0)


def _ranks(values: NDArray[np.float64]) -> NDArray[np.float64]:
    """The ranks of the values. Equal values get their mean rank."""
    _, place, counts = np.unique(values, return_inverse=True, return_counts=True)
    last = np.cumsum(counts)
    mean_rank = last - (counts - 1) / 2.0
    ranks: NDArray[np.float64] = mean_rank[place].astype(np.float64)
    return ranks


def _channels(transcripts: Sequence[Transcript]) -> Mapping[str, list[float]]:
    """For each channel that is not a symptom, one number per episode."""
    # The length of an episode is a symptom, so only the steps that all episodes have are compared.
    common = min(len(one.seen) for one in transcripts)
    steps = {id(one): one.seen[1:common] for one in transcripts}
    channels: dict[str, list[float]] = {
        f"how long reset takes {ON_CLOCK}": [_on_clock(one.seen[0].took_s) for one in transcripts],
        f"how long a step takes {ON_CLOCK}": [
            _on_clock(float(np.mean([s.took_s for s in steps[id(one)]]))) for one in transcripts
        ],
    }
    keys = sorted({key for one in transcripts for seen in one.seen for key in seen.info})
    for key in keys:
        channels[f"info[{key!r}] of reset"] = [_number(one.seen[0].info.get(key)) for one in transcripts]
        channels[f"info[{key!r}] of steps"] = [
            float(np.mean([_number(seen.info.get(key)) for seen in steps[id(one)]])) for one in transcripts
        ]
    return channels


def _on_clock(seconds: float) -> float:
    return round(seconds / CLOCK_RESOLUTION_S) * CLOCK_RESOLUTION_S


def _number(value: object) -> float:
    """A field as a number. Any other value becomes a number made from the start of its text."""
    if isinstance(value, bool | int | float):
        return float(value)
    return float(int.from_bytes(repr(value).encode()[:6], "big"))


def shape_of(thing: object) -> object:
    """The fields, keys, types and shapes of a thing, without its values."""
    if isinstance(thing, np.ndarray):
        return f"{thing.dtype}{list(thing.shape)}"
    if isinstance(thing, Mapping):
        return tuple((key, shape_of(value)) for key, value in sorted(thing.items()))
    if hasattr(thing, "__dict__") and hasattr(thing, "__dataclass_fields__"):
        return (type(thing).__name__, tuple((key, shape_of(value)) for key, value in sorted(vars(thing).items())))
    if isinstance(thing, tuple):
        return "tuple"  # the number of log lines is a symptom
    return type(thing).__name__


def odd_shapes(transcripts: Sequence[Transcript]) -> list[str]:
    """Observations and infos with another shape than after the same action in an episode without a fault."""
    usual: dict[object, set[object]] = {}
    for one in transcripts:
        if one.fault is None:
            for seen in one.seen:
                usual.setdefault(_asked(seen), set()).add(_shape(seen))
    return [
        f"{one.world}, {one.name}: after {_asked(seen)} an agent is handed {_shape(seen)}, never so without a fault"
        for one in transcripts
        for seen in one.seen
        if _asked(seen) in usual and _shape(seen) not in usual[_asked(seen)]
    ]


def _asked(seen: Seen) -> str:
    return "reset" if seen.action is None else type(seen.action).__name__


def _shape(seen: Seen) -> object:
    return shape_of(seen.observation), shape_of(seen.info)


def probe(transcripts: Sequence[Transcript], folds: int = 5) -> tuple[float, tuple[float, float]]:
    """How often a trained probe names the fault from fields that are not symptoms, with the 95% interval.

    Chance is 1 in 20. The probe chooses the fault with the nearest mean vector. Each field is divided by its standard
    deviation. The probe for an episode is trained on other episodes."""
    with_fault = [one for one in transcripts if one.fault is not None]
    fields = np.array([list(_fields(one)) for one in with_fault])
    places = np.array([ALL_FAULTS.index(one.fault) for one in with_fault if one.fault is not None])
    fold_of = np.random.default_rng(0).permutation(len(with_fault)) % folds
    right = 0
    for fold in range(folds):
        known, asked = fold_of != fold, fold_of == fold
        spread = fields[known].std(axis=0)
        scaled = (fields - fields[known].mean(axis=0)) / np.where(spread > 0.0, spread, 1.0)
        present = sorted(set(places[known].tolist()))
        centres = np.array([scaled[known & (places == place)].mean(axis=0) for place in present])
        distances = ((scaled[asked][:, None, :] - centres[None]) ** 2).sum(axis=2)
        right += int((np.array(present)[distances.argmin(axis=1)] == places[asked]).sum())
    interval = wilson_interval(right, len(with_fault))
    assert interval is not None
    return right / len(with_fault), interval


def _fields(one: Transcript) -> Iterator[float]:
    """All numbers of an episode that are not symptoms."""
    yield from (float(len(one.seen)), one.seen[0].took_s)
    for seen in one.seen:
        observation = seen.observation
        yield from (
            float(observation.step),
            float(observation.steps_left),
            float(len(vars(observation))),
            float(observation.features.dtype.num),
            float(observation.features.nbytes),
            float(len(seen.info)),
        )
        yield from (_number(seen.info[key]) for key in sorted(seen.info))
        if seen.action is None or isinstance(seen.action, Diagnosis | Wait):
            yield from (float(len(observation.last_result)), float(sum(observation.last_result.encode())))
