"""What a report of an experiment says, as sections of text, tables and pictures."""

from __future__ import annotations

from collections.abc import Sequence
from typing import Any

import numpy as np
import pandas as pd

from . import _figures
from ._blocks import FEW, NOTICE, Bullets, Figure, ReportData, Section, Table, Text, share_scale
from ._cases import worst_cases
from ._intervals import Difference
from ._operating import calibration, operating_point
from ._statistics import FEWEST, Statistic, compare_statistics, interval_table
from ._subgroups import make_subgroups

__all__ = ["make_sections"]

_SUBGROUP_RESAMPLES = 1000


def make_sections(report: ReportData) -> list[Section]:
    """Make all sections of a report.

    Parameters
    ----------
    report : ReportData
        What it is made of.

    Returns
    -------
    list of Section
        In order; empty ones are left out.
    """
    parts = [
        _what(report),
        _headline(report),
        _pairs(report),
        *([operating_point(report), calibration(report)] if report.task == "classification" else []),
        _subgroups(report),
        worst_cases(report),
        _failures(report),
        Section("Duplicates and leaks", [Bullets(report.config["checks"])] if report.config["checks"] else []),
        _limitations(report),
        _again(report),
    ]
    return [part for part in parts if part.blocks]


def _what(report: ReportData) -> Section:
    config, settings = report.config, report.config["settings"]
    results = config["results"]
    split = "the models were scored as they are"
    if settings["folds"]:
        split = f"{settings['folds']}-fold cross-validation, groups kept together, seed {settings['seed']}"
    elif settings["split_column"]:
        sizes = config["folds"][0]
        split = (
            f"fitted on {sizes['train']} images ({settings['split_column']} = {settings['train']}), scored on "
            f"{sizes['test']} ({settings['test']})"
        )
    rows = [
        ["Data", config["data"]["description"]],
        ["Images tested", f"{results['n_images']}, of {results['n_groups']} groups (lesions or patients)"],
        ["Split", split],
    ]
    if settings["where"]:
        rows.append(["Rows used", ", ".join(f"{key} = {value}" for key, value in settings["where"].items())])
    if report.task == "classification":
        told = report.images["target"].astype(str).value_counts()
        rows.append(["Classes", ", ".join(f"{name}: {count}" for name, count in sorted(told.items()))])
        if report.is_binary:
            rows.append(["Positive class", f"{settings['target_column'] or 'target'} = {config['positive']}"])
        rows.append(["Clinical columns", ", ".join(settings["metadata_columns"] or []) or "none: the images alone"])
    for label, source in config["models"].items():
        origin = source.get("name") or source.get("file") or source.get("object") or "given in Python"
        digest = f", SHA-256 {source['sha256'][:12]}…" if "sha256" in source else ""
        rows.append([f"Model {label}", f"{source['parameters']} ({origin}{digest})"])
    rows.append(["Software", ", ".join(f"{name} {number}" for name, number in list(config["versions"].items())[:8])])
    rows.append(
        [
            "SHA-256 of all files",
            f"{config['data']['files_sha256'][:16]}…; of each in images.{settings['table_format']}",
        ]
    )
    return Section("What was done", [Table(["", ""], rows)])


def _headline(report: ReportData) -> Section:
    counts = [len(report.rows(label)) for label in report.labels]
    rows: list[list[Any]] = [["Images scored", *map(str, counts)]]
    for statistic in report.statistics:
        cells = [report.headline[label][statistic.name] for label in report.labels]
        better = {"higher": "", "lower": " (lower is better)"}[statistic.better]
        unit = f", {statistic.unit}" if statistic.unit else ""
        rows.append([f"{statistic.title}{unit}{better}", *cells])
    options = report.options()
    note = (
        f"In brackets: {100 * options['confidence']:g} % intervals, percentile bootstrap of whole groups, "
        f"{options['n_resamples']} resamples, seed {options['seed']}."
    )
    if report.task == "segmentation":
        note += (
            " Means over the images; distances in pixels of each image as it was given, over images where both masks "
            "have an outline."
        )
    blocks: list[Any] = [Table(["", *report.labels], rows, note)]
    for label in report.labels:
        failed = report.scores[(report.scores["model"] == label) & (report.scores["error"] != "")]
        if len(failed) and report.task == "segmentation":
            scored = report.rows(label)["jaccard"]
            total = scored.sum() / (len(scored) + len(failed))
            text = f"{len(failed)} images failed with {label} and are left out; counted as 0 they make the mean Jaccard"
            blocks.append(Text(f"{text} index {total:.3f}."))
        elif len(failed):
            blocks.append(Text(f"{len(failed)} images failed with {label} and are left out of its scores; see below."))
    undefined = [
        s.title for s in report.statistics if all(np.isnan(report.headline[m][s.name].value) for m in report.labels)
    ]
    if undefined and report.task == "classification":
        why = "one class only" if report.images["target"].nunique() < 2 else "too few of a class"
        blocks.append(Text(f"Not defined on these images ({why}): {', '.join(undefined)}."))
    blocks += _pictures(report)
    return Section("Scores", blocks)


def _pictures(report: ReportData) -> list[Any]:
    found = {label: report.rows(label) for label in report.labels}
    if report.task == "segmentation":
        values = {label: rows["jaccard"].to_numpy() for label, rows in found.items()}
        return [
            Figure(
                lambda: _figures.draw_distribution(values),
                "Share of the images with at most a Jaccard index, for each model: the further to the right, the "
                "better. Experts agree with each other to about 0.79 (Codella et al., arXiv:1902.03368).",
            )
        ]
    curves = {
        label: (
            rows["target"].to_numpy() == 1,
            rows["probability"].to_numpy(float),
            rows["decision"].to_numpy(int) == 1,
        )
        for label, rows in found.items()
        if report.is_binary and rows["target"].nunique() == 2
    }
    return (
        [Figure(lambda: _figures.draw_roc(curves), "ROC curves; the dot is the decision of the model.")]
        if curves
        else []
    )


def _pairs(report: ReportData) -> Section:
    """Compare all models of the experiment, two at a time."""
    rows: list[list[Any]] = []
    main = [statistic for statistic in report.statistics if statistic.main]
    labels = report.labels
    for position, first in enumerate(labels):
        for second in labels[position + 1 :]:
            one, other = report.rows(first), report.rows(second)
            both = one.index.intersection(other.index)
            found = compare_statistics(one.loc[both], other.loc[both], main, **report.options())
            for number, statistic in enumerate(main):
                name = [f"{first} − {second}", str(len(both))] if number == 0 else ["", ""]
                rows.append([*name, statistic.title, found[statistic.name], _p_text(found[statistic.name])])
    if not rows:
        return Section("Models compared", [])
    note = (
        "Differences on the same images, paired bootstrap of whole groups; p values are two-sided, from the same "
        "resamples, and not corrected for their number."
    )
    return Section("Models compared", [Table(["", "images", "score", "difference", "p"], rows, note)])


def _p_text(found: Difference) -> str:
    if np.isnan(found.p_value):
        return "–"
    return "< 0.001" if found.p_value < 0.001 else f"{found.p_value:.3f}"


def _subgroups(report: ReportData) -> Section:
    settings = report.config["settings"]
    target = (settings["target_column"] or "target") if report.task == "segmentation" else None
    groups = make_subgroups(report.images, target=target, columns=settings["subgroup_columns"])
    first = report.statistics[0]
    others = [s for s in report.statistics if s.name in ("sensitivity", "specificity")] if report.is_binary else []
    blocks: list[Any] = []
    alone = len(report.labels) == 1
    for title, values in groups.items():
        blocks.append(_subgroup_table(report, title, values, [first, *others] if alone else [first], bars=True))
        if others and not alone:
            blocks.append(_subgroup_table(report, f"{title}: the decision", values, others, bars=False))
    if blocks:
        share_scale(blocks)
        count = report.options(_SUBGROUP_RESAMPLES)["n_resamples"]
        start = Text(
            f"{first.title} with intervals as above ({count} resamples), none for fewer than {FEWEST} groups, "
            f"positives or negatives, or where all resamples agree. Rows in gray (†) stand on fewer than {FEW} images. "
            "There are many subgroups, so that some differ by chance; hair, stickers and ink, and skin tone are found "
            "by programs and are approximate. The typology angle is no Fitzpatrick type, and the light of dermoscopic "
            "images is not calibrated."
        )
        blocks.insert(0, start)
    return Section("Subgroups", blocks)


def _subgroup_table(
    report: ReportData, title: str, values: pd.Series, statistics: Sequence[Statistic], *, bars: bool
) -> Table:
    found = {label: report.rows(label) for label in report.labels}
    scored = sorted(set().union(*(table.index for table in found.values())))
    columns = [title, "images", *(["positive"] if report.is_binary else [])]
    short = [statistic.title.removesuffix(" of the decision") for statistic in statistics]
    if len(report.labels) == 1:
        columns += short
    else:
        several = len(statistics) > 1
        columns += [f"{label}: {name}" if several else label for label in report.labels for name in short]
    rows: list[list[Any]] = []
    faint = set()
    for level in [name for name in values.cat.categories if (values == name).any()]:
        inside = np.intersect1d(np.flatnonzero((values == level).to_numpy()), scored)
        cells: list[Any] = [str(level), str(len(inside))]
        if report.is_binary:
            truth = report.scores[report.scores["model"] == report.labels[0]]["target"].to_numpy()
            cells.append(str(int((truth[inside] == 1).sum())))
        for table in found.values():
            part = table.loc[table.index.intersection(inside)]
            given = interval_table(part, statistics, **report.options(_SUBGROUP_RESAMPLES))
            cells += [given[statistic.name] for statistic in statistics]
        if len(inside) < FEW:
            faint.add(len(rows))
        rows.append(cells)
    start = len(columns) - len(report.labels) * len(statistics)
    drawn = [start] if len(report.labels) == 1 else list(range(start, len(columns)))
    return Table(columns, rows, bars=drawn if bars else [], faint=faint)


def _failures(report: ReportData) -> Section:
    blocks: list[Any] = []
    failed = report.scores[report.scores["error"] != ""]
    if len(failed):
        lines = [f"{row['name']} ({row['model']}): {row['error']}" for _, row in failed.iterrows()]
        blocks.append(Bullets(lines, f"{failed['name'].nunique()} of {len(report.images)} images failed"))
    if report.task == "segmentation":
        if report.missing:
            lines = [f"{name}: {text}" for name, text in report.missing.items()]
            blocks.append(Bullets(lines, f"{len(lines)} images have no expert mask that can be used, and no scores"))
        empty = report.scores[report.scores["note"].str.contains("no lesion found")]
        if len(empty):
            lines = [f"{row['name']} ({row['model']})" for _, row in empty.iterrows()]
            blocks.append(
                Bullets(lines, f"No lesion was found in {empty['name'].nunique()} images; the empty masks are scored")
            )
    if not blocks:
        blocks.append(Text("No image failed, and none is missing."))
    return Section("Missing and failed images", blocks)


def _limitations(report: ReportData) -> Section:
    items = [NOTICE, *report.config["notes"]]
    n_images = report.config["results"]["n_images"]
    items.append(f"All figures are of these {n_images} images; other devices, clinics and people may give others.")
    if report.config["settings"]["folds"]:
        items.append(
            "Each fold has a model of its own, fitted without the images that it is asked about; the scores are of all "
            "folds together, and no single model has them."
        )
    if report.task == "segmentation":
        items.append(
            "Expert masks are of uneven style: experts agree with each other to a Jaccard index of about 0.79 only, so "
            "that differences above that may be a matter of style."
        )
    else:
        items.append(
            "Probabilities are for the share of positives in the training data of the model; where that share "
            "differs, so do they, and the predictive values with them. Figures that are read off these images (the "
            "specificity at a given sensitivity) are a little too good."
        )
    items.append(
        "Intervals tell the chance of drawing these images, not that of labels, of training or of choosing a model."
    )
    return Section("Limitations", [Bullets(items)])


def _again(report: ReportData) -> Section:
    text = "Run it again and compare the numbers: `skinseg evaluate --rerun experiment.json --out again`."
    lost = any("not_kept" in source for source in report.config["models"].values())
    if lost or report.config["data"]["table"] is None:
        text += (
            " A model or the data could not be kept and must be given again, in Python: "
            "`skinseg.evaluation.rerun_experiment`."
        )
    return Section("Run it again", [Text(text)])
