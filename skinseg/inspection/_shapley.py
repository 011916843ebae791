"""Shapley values of any function of a table, against background rows."""

from __future__ import annotations

from collections.abc import Callable
from typing import NamedTuple

import numpy as np

__all__ = ["ShapleyValues", "shapley_values"]

_ENUMERATED = 2**16  # rows a sample, up to which all coalitions are tried
_CELLS = 2**22  # of the table that the function gets in one call, where the background is no larger


class ShapleyValues(NamedTuple):
    """What each player contributes to the values of a function.

    Parameters
    ----------
    values, standard_error : ndarray of shape (n_rows, n_players)
        The values, and the error of what was drawn; 0 where all was tried.
    baseline : float
        Mean of the function over the background.
    output : ndarray of shape (n_rows,)
        The function of the rows.
    """

    values: np.ndarray
    standard_error: np.ndarray
    baseline: float
    output: np.ndarray


def shapley_values(
    function: Callable[[np.ndarray], np.ndarray],
    rows: np.ndarray,
    background: np.ndarray,
    owner: np.ndarray,
    *,
    n_repeats: int,
    rng: np.random.RandomState,
) -> ShapleyValues:
    """Share the difference between the function of a row and its mean over the background among players.

    A coalition is worth the mean of the function over the background, with the columns of the coalition as the row has
    them. All coalitions are tried where they are few; else players join in random orders, each followed by its
    reverse. The orders are the same for all rows, so that a row has the same values alone and among others.

    Parameters
    ----------
    function : callable
        From a table to one number a row.
    rows : ndarray of shape (n_rows, n_columns)
        What is explained.
    background : ndarray of shape (n_background, n_columns)
        What stands in for the columns of players that are not in.
    owner : ndarray of shape (n_columns,), int
        The player to whom each column belongs.
    n_repeats : int
        Pairs of orders, at least 2.
    rng : RandomState
        Draws the orders.

    Returns
    -------
    ShapleyValues
        The values; they add up to output minus baseline.
    """
    n_players = int(owner.max()) + 1
    output, baseline = function(rows), float(function(background).mean())
    if n_players < 63 and 2**n_players * len(background) <= _ENUMERATED:
        masks = (np.arange(2**n_players)[:, None] >> np.arange(n_players) & 1).astype(bool)
        worths = np.empty((len(rows), len(masks)))
        worths[:, 0], worths[:, -1] = baseline, output
        worths[:, 1:-1] = _worths(function, rows, background, masks[1:-1][:, owner])
        values = _of_all(worths, n_players)
        return ShapleyValues(values, np.zeros_like(values), baseline, output)
    orders = [order for _ in range(n_repeats) for order in _pair(rng.permutation(n_players))]
    masks = np.zeros((len(orders), n_players - 1, n_players), dtype=bool)
    for mask, order in zip(masks, orders, strict=True):
        mask[:, order] = np.tri(n_players - 1, n_players, dtype=bool)  # who is in after each one that joins
    unique, place = np.unique(masks.reshape(-1, n_players), axis=0, return_inverse=True)
    worths = _worths(function, rows, background, unique[:, owner])
    place = place.reshape(masks.shape[:2])
    drawn = np.empty((len(orders), len(rows), n_players))
    for number, order in enumerate(orders):
        path = np.column_stack([np.full(len(rows), baseline), worths[:, place[number]], output])
        drawn[number][:, order] = np.diff(path, axis=1)
    pairs = drawn.reshape(n_repeats, 2, len(rows), n_players).mean(axis=1)
    error = pairs.std(axis=0, ddof=1) / np.sqrt(n_repeats)
    return ShapleyValues(pairs.mean(axis=0), error, baseline, output)


def _pair(order: np.ndarray) -> tuple[np.ndarray, np.ndarray]:
    return order, order[::-1]


def _of_all(worths: np.ndarray, n_players: int) -> np.ndarray:
    """Shapley values from the worths of all coalitions, whose bits tell who is in."""
    coalitions = np.arange(2**n_players)
    sizes = np.array([number.bit_count() for number in coalitions.tolist()])
    ways = np.ones(n_players)  # n_players times the number of coalitions of each size among the others
    for size in range(1, n_players):
        ways[size] = ways[size - 1] * (n_players - size) / size
    values = np.empty((len(worths), n_players))
    for player in range(n_players):
        without = coalitions[coalitions >> player & 1 == 0]
        gains = worths[:, without | 1 << player] - worths[:, without]
        values[:, player] = gains @ (1 / (n_players * ways[sizes[without]]))
    return values


def _worths(
    function: Callable[[np.ndarray], np.ndarray], rows: np.ndarray, background: np.ndarray, masks: np.ndarray
) -> np.ndarray:
    """Worth of each coalition (columns that are in) for each row, many of both in one call of the function."""
    total = len(rows) * len(masks)
    worths = np.empty(total)
    step = max(1, _CELLS // background.size)
    for start in range(0, total, step):
        row, coalition = np.divmod(np.arange(start, min(start + step, total)), len(masks))
        mixed = np.where(masks[coalition][:, None], rows[row][:, None], background)
        worths[start : start + step] = function(mixed.reshape(-1, rows.shape[1])).reshape(len(row), -1).mean(axis=1)
    return worths.reshape(len(rows), len(masks))
