"""How long answers take: histograms of latencies, and what follows from them.

A histogram is `BUCKETS` numbers of a row: how many answers fell into each bucket. The last bucket is above all bounds.
"""

from __future__ import annotations

import math

from mirr.env.simulator.fast.compiled import Numbers, constants, inlined, jit
from mirr.env.simulator.fast.rows import BOUNDS, BUCKETS

BUCKET_BOUNDS = constants(BOUNDS)
_LATE_SHARE = 0.05  # of the answers that are later than the p95


@inlined
def beyond(latency: float, limit: float, spread: float) -> float:
    """The share of answers later than `limit`, if latencies spread evenly around `latency`. All in seconds."""
    slowest = latency * (1.0 + spread)
    if slowest <= limit:
        return 0.0
    return min(1.0, (slowest - limit) / (2.0 * spread * latency))


@inlined
def bucket_of(latency: float) -> int:
    """The bucket of a latency in seconds. A bound belongs to the bucket below it."""
    # A binary search among the 16 bounds.
    place = 8 if BUCKET_BOUNDS[7] < latency else 0
    place += 4 if BUCKET_BOUNDS[place + 3] < latency else 0
    place += 2 if BUCKET_BOUNDS[place + 1] < latency else 0
    place += 1 if BUCKET_BOUNDS[place] < latency else 0
    return place + (1 if BUCKET_BOUNDS[place] < latency else 0)


@inlined
def tail_of(place: int, latency: float) -> int:
    """The bucket of the slowest quarter of answers. The others are around the mean, in the bucket `place`."""
    while place < BUCKETS - 1 and BUCKET_BOUNDS[place] < 1.1 * latency:
        place += 1
    return place


@jit
def p95_of_few(histogram: Numbers, at: int, top: int, answers: float, luck: float) -> float:
    """The p95 in seconds of the `answers` requests of a window, as Prometheus' histogram_quantile works it out.

    The histogram of expected numbers begins at `at`, and nothing is above its bucket `top`. A window has few requests,
    so how many of them are above a bound is chance: a whole number, `luck` standard deviations above the expected one,
    with the same luck at every bound. Within a bucket, answers are spread evenly. The bucket above the last bound
    stands for that bound. 0 if there are no answers.
    """
    if answers <= 0.0:
        return 0.0
    rest = _LATE_SHARE * answers
    per_answer = 1.0 / answers
    bucket = top + 1
    above = 0.0  # the answers in higher buckets
    count = 0.0  # the answers in this bucket and higher ones
    expected = 0.0
    while count < rest:
        above = count
        bucket -= 1
        if bucket == 0:
            count = answers
        elif histogram[at + bucket] > 0.0:  # most buckets are empty
            expected += histogram[at + bucket]
            count = _by_luck(expected, answers, per_answer, luck, above)
    if bucket == BUCKETS - 1:
        return float(BUCKET_BOUNDS[BUCKETS - 2])
    lower = BUCKET_BOUNDS[bucket - 1] if bucket > 0 else 0.0
    return float(BUCKET_BOUNDS[bucket] - (BUCKET_BOUNDS[bucket] - lower) * (rest - above) / (count - above))


@inlined
def _by_luck(expected: float, answers: float, per_answer: float, luck: float, least: float) -> float:
    """How many of `answers` requests are late, if so many are expected: the binomial distribution, roughly."""
    scatter = math.sqrt(max(0.0, expected * (1.0 - expected * per_answer)))
    return min(answers, max(least, float(int(max(0.0, expected + luck * scatter + 0.5)))))


@jit
def enter(into: Numbers, histogram: int, served: float, shed: float, latency: float) -> int:
    """Add the latencies of requests to a histogram. Those turned away are answered at once.

    Returns the highest bucket that it has added to."""
    into[histogram] += shed
    place = bucket_of(0.9 * latency)
    into[histogram + place] += 0.75 * served
    tail = tail_of(place, latency)
    into[histogram + tail] += 0.25 * served
    return tail
