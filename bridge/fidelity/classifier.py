"""A classifier that is told to tell two worlds apart: boosted trees on binned values, and the AUC of its scores.

It sees one window at a time. It is trained and judged on different plays. The same play of both worlds is always in the
same fold.
"""

from __future__ import annotations

from dataclasses import dataclass

import numpy as np
from numpy.typing import NDArray

Values = NDArray[np.float64]


@dataclass(frozen=True, kw_only=True)
class Boosting:
    """How the trees are grown. The defaults find what a person would not see in a histogram of each metric."""

    trees: int = 30
    depth: int = 3
    rate: float = 0.3
    bins: int = 32  # of each feature's values, with equal shares; missing values have a bin of their own
    shrinkage: float = 1.0  # added to the weight of each leaf
    most_rows: int = 5000  # that a fold is trained with
    folds: int = 5


def auc(scores: Values, labels: NDArray[np.bool_], weights: Values | None = None) -> float | None:
    """The probability that a row with the label scores higher than one without; ties count half.

    None if all rows have the same label."""
    weight = np.ones(scores.size) if weights is None else weights
    _, place = np.unique(scores, return_inverse=True)
    positive = np.bincount(place, weights=weight * labels)
    negative = np.bincount(place, weights=weight * ~labels)
    both = positive.sum() * negative.sum()
    if not both > 0:
        return None
    below = np.cumsum(negative) - negative
    return float((positive * (below + negative / 2.0)).sum() / both)


def held_out_scores(
    values: Values,  # (rows, features); NaN is a missing value
    labels: NDArray[np.bool_],  # (rows,)
    groups: NDArray[np.int64],  # (rows,), the play of each row
    rng: np.random.Generator,
    boosting: Boosting | None = None,
) -> Values | None:  # (rows,)
    """For each row the score of a classifier that has not seen its play. None if there are fewer than two plays."""
    how = boosting or Boosting()
    named = np.unique(groups)
    folds = min(how.folds, named.size)
    if folds < 2:
        return None
    fold_of = np.empty(int(named.max()) + 1, dtype=np.int64)
    fold_of[named] = rng.permutation(np.arange(named.size) % folds)
    fold = fold_of[groups]
    scores = np.empty(labels.size)
    for held_out in range(folds):
        train, test = np.flatnonzero(fold != held_out), np.flatnonzero(fold == held_out)
        if train.size > how.most_rows:
            train = rng.choice(train, how.most_rows, replace=False)
        edges = _edges(values[train], how.bins)
        trees = _boosted(_binned(values[train], edges), labels[train], how)
        scores[test] = _scores(trees, _binned(values[test], edges), how.rate)
    return scores


@dataclass(frozen=True, kw_only=True)
class _Tree:
    """A whole tree: in each level, every node asks one feature whether its bin is above a cut."""

    features: tuple[NDArray[np.int64], ...]  # per level (nodes,)
    cuts: tuple[NDArray[np.int64], ...]
    leaves: Values  # (2 ** depth,)


def _edges(values: Values, bins: int) -> list[Values]:
    """The edges of the bins of each feature. A value that many rows have gets a bin of its own."""
    found = []
    for column in values.T:
        defined = column[~np.isnan(column)]
        shares = np.linspace(0.0, 1.0, bins + 1)[1:-1]
        found.append(np.unique(np.quantile(defined, shares, method="lower")) if defined.size else np.empty(0))
    return found


def _binned(values: Values, edges: list[Values]) -> NDArray[np.int64]:
    """The bin of each value; 0 for a missing one."""
    found = np.empty(values.shape, dtype=np.int64)
    for place, (column, own) in enumerate(zip(values.T, edges, strict=True)):
        found[:, place] = np.where(np.isnan(column), 0, 1 + np.searchsorted(own, column, side="left"))
    return found


def _boosted(binned: NDArray[np.int64], labels: NDArray[np.bool_], how: Boosting) -> list[_Tree]:
    scores = np.zeros(labels.size)
    trees = []
    for _ in range(how.trees):
        probability = 1.0 / (1.0 + np.exp(-scores))
        tree = _grown(binned, labels - probability, probability * (1.0 - probability), how)
        trees.append(tree)
        scores += how.rate * tree.leaves[_leaf(tree, binned)]
    return trees


def _grown(binned: NDArray[np.int64], gradient: Values, curvature: Values, how: Boosting) -> _Tree:
    """One tree, level by level. Each node takes the cut that explains most of the gradient."""
    rows, width = binned.shape
    bins, node = how.bins + 1, np.zeros(rows, dtype=np.int64)
    all_features: list[NDArray[np.int64]] = []
    all_cuts: list[NDArray[np.int64]] = []
    column = np.arange(width)
    g_each, h_each = np.repeat(gradient, width), np.repeat(curvature, width)
    for level in range(how.depth):
        shape = (2**level, width, bins)
        cell = ((node[:, None] * width + column) * bins + binned).ravel()
        g = np.bincount(cell, weights=g_each, minlength=int(np.prod(shape))).reshape(shape).cumsum(axis=2)
        h = np.bincount(cell, weights=h_each, minlength=int(np.prod(shape))).reshape(shape).cumsum(axis=2)
        right_g, right_h = g[:, :, -1:] - g, h[:, :, -1:] - h
        gain = g**2 / (h + how.shrinkage) + right_g**2 / (right_h + how.shrinkage)
        best = gain.reshape(2**level, -1).argmax(axis=1)
        features, cuts = best // bins, best % bins
        all_features.append(features)
        all_cuts.append(cuts)
        node = 2 * node + (binned[np.arange(rows), features[node]] > cuts[node])
    leaves = 2**how.depth
    total = np.bincount(node, weights=gradient, minlength=leaves)
    weight = np.bincount(node, weights=curvature, minlength=leaves)
    return _Tree(features=tuple(all_features), cuts=tuple(all_cuts), leaves=total / (weight + how.shrinkage))


def _leaf(tree: _Tree, binned: NDArray[np.int64]) -> NDArray[np.int64]:
    rows = np.arange(len(binned))
    node = np.zeros(len(binned), dtype=np.int64)
    for features, cuts in zip(tree.features, tree.cuts, strict=True):
        node = 2 * node + (binned[rows, features[node]] > cuts[node])
    return node


def _scores(trees: list[_Tree], binned: NDArray[np.int64], rate: float) -> Values:
    scores = np.zeros(len(binned))
    for tree in trees:
        scores += rate * tree.leaves[_leaf(tree, binned)]
    return scores
