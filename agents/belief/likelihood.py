"""How well what was seen fits what a hypothesis shows: the logarithm of a likelihood.

A hypothesis is never quite true: its severity, its traffic and its chance are others, and on the lab the model itself
is a little off. So every distribution has heavy tails, and one outlier cannot strike a hypothesis out. What machines
differ in (latencies, CPU shares) has a wide scale. What they agree on (errors, `up`, how memory climbs, what logs say)
has a narrow one.
"""

from __future__ import annotations

import math
import re
from typing import Final

import numpy as np
from numpy.typing import NDArray

from mirr.agents.belief.episodes import LogReadings
from mirr.env.logs import STARTED, TURNED_AWAY
from mirr.env.objectives import FEATURE_COLUMN
from mirr.env.vocabulary import STEADY_RELEASE, Feature
from mirr.env.world import Level, LogLine

Floats = NDArray[np.float32]

_UP: Final = FEATURE_COLUMN[Feature.UP]
_RATE: Final = FEATURE_COLUMN[Feature.REQUEST_RATE]
_ERRORS: Final = FEATURE_COLUMN[Feature.ERROR_RATIO]
_P95: Final = FEATURE_COLUMN[Feature.LATENCY_P95_S]
_CPU: Final = FEATURE_COLUMN[Feature.CPU_SHARE]
_MEMORY: Final = FEATURE_COLUMN[Feature.MEMORY_SHARE]
_QUEUE: Final = FEATURE_COLUMN[Feature.IN_FLIGHT]

SCALES: Final = np.array([0.25, 0.12, 0.5, 0.15, 0.12, 0.6], dtype=np.float32)
"""What counts as a usual distance, for each column of `shown` but `up`. The observation noise is a part of it."""
CHANCE: Final = 1.0
"""So many scales, a feature may be off by chance alone. That says nothing: else, of hypotheses that say the same, those
would win that had the luck to draw alike."""
TAIL: Final = 4.0  # degrees of freedom of Student's t: the fewer, the heavier the tails
WEIGHT: Final = 0.5
"""The exponent of a window's likelihood. Features of a window depend on each other, so they count for less than they
would if each were news."""
OTHER_UP: Final = math.log(0.01)  # a service is up in one and down in the other: a boot may take one window more

# Logs are nearly certain. A reading may miss a line, and a line may come a moment later.
OTHER_ERROR_SAYS: Final = math.log(0.03)
OTHER_WARNING_SAYS: Final = math.log(0.3)  # a queue is full in one moment, and not in the next
START_SCALE_S: Final = 1.0
OTHER_START: Final = -6.0  # a release was started in one and not in the other, or at another time
SETTLED_S: Final = 12.0  # a release that was started so long before the first observation is as good as any older one
HARMLESS: Final = 0.4
"""How likely a service runs a harmless new release, where there are any."""
NEW_S: Final = 6.25  # one that was started so long before the first observation was there before everything else

EXITING: Final = "exiting"  # the event of a process that ends itself
NOT_RAISED: Final = frozenset({STARTED, EXITING, "stderr"})  # events that say nothing about how requests went
_RELEASE = re.compile(r"release=(\S+)")


def shown(features: Floats) -> Floats:  # (..., services, 7) to the same shape
    """Observations on scales on which a distance means the same everywhere. `up` comes first."""
    found = np.empty_like(features)
    found[..., 0] = features[..., _UP]
    found[..., 1] = np.log(features[..., _RATE] + 2.0)  # requests a second that hardly count
    found[..., 2] = np.sqrt(features[..., _ERRORS])
    found[..., 3] = np.log(features[..., _P95] + 0.02)  # seconds, above which it matters
    found[..., 4] = features[..., _CPU]
    found[..., 5] = np.log(features[..., _MEMORY] + 0.01)
    found[..., 6] = np.log1p(features[..., _QUEUE])
    return found


def window_fit(seen: Floats, shows: Floats) -> NDArray[np.float64]:  # (..., services, 7) each, to (...)
    """How well a window fits, for each pair. Both are as `shown` gives them."""
    z = np.maximum(np.abs(seen[..., 1:] - shows[..., 1:]) / SCALES - CHANCE, 0.0)
    each = -0.5 * (TAIL + 1.0) * np.log1p(z * z / TAIL)
    both_up = (seen[..., 0] >= 1.0) & (shows[..., 0] >= 1.0)
    other_up = (seen[..., 0] >= 1.0) != (shows[..., 0] >= 1.0)
    # NaN: what could not be measured in one of the two says nothing besides `up`.
    told = np.where(both_up[..., None], np.nan_to_num(each), 0.0).sum(axis=(-2, -1), dtype=np.float64)
    fits: NDArray[np.float64] = WEIGHT * told + OTHER_UP * other_up.sum(axis=-1)
    return fits


def log_fit(read: LogReadings, told: LogReadings, *, before_s: float) -> NDArray[np.float64]:
    """How well the reading of a log fits what logs tell in hypotheses. The arrays of both are made to fit each other.

    `before_s` is how long before the reading the first observation was."""
    settled_s = before_s + SETTLED_S
    off_s = np.minimum(read.started_s_ago, settled_s) - np.minimum(told.started_s_ago, settled_s)
    same_start = np.maximum(-np.abs(off_s) / START_SCALE_S, OTHER_START)
    # How long a harmless release has been there depends on how a world opens an episode. It cannot be new.
    old_start = np.log(HARMLESS) + np.maximum(np.minimum(off_s, 0.0) / START_SCALE_S, OTHER_START)
    start = np.where(told.other_release, np.where(told.certain, same_start, old_start), OTHER_START)
    no_start = np.where(told.other_release, np.where(told.certain, OTHER_START, np.log1p(-HARMLESS)), 0.0)
    fits: NDArray[np.float64] = (
        np.where(read.other_release, start, no_start)
        + OTHER_ERROR_SAYS * (read.exited != told.exited)
        + OTHER_ERROR_SAYS * (read.raising != told.raising)
        + OTHER_WARNING_SAYS * (read.turned_away != told.turned_away)
    )
    return fits


def reading_of(lines: tuple[LogLine, ...]) -> LogReadings:
    """What the lines of a log told an agent. Every array has one element."""
    starts = sorted((line for line in lines if line.event == STARTED), key=lambda line: line.age_s)
    release = _RELEASE.search(starts[0].text) if starts else None
    return LogReadings(
        other_release=np.array([release is not None and release.group(1) != STEADY_RELEASE]),
        started_s_ago=np.array([starts[0].age_s if starts else math.inf]),
        certain=np.array([True]),
        exited=np.array([any(line.event == EXITING for line in lines)]),
        raising=np.array([any(line.level is Level.ERROR and line.event not in NOT_RAISED for line in lines)]),
        turned_away=np.array([any(line.event == TURNED_AWAY for line in lines)]),
    )
