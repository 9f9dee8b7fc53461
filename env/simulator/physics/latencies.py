"""How long answers take: histograms of latencies, and what follows from them.

A histogram is `BUCKETS` numbers of a row: how many answers fell into each bucket. The last bucket is above all bounds.
"""

from __future__ import annotations

from mirr.env.simulator.fast.compiled import Numbers, constants, inlined, jit
from mirr.env.simulator.fast.rows import BOUNDS, BUCKETS

BUCKET_BOUNDS = constants(BOUNDS)


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
    while place < BUCKETS - 1 and BUCKET_BOUNDS[place] < 1.2 * latency:
        place += 1
    return place


@jit
def latency_beyond(histogram: Numbers, at: int, top: int, answers: float, share: float) -> float:
    """The latency in seconds that `share` of the answers exceed, as Prometheus' histogram_quantile works it out.

    The histogram of `answers` requests begins at `at`, and nothing is above its bucket `top`. Within a bucket, answers
    are spread evenly. The bucket above the last bound stands for that bound. 0 if there are no answers.
    """
    if answers <= 0.0:
        return 0.0
    rest = share * answers
    bucket = top
    above = 0.0
    while bucket > 0 and above + histogram[at + bucket] < rest:
        above += histogram[at + bucket]
        bucket -= 1
    if bucket == BUCKETS - 1:
        return float(BUCKET_BOUNDS[BUCKETS - 2])
    count = histogram[at + bucket]
    inside = min(1.0, (rest - above) / count) if count > 0.0 else 0.0
    lower = BUCKET_BOUNDS[bucket - 1] if bucket > 0 else 0.0
    return float(BUCKET_BOUNDS[bucket] - (BUCKET_BOUNDS[bucket] - lower) * inside)


@jit
def enter(into: Numbers, histogram: int, count: float, accept: float, latency: float) -> None:
    """Add the latencies of `count` requests to a histogram. Those turned away are answered at once."""
    served = count * accept
    into[histogram] += count - served
    place = bucket_of(0.9 * latency)
    into[histogram + place] += 0.75 * served
    into[histogram + tail_of(place, latency)] += 0.25 * served
