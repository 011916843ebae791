"""Contributions as a notebook shows them."""

from __future__ import annotations

from typing import Any

import numpy as np

from .._html import escaped

__all__ = ["contributions_html"]

_SHOWN = 20
_RAISES, _LOWERS = "213,94,0", "0,114,178"  # vermilion and blue: told apart by the color-blind (Okabe and Ito)
_CELL = "padding:0.15em 0.6em;text-align:right"


def _signed(value: float) -> str:
    return f"{round(value, 2) + 0.0:+.2f}"  # there is no -0.00


def contributions_html(explanation: Any, scale: str, notice: str) -> str:
    """Show what each group contributed, a row an image: signed, in vermilion what raises, in blue what lowers."""
    table = explanation.contributions
    most = float(np.nanmax(np.abs(table.to_numpy()), initial=0.0)) or 1.0
    known = explanation.probability is not None
    titles = ["image", *(["probability"] if known else []), scale, *map(str, table.columns)]
    head = "".join(f'<th style="{_CELL}">{escaped(title)}</th>' for title in titles)
    rows = []
    for position, (name, row) in enumerate(table.head(_SHOWN).iterrows()):
        cells = [f'<th style="{_CELL};text-align:left">{escaped(name)}</th>']
        if row.isna().any():
            reason = explanation.errors.get(position, "nothing was measured")
            rest = (
                f'<td style="{_CELL};text-align:left" colspan="{len(titles) - 1}">not explained: {escaped(reason)}</td>'
            )
            rows.append(f"<tr>{cells[0]}{rest}</tr>")
            continue
        if known:
            cells.append(f'<td style="{_CELL}">{explanation.probability.iloc[position]:.2f}</td>')
        cells.append(f'<td style="{_CELL}">{_signed(explanation.output.iloc[position])}</td>')
        for value in row:
            color = f"rgba({_RAISES if value > 0 else _LOWERS},{0.6 * abs(value) / most:.2f})"
            cells.append(f'<td style="{_CELL};background:{color}">{_signed(value)}</td>')
        rows.append(f"<tr>{''.join(cells)}</tr>")
    more = len(table) - _SHOWN
    rest = f"<p>and {more} more images</p>" if more > 0 else ""
    caption = (
        f"Contributions to the {escaped(scale)} of {escaped(explanation.pos_label)}: they and the baseline "
        f"{_signed(explanation.baseline)} add up to it (+ raises, − lowers)."
    )
    return (
        f'<div style="overflow-x:auto"><p>{caption}</p><table><thead><tr>{head}</tr></thead>'
        f"<tbody>{''.join(rows)}</tbody></table>{rest}<p>{escaped(notice)}</p></div>"
    )
