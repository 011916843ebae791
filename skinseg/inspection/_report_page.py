"""A report as one HTML file that needs no other file and no network."""

from __future__ import annotations

import base64
import hashlib
from collections.abc import Sequence
from dataclasses import dataclass
from importlib.resources import files
from typing import Any

import numpy as np
import pandas as pd

from .._version import __version__
from ..features import FEATURES
from ..features.color import COLOR_NAMES
from ..outlining import DOUBTFUL
from ..rule import BENIGN_BELOW, HIGHLY_ABOVE, verdict_of
from ..runs._drive import NO_LESION
from ._explanation import Contributions
from ._population import Population
from ._report_findings import PANEL_SIZES, Finding
from ._report_model import Verdicts

__all__ = ["ORDERS", "Page", "render_page"]

NOTICE = (
    "Research software, no medical device: it measures images and ranks them, and nothing here may decide what is done "
    "with a lesion."
)
ORDERS = {
    "given": "given:1",
    "doubtful": "doubtful:1",
    "probability": "probability:-1",
    "tds": "tds:-1",
    "name": "name:1",
}
_ORDER_TEXTS = {
    "given": "as given",
    "doubtful": "doubtful outlines first",
    "probability": "highest probability first",
    "tds": "highest score of the ABCD rule first",
    "name": "by name",
}
_STATES = {
    "measured": "measured",
    "doubtful": f"with a doubtful outline, confidence below {DOUBTFUL}",
    "empty": "no lesion found",
    "failed": "failed",
}
_KEY_FEATURES = (
    "tds", "asymmetry_score", "asymmetry_shape", "asymmetry_color", "asymmetry_structure", "border_score",
    "border_sharpness_mean", "border_compactness", "border_radial_irregularity", "color_count", "color_white_share",
    "color_red_share", "color_light_brown_share", "color_dark_brown_share", "color_blue_gray_share",
    "color_black_share", "color_variegation", "dimension_feret_max_px", "dimension_feret_max_mm",
    "dimension_feret_max_fraction", "dimension_elongation", "structure_count", "structure_network",
    "structure_homogeneous", "structure_streaks", "structure_dots", "structure_globules",
)  # fmt: skip
_RULE_COLUMNS = {
    "tds": ("TDS", "total dermoscopy score of the ABCD rule"),
    "asymmetry_score": ("A", "asymmetry, 0 to 2"),
    "border_score": ("B", "border, 0 to 8"),
    "color_count": ("C", "colors, 1 to 6"),
    "structure_count": ("D", "differential structures, 1 to 5"),
}


@dataclass
class Page:
    """All that a report shows.

    Parameters
    ----------
    title : str
        At the top.
    names : list of str
        Short name of each image.
    findings : list of Finding
        One an image.
    verdicts : Verdicts or None
        Of the images that did not fail, in their order.
    judged : list of int
        Position of each row of the verdicts.
    population : Population or None
        What percentiles refer to.
    order : str
        One of `ORDERS`.
    cards : bool
        Whether there are cards.
    made : list of (str, str)
        How it was made.
    """

    title: str
    names: list[str]
    findings: list[Finding]
    verdicts: Verdicts | None
    judged: list[int]
    population: Population | None
    order: str
    cards: bool
    made: list[tuple[str, str]]


def render_page(page: Page) -> str:
    """Render a report.

    Parameters
    ----------
    page : Page
        What it shows.

    Returns
    -------
    str
        The HTML.
    """
    from jinja2 import Environment, StrictUndefined
    from markupsafe import Markup

    folder = files("skinseg.inspection") / "templates"
    style, script = ((folder / f"report.{kind}").read_text("utf-8") for kind in ("css", "js"))
    environment = Environment(autoescape=True, trim_blocks=True, lstrip_blocks=True, undefined=StrictUndefined)
    template = environment.from_string((folder / "report.html").read_text("utf-8"))
    images = _images(page)
    content: str = template.render(
        title=page.title,
        subtitle=f"{len(images)} images",
        notice=NOTICE,
        version=__version__,
        counts=_counts(images, page),
        states=[
            *_states(images),
            *([("positive", "called positive")] if any(image["positive"] for image in images) else []),
        ],
        orders=_orders(page),
        order=ORDERS[page.order],
        caption="A heading sorts by its column, again for the other direction."
        + (" Small: the 95 % interval of the probability." if _has_interval(page.verdicts) else ""),
        columns=_columns(page),
        rows=_rows(page, images),
        has_cards=page.cards,
        made=page.made,
        data=_data(page, images),
        style=Markup(style),
        script=Markup(script),  # nosec: both are files of the package
        script_hash=base64.b64encode(hashlib.sha256(script.encode()).digest()).decode(),
    )
    return content


# ---------------------------------------------------------------------- images


def _number(value: Any, digits: int = 4) -> float | int | None:
    """Give a number as JSON has it: short, whole where it is or is large, null where it is not known."""
    if value is None or not np.isfinite(value):
        return None
    if float(value).is_integer() or abs(value) >= 10**digits:  # no digit before the point is lost
        return round(float(value))
    return float(f"{value:.{digits}g}")


def _images(page: Page) -> list[dict[str, Any]]:
    names = list(FEATURES)  # in the order of the columns
    images = []
    for name, finding in zip(page.names, page.findings, strict=True):
        measured = finding.error == ""
        values = dict(zip(names, finding.values, strict=True)) if measured else {}
        status = "failed" if finding.failed else "empty" if not measured else "measured"
        if status == "measured" and finding.confidence < DOUBTFUL:
            status = "doubtful"
        images.append({
            "name": name, "status": status, "note": finding.error, "shape": finding.shape,
            "confidence": _number(finding.confidence), "probability": None, "range": "", "positive": False, "said": "",
            "contributions": None, "verdict": _verdict(values.get("tds")),
            "values": [_number(value) for value in finding.values] if measured else None,
            "percentiles": _percentiles(page.population, values) if measured else None,
            "reasons": finding.reasons,
            **{name: _number(values.get(name)) for name in _RULE_COLUMNS},
        })  # fmt: skip
    if page.verdicts is not None:
        _add_verdicts(images, page.verdicts, page.judged)
    return images


def _verdict(score: float | None) -> str:
    if score is None or np.isnan(score):
        return ""
    zone = str(verdict_of(score))
    return f"ABCD rule: {score:.2f}, {zone} (benign below {BENIGN_BELOW}, highly suspicious above {HIGHLY_ABOVE})"


def _percentiles(population: Population | None, values: dict[str, float]) -> list[list[float | int | None]]:
    if population is None:
        return []
    return [
        [_number(np.rint(population.percentile(group, name, value))) for name, value in values.items()]
        for group in population.sizes
    ]


def _add_verdicts(images: list[dict[str, Any]], verdicts: Verdicts, judged: Sequence[int]) -> None:
    for (_, row), position in zip(verdicts.table.iterrows(), judged, strict=True):
        image = images[position]
        if row["error"] not in ("", NO_LESION):  # such as a row of the table that is missing
            image["note"] = "; ".join(filter(None, [image["note"], row["error"]]))
        if pd.isna(row["decision"]):
            continue
        if verdicts.is_binary:
            image["probability"] = _number(row["melanoma_probability"])
            image["positive"] = bool(row["decision"] == verdicts.positive)
            said = f"Probability of {verdicts.positive_name}: {row['melanoma_probability']:.2f}"
            if _has_interval(verdicts):
                image["range"] = f"{row['melanoma_low']:.2f}–{row['melanoma_high']:.2f}"
                said += f" (95 % interval {image['range']})"
            image["said"] = f"{said}; called {verdicts.name_of(row['decision'])} at the threshold of the model."
        else:
            shares = ", ".join(f"{name.removeprefix('probability_')} {row[name]:.2f}" for name in verdicts.columns)
            image["probability"] = _number(row[f"probability_{row['decision']}"])
            image["said"] = f"Called {row['decision']}. Probabilities: {shares}."
    found = verdicts.contributions
    if found is not None:
        for row, position in zip(found.contributions.to_numpy(), judged, strict=True):
            if images[position]["said"] and not np.isnan(row).any():
                images[position]["contributions"] = [_number(value) for value in row]


def _has_interval(verdicts: Verdicts | None) -> bool:
    return verdicts is not None and "melanoma_low" in verdicts.table


# ---------------------------------------------------------------------- overview


def _states(images: Sequence[dict[str, Any]]) -> list[tuple[str, str]]:
    there = {image["status"] for image in images}
    return [(state, text) for state, text in _STATES.items() if state in there]


def _counts(images: Sequence[dict[str, Any]], page: Page) -> list[tuple[int, str]]:
    status = [image["status"] for image in images]
    counts = [(len(images), "images")]
    counts += [
        (status.count(state), text) for state, text in _STATES.items() if state != "measured" and state in status
    ]
    if page.verdicts is not None and page.verdicts.is_binary:
        counts.append((sum(image["positive"] for image in images), f"called {page.verdicts.positive_name}"))
    return counts


def _orders(page: Page) -> list[tuple[str, str]]:
    without = set() if page.verdicts is not None else {"probability"}
    return [(ORDERS[order], text) for order, text in _ORDER_TEXTS.items() if order not in without]


def _columns(page: Page) -> list[dict[str, Any]]:
    columns = [
        {"key": "name", "label": "image", "number": False, "title": ""},
        {"key": "status", "label": "status", "number": False, "title": ""},
        {
            "key": "confidence",
            "label": "confidence",
            "number": True,
            "title": "Jaccard index of the outline to be expected",
        },
    ]
    if page.verdicts is not None:
        label = f"P({page.verdicts.positive_name})" if page.verdicts.is_binary else "P(class called)"
        columns.append({"key": "probability", "label": label, "number": True, "title": "probability by the model"})
    columns += [
        {"key": name, "label": label, "number": True, "title": text} for name, (label, text) in _RULE_COLUMNS.items()
    ]
    return columns


def _rows(page: Page, images: Sequence[dict[str, Any]]) -> list[dict[str, Any]]:
    rows = []
    for number, (image, finding) in enumerate(zip(images, page.findings, strict=True)):
        cells = [{"text": _cell(image["confidence"]), "range": ""}]
        if page.verdicts is not None:
            cells.append({"text": _cell(image["probability"]), "range": image["range"]})
        cells.append({"text": _cell(image["tds"]), "range": ""})
        # of whole numbers, but a border score is scaled where part of the border is out of sight
        cells += [{"text": _cell(image[name], whole=True), "range": ""} for name in list(_RULE_COLUMNS)[1:]]
        encoded = base64.b64encode
        status = "doubtful" if image["status"] == "doubtful" else _STATES[image["status"]]
        rows.append({
            "number": number, "name": image["name"], "status": image["status"], "status_text": status, "cells": cells,
            "note": "" if image["status"] == "empty" else image["note"],
            "thumbnail": encoded(finding.thumbnail).decode() if finding.thumbnail else "",
            "alt": f"{image['name']}, {'outlined' if finding.error == '' else finding.error}",
            "caption": _caption(image), "pictures": [encoded(picture).decode() for picture in finding.panels.values()],
        })  # fmt: skip
    return rows


def _cell(value: float | None, *, whole: bool = False) -> str:
    if value is None:
        return "–"
    return str(value) if whole and isinstance(value, int) else f"{value:.{1 if whole else 2}f}"


def _caption(image: dict[str, Any]) -> str:
    if image["status"] in ("empty", "failed"):
        return _STATES[image["status"]]
    parts = [] if image["probability"] is None else [f"P {image['probability']:.2f}"]
    parts += [] if image["confidence"] is None else [f"outline {image['confidence']:.2f}"]
    return ", ".join(parts)


# ---------------------------------------------------------------------- cards


def _data(page: Page, images: Sequence[dict[str, Any]]) -> dict[str, Any]:
    found: Contributions | None = None if page.verdicts is None else page.verdicts.contributions
    population = page.population
    note = ""
    if population is not None:
        sizes = ", ".join(f"{count} {group}" for group, count in population.sizes.items())
        note = f"In % the share of the reference lesions with less ({sizes})."
    return {
        "images": list(images),
        "features": [
            {"name": name, "unit": entry.unit, "description": entry.description} for name, entry in FEATURES.items()
        ],
        "key_features": list(_KEY_FEATURES),
        "population": [] if population is None else [{"name": group} for group in population.sizes],
        "population_note": note,
        "groups": [] if found is None else list(found.contributions.columns),
        "scale": "" if found is None else found.scale_name,
        "baseline": 0.0 if found is None else _number(found.baseline),
        "states": list(_STATES),
        "panels": [{"name": panel, "width": width, "height": height} for panel, (width, height) in PANEL_SIZES.items()],
        "colors": [(name.replace("_", " "), f"color_{name}_share") for name in COLOR_NAMES],
        "structures": [
            (name, f"structure_{name}") for name in ("network", "homogeneous", "streaks", "dots", "globules")
        ],
        "has_cards": page.cards,
    }
