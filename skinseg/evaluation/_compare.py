"""Two experiments compared, image by image."""

from __future__ import annotations

import os
from dataclasses import dataclass, field
from pathlib import Path
from typing import Any

import numpy as np
import pandas as pd

from .._html import result_html
from ..outlining import write_table
from ..reading import read_mask
from ._blocks import FEW, NOTICE, Bullets, Gallery, Section, Table, Text, share_scale
from ._cases import draw_case
from ._folder import Experiment, load_experiment
from ._intervals import Difference
from ._report import write_pages
from ._statistics import compare_statistics, interval_table, statistics_of, usable
from ._subgroups import make_subgroups

__all__ = ["Comparison", "compare_experiments"]

_SHOWN = 12
_SUBGROUP_RESAMPLES = 1000


@dataclass
class Comparison:
    """What sets two experiments apart.

    Parameters
    ----------
    first, second : (Experiment, str)
        The experiments, each with the label of the model that is compared.
    scores : DataFrame
        A row a score: ``score``, ``title``, ``first`` and ``second`` (values),
        ``difference`` (first minus second), ``low``, ``high``, ``p_value``,
        ``images``.
    subgroups : DataFrame
        The same of the main score by ``subgroup`` and ``level``.
    images : DataFrame
        A row an image that both have scored: ``name``, ``first``, ``second``
        (its Jaccard index, or probability of the positive class),
        ``difference``; those that differ most come first.
    only_first, only_second : list of str
        Images that only one of them has scored.
    changed : list of str
        Images whose file, expert mask or class is not the same in both: left
        out.
    notes : list of str
        What is to be said of them.
    """

    first: tuple[Experiment, str]
    second: tuple[Experiment, str]
    scores: pd.DataFrame
    subgroups: pd.DataFrame
    images: pd.DataFrame
    only_first: list[str] = field(default_factory=list)
    only_second: list[str] = field(default_factory=list)
    changed: list[str] = field(default_factory=list)
    notes: list[str] = field(default_factory=list)

    def _repr_html_(self) -> str:
        return result_html(str(self), self.scores)

    def __str__(self) -> str:
        lines = [f"{self.names[0]} minus {self.names[1]}, on {len(self.images)} images:"]
        for _, row in self.scores.iterrows():
            if np.isnan(row["difference"]):
                lines.append(f"  {row['title']}: not defined on these images")
                continue
            text = f"  {row['title']}: {row['first']:.3f} and {row['second']:.3f}, difference {row['difference']:+.3f}"
            if not np.isnan(row["low"]):
                p = "< 0.001" if row["p_value"] < 0.001 else f"= {row['p_value']:.3f}"
                text += f" [{row['low']:+.3f}, {row['high']:+.3f}], p {p}"
            lines.append(text)
        for count, text in self._left_out():
            lines.append(f"  {count} images left out: {text}")
        return "\n".join(lines)

    @property
    def names(self) -> tuple[str, str]:
        """What the two are called in tables."""
        (one, label), (two, other) = self.first, self.second
        if label != other:
            return label, other
        if one.folder.name != two.folder.name:
            return f"{label} ({one.folder.name})", f"{label} ({two.folder.name})"
        return f"{label} (first)", f"{label} (second)"

    def _left_out(self) -> list[tuple[int, str]]:
        found = [
            (len(self.only_first), f"scored by {self.names[0]} only"),
            (len(self.only_second), f"scored by {self.names[1]} only"),
            (len(self.changed), "their file, expert mask or class is not the same"),
        ]
        return [(count, text) for count, text in found if count]

    def write(self, out: str | os.PathLike[str]) -> list[Path]:
        """Write ``compare.md``, ``compare.html`` (with the extra ``report``) and the tables.

        Parameters
        ----------
        out : path-like
            The folder; made if it does not exist.

        Returns
        -------
        list of Path
            The files.
        """
        out = Path(out)
        out.mkdir(parents=True, exist_ok=True)
        write_table(self.scores, out / "compare_scores.csv")
        write_table(self.images, out / "compare_images.csv")
        paths = [out / "compare_scores.csv", out / "compare_images.csv"]
        if len(self.subgroups):
            write_table(self.subgroups, out / "compare_subgroups.csv")
            paths.append(out / "compare_subgroups.csv")
        title = f"Compared: {self.names[0]} and {self.names[1]}"
        subtitle = f"{len(self.images)} images that both have scored; {self.first[0].config['data']['description']}."
        return write_pages(out / "compare", title, subtitle, self._sections(), self._draw) + paths

    def _sections(self) -> list[Section]:
        first, second = self.names
        rows = [
            [row["title"], _number(row["first"]), _number(row["second"]), _difference(row), _p(row["p_value"])]
            for _, row in self.scores.iterrows()
        ]
        note = (
            f"Difference: {first} minus {second}, on the same images; paired bootstrap of whole groups, with "
            "two-sided p values from the same resamples, not corrected for their number."
        )
        parts = [Section("Scores", [Table(["", first, second, "difference", "p"], rows, note)])]
        blocks: list[Any] = []
        for title, table in self.subgroups.groupby("subgroup", sort=False) if len(self.subgroups) else ():
            cells = [
                [row["level"], str(int(row["images"])), _number(row["first"]), _number(row["second"]), _difference(row)]
                for _, row in table.iterrows()
            ]
            faint = {place for place, count in enumerate(table["images"]) if count < FEW}
            columns = [str(title), "images", first, second, "difference"]
            blocks.append(Table(columns, cells, bars=[4], faint=faint))
        if blocks:
            share_scale(blocks)
            main = self.scores["title"].iloc[0]
            text = f"{main}. Rows in gray (†) stand on fewer than {FEW} images; some differ by chance."
            blocks.insert(0, Text(text))
        parts.append(Section("Subgroups", blocks))
        parts.append(Section("Images that differ most", self._differing()))
        lists = (
            (self.only_first, f"Scored by {first} only"),
            (self.only_second, f"Scored by {second} only"),
            (self.changed, "Not the same in both, and left out"),
        )
        parts.append(
            Section("Left out", [Bullets(items, f"{title} ({len(items)})") for items, title in lists if items])
        )
        parts.append(Section("Limitations", [Bullets([NOTICE, *self.notes])]))
        return [part for part in parts if part.blocks]

    def _differing(self) -> list[Any]:
        first, second = self.names
        shown = self.images.head(_SHOWN)
        shown = shown[shown["difference"] != 0]
        if shown.empty:
            return [Text("All images are scored alike.")]
        what = "Jaccard index" if self.first[0].task == "segmentation" else "probability of the positive class"
        rows = [
            [row["name"], _number(row["first"]), _number(row["second"]), f"{row['difference']:+.3f}".replace("-", "−")]
            for _, row in shown.iterrows()
        ]
        blocks: list[Any] = [Table(["", first, second, "difference"], rows, f"Of each image its {what}.")]
        names = {name: place for place, name in enumerate(self.first[0].images["name"])}
        items = [
            (
                names[row["name"]],
                f"{row['name']}: {row['first']:.3f} and {row['second']:.3f}",
                self._outlines(row["name"]),
            )
            for _, row in shown.iterrows()
        ]
        title = "The same images"
        if any(outlines for *_, outlines in items):
            title += f" (dashed blue: expert; yellow: {first}; white: {second})"
        blocks.append(Gallery(title, items))
        return blocks

    def _outlines(self, name: str) -> dict[str, np.ndarray]:
        """Masks of both, where they were kept."""
        found = {}
        for role, (experiment, label) in (("model", self.first), ("other", self.second)):
            path = experiment.folder / "masks" / label / f"{name}_segmentation.png"
            if path.is_file():
                found[role] = read_mask(path)
        return found

    def _draw(self, position: int, outlines: dict[str, np.ndarray]) -> bytes | None:
        experiment = self.first[0]
        row = experiment.images.iloc[position]
        if not row["image"]:
            return None
        mask = experiment.folder / row["mask"] if row["mask"] else None
        return draw_case(experiment.folder / row["image"], mask, outlines)


def _number(value: float) -> str:
    return "–" if np.isnan(value) else f"{value:.3f}"


def _difference(row: pd.Series) -> Difference:
    return Difference(row["difference"], row["low"], row["high"], row["p_value"])


def _p(value: float) -> str:
    if np.isnan(value):
        return "–"
    return "< 0.001" if value < 0.001 else f"{value:.3f}"


def _choose(experiment: Experiment, label: str | None, common: list[str], option: str) -> str:
    if label is not None:
        if label not in experiment.models:
            raise ValueError(f"{experiment.folder} has no model {label!r}; it has {', '.join(experiment.models)}")
        return label
    if len(experiment.models) == 1:
        return experiment.models[0]
    if len(common) == 1:
        return common[0]
    raise ValueError(
        f"{experiment.folder} has several models ({', '.join(experiment.models)}); say which one to compare ({option})"
    )


def compare_experiments(
    first: str | os.PathLike[str] | Experiment,
    second: str | os.PathLike[str] | Experiment,
    out: str | os.PathLike[str] | None = None,
    *,
    first_model: str | None = None,
    second_model: str | None = None,
    n_resamples: int = 2000,
    confidence: float = 0.95,
    seed: int = 0,
) -> Comparison:
    """Compare two experiments image by image.

    Images are matched by name, and by the SHA-256 of their files. Those that
    only one of the two has scored, or that are not the same in both, are left
    out and named.

    Parameters
    ----------
    first, second : path-like or Experiment
        The experiments, by their folders; both of one task. They may be the
        same one, to compare two models in it.
    out : path-like, default=None
        Folder for ``compare.md``, ``compare.html`` and the tables; nothing is
        written if None.
    first_model, second_model : str, default=None
        Label of the model of each; needed where an experiment has several.
    n_resamples : int, default=2000
        Resamples of the bootstrap of groups.
    confidence : float, default=0.95
        Level of intervals, in (0, 1).
    seed : int, default=0
        Seed.

    Returns
    -------
    Comparison
        Differences of all scores with intervals and p values, see
        `paired_bootstrap`; of subgroups; and of each image.

    Raises
    ------
    ValueError
        If they are of different tasks or classes, have no image in common, or
        it is not clear which models are meant.
    """
    pair = [item if isinstance(item, Experiment) else load_experiment(item) for item in (first, second)]
    tasks = [experiment.task for experiment in pair]
    if tasks[0] != tasks[1]:
        raise ValueError(
            f"{pair[0].folder} is a {tasks[0]}, {pair[1].folder} a {tasks[1]}; compare experiments of one task"
        )
    classes = [(experiment.config["classes"], experiment.config["positive"]) for experiment in pair]
    if classes[0] != classes[1]:
        raise ValueError(f"the two do not tell the same classes apart: {classes[0]} and {classes[1]}")
    common = [label for label in pair[0].models if label in pair[1].models]
    labels = [
        _choose(pair[0], first_model, common, "first_model"), _choose(pair[1], second_model, common, "second_model")
    ]  # fmt: skip
    tables = [_rows(experiment, label) for experiment, label in zip(pair, labels, strict=True)]
    names = [set(table.index) for table in tables]
    both = [name for name in tables[0].index if name in names[1]]
    changed = _not_the_same(pair, tables, both)
    kept = [name for name in both if name not in set(changed)]
    if not kept:
        raise ValueError(
            f"{pair[0].folder} and {pair[1].folder} have no image in common that is the same and scored in both "
            f"({len(names[0])} and {len(names[1])} images are scored)"
        )
    one, other = (table.loc[kept] for table in tables)
    options = {"n_resamples": n_resamples, "confidence": confidence, "seed": seed}
    statistics = statistics_of(tasks[0], sensitivity=pair[0].config["settings"]["sensitivity"], classes=classes[0][0])
    scores = _score_table(one, other, statistics, options)
    notes = list(dict.fromkeys(note for experiment in pair for note in experiment.config["notes"]))
    if pair[0].config["versions"]["skinseg"] != pair[1].config["versions"]["skinseg"]:
        notes.append("The two were run by different versions of skinseg.")
    fewer = {**options, "n_resamples": min(n_resamples, _SUBGROUP_RESAMPLES)}
    comparison = Comparison(
        (pair[0], labels[0]), (pair[1], labels[1]), scores,
        _subgroup_table(pair[0], one, other, statistics[:1], fewer),
        _image_table(one, other, tasks[0]),
        sorted(names[0] - names[1]), sorted(names[1] - names[0]), changed, notes,
    )  # fmt: skip
    if out is not None:
        comparison.write(out)
    return comparison


def _rows(experiment: Experiment, label: str) -> pd.DataFrame:
    rows = usable(experiment.scores[experiment.scores["model"] == label], experiment.task)
    return rows.set_index("name", drop=False)


def _not_the_same(pair: list[Experiment], tables: list[pd.DataFrame], names: list[str]) -> list[str]:
    """Name the images of which the two do not have the same file, mask or class."""
    images = [experiment.images.set_index("name").loc[names] for experiment in pair]
    columns = ["image_sha256", *(["mask_sha256"] if pair[0].task == "segmentation" else [])]
    differ = np.zeros(len(names), bool)
    for column in columns:
        differ |= images[0][column].to_numpy() != images[1][column].to_numpy()
    if pair[0].task == "classification":
        differ |= tables[0].loc[names, "target"].to_numpy() != tables[1].loc[names, "target"].to_numpy()
    return [name for name, other in zip(names, differ, strict=True) if other]


def _score_table(one: pd.DataFrame, other: pd.DataFrame, statistics: Any, options: dict[str, Any]) -> pd.DataFrame:
    found = compare_statistics(one, other, statistics, **options)
    values = [interval_table(rows, statistics, **{**options, "n_resamples": 1}) for rows in (one, other)]
    return pd.DataFrame([
        {
            "score": statistic.name, "title": statistic.title, "first": values[0][statistic.name].value,
            "second": values[1][statistic.name].value, "difference": found[statistic.name].value,
            "low": found[statistic.name].low, "high": found[statistic.name].high,
            "p_value": found[statistic.name].p_value, "images": len(one),
        }
        for statistic in statistics
    ])  # fmt: skip


def _subgroup_table(
    experiment: Experiment, one: pd.DataFrame, other: pd.DataFrame, statistics: Any, options: dict[str, Any]
) -> pd.DataFrame:
    settings = experiment.config["settings"]
    images = experiment.images.set_index("name", drop=False).loc[one.index].reset_index(drop=True)
    target = (settings["target_column"] or "target") if experiment.task == "segmentation" else None
    parts = []
    for title, values in make_subgroups(images, target=target, columns=settings["subgroup_columns"]).items():
        for level in values.cat.categories:
            inside = np.flatnonzero((values == level).to_numpy())
            if len(inside):
                table = _score_table(one.iloc[inside], other.iloc[inside], statistics, options)
                parts.append(table.assign(subgroup=title, level=level))
    return pd.concat(parts, ignore_index=True) if parts else pd.DataFrame()


def _image_table(one: pd.DataFrame, other: pd.DataFrame, task: str) -> pd.DataFrame:
    if task == "segmentation":
        values = [rows["jaccard"].to_numpy() for rows in (one, other)]
    elif "probability" in one:
        values = [rows["probability"].to_numpy() for rows in (one, other)]
    else:  # of several classes, that of the true one
        values = [
            np.array([row[f"probability_{row['target']}"] for _, row in rows.iterrows()]) for rows in (one, other)
        ]
    table = pd.DataFrame({"name": one.index, "first": values[0], "second": values[1]})
    table["difference"] = table["first"] - table["second"]
    order = table["difference"].abs().sort_values(ascending=False, kind="stable").index
    return table.loc[order].reset_index(drop=True)
