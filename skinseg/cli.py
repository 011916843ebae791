"""The command ``skinseg``: a thin shell over the library.

Nothing heavy is imported before the subcommand is known, so that ``--help``
answers at once.
"""

from __future__ import annotations

import sys
from pathlib import Path
from typing import Any

import click

from ._command import (
    NOTICE,
    TABLES,
    check_out,
    check_tables,
    command,
    doubtful_folder,
    doubtful_options,
    finish_run,
    hash_of_file,
    max_pixels,
    note,
    quiet,
    run_options,
    say_count,
    split_list,
    tell_doubtful,
)
from ._datasets_command import datasets
from ._names import SEGMENTERS
from ._version import __version__

__all__ = ["main"]

_SETTINGS = {"help_option_names": ["-h", "--help"], "max_content_width": 100}


@click.group(context_settings=_SETTINGS, epilog=NOTICE)
@click.version_option(__version__, prog_name="skinseg")
def main() -> None:
    """Outline, measure and classify skin lesions in dermoscopic images."""


main.add_command(datasets)


_jobs = click.option("-j", "--jobs", type=int, default=None, metavar="N", help="Parallel workers; -1 for all cores.")
_images = click.argument("images", nargs=-1, required=True, metavar="IMAGES...")
_pos_label = click.option(
    "--pos-label",
    "positive",
    metavar="CLASS",
    help="The class that the probability is of, where the model does not say it.",
)
_pixel_size = click.option(
    "--pixel-size", type=click.FloatRange(0, min_open=True), metavar="MM",
    help="Millimeters per pixel of the files, where all have the same: sizes are told in millimeters, too.",
)  # fmt: skip
_segmenter = click.option(
    "--segmenter", default="pretrained", show_default=True, metavar="NAME|FILE",
    help=f"What outlines the lesions: {', '.join(SEGMENTERS)}, or a model file saved by skinseg.",
)  # fmt: skip


def _make_segmenter(name: str, *, learns: bool = False) -> Any:
    from sklearn.utils import get_tags

    import skinseg

    if name in SEGMENTERS:
        segmenter = getattr(skinseg, SEGMENTERS[name])()
        if learns or not get_tags(segmenter).requires_fit:
            return segmenter
        raise click.BadParameter(
            f"{name!r} learns from expert masks and is not trained; make a model with `skinseg train TABLE --segmenter "
            f"{name} --mask-column COLUMN ... --out MODEL` and give that: --segmenter MODEL",
            param_hint="--segmenter",
        )
    if not Path(name).is_file():
        known = ", ".join(SEGMENTERS)
        raise click.BadParameter(
            f"{name!r} is neither a segmenter ({known}) nor a model file", param_hint="--segmenter"
        )
    from sklearn.frozen import FrozenEstimator

    from .base import nested_estimators
    from .pipeline import outlining_part

    model = outlining_part(skinseg.load(name))
    if not (hasattr(model, "transform") and hasattr(model, "predict")):
        raise click.BadParameter(f"{name} holds no segmenter but a {type(model).__name__}", param_hint="--segmenter")
    for part in nested_estimators(model):
        if hasattr(part, "on_error"):
            part.on_error = "nan"  # what fails is listed at the end
    return FrozenEstimator(model)  # it is fitted, and stays as it was saved


@command(
    main,
    "segment",
    "skinseg segment photos/ --out masks/",
    "skinseg segment 'archive/**/*.jpg' --out masks/ --jobs 2",
    "skinseg segment photos/ --out masks/ --table outlines.csv     (with the confidence of each outline)",
    "skinseg segment 'archive/**/*.jpg' --out masks/ --jobs 2      (again, after a stop: goes on where it was)",
    "skinseg segment a.jpg b.png --out masks/ --segmenter my_unet.skops",
    "skinseg segment photos/ --out masks/ --doubtful review/ --doubtful-share 0.05   (docs/corrections.md)",
)
@_images
@click.option("--out", type=click.Path(path_type=Path, file_okay=False), required=True, help="Folder of the masks.")
@click.option(
    "--table", type=click.Path(path_type=Path), metavar="FILE",
    help="Table to write besides, .csv, .tsv or .parquet: image, mask, confidence of the outline, error.",
)  # fmt: skip
@_segmenter
@doubtful_options
@run_options
@max_pixels
@_jobs
@quiet
def segment(
    images: tuple[str, ...], out: Path, table: Path | None, segmenter: str, errors: Path | None, fresh: bool,
    retry_failed: bool, jobs: int | None, quiet: bool, **doubtful: Any,
) -> None:  # fmt: skip
    """Outline the lesions of IMAGES (files, folders or patterns).

    Masks are written as <stem>_segmentation.png, 8-bit, 0 and 255, at the size
    of the image: the form of the ISIC challenges. Called again after it was
    stopped, in whatever way, it goes on where it was.
    """
    from .outlining import DOUBTFUL, find_images, segment_to_folder

    folder = doubtful_folder(n_jobs=jobs, **doubtful)
    for path, option in ((table, "--table"), (errors, "--errors")):
        if path is not None:
            out.mkdir(parents=True, exist_ok=True)  # where the table may go as well
            check_out(path, TABLES, option)
    summary = segment_to_folder(
        find_images(images), out, _make_segmenter(segmenter), table=table, errors=errors, fresh=fresh,
        retry_failed=retry_failed, model_id=hash_of_file(segmenter), doubtful=folder, n_jobs=jobs, verbose=not quiet,
        tell=note,
    )  # fmt: skip
    failed = tell_doubtful(summary, folder, DOUBTFUL)
    finish_run(summary, f"segmented into {out}", table is not None)
    if failed:
        sys.exit(1)


@command(
    main,
    "features",
    "skinseg features photos/ --out features.csv",
    "skinseg features photos/ --masks masks/ --out features.parquet --groups asymmetry,border",
    "skinseg features archive/ --out all.parquet --errors bad.csv --jobs -1 2> log.txt",
    "skinseg features archive/ --out all.parquet --errors bad.csv --jobs -1    (after a stop: goes on where it was)",
    "skinseg features archive/ --out all.parquet --fresh                       (after a stop: starts over)",
)
@_images
@click.option("--out", type=click.Path(path_type=Path), required=True, help="Table to write, .csv, .tsv or .parquet.")
@click.option(
    "--masks", type=click.Path(path_type=Path), help="Folder of masks, <stem>_segmentation.png or <stem>.png."
)
@_segmenter
@click.option("--groups", metavar="A,B,...", help="Groups of features, separated by commas; all by default.")
@_pixel_size
@run_options
@max_pixels
@_jobs
@quiet
def features(
    images: tuple[str, ...], out: Path, masks: Path | None, segmenter: str, groups: str | None,
    pixel_size: float | None, errors: Path | None, fresh: bool, retry_failed: bool, jobs: int | None, quiet: bool,
) -> None:  # fmt: skip
    """Measure asymmetry, border, color, dimension and structures of the lesions of IMAGES.

    The table has one row an image: image, the features, error. Rows are kept in
    the folder OUT.parts meanwhile: called again after it was stopped, in
    whatever way, the command goes on where it was.
    """
    from .bulk import measure_to_file
    from .outlining import find_images, find_masks

    check_tables(out, errors)
    files = find_images(images)
    summary = measure_to_file(
        files, out, segmenter=None if masks else _make_segmenter(segmenter),
        masks=find_masks(files, masks) if masks else None, groups=split_list(groups), pixel_size=pixel_size,
        errors=errors, fresh=fresh, retry_failed=retry_failed, model_id=hash_of_file(segmenter), n_jobs=jobs,
        verbose=not quiet, tell=note,
    )  # fmt: skip
    finish_run(summary, f"measured into {out}")


@command(
    main,
    "train",
    "skinseg train lesions.csv --target-column melanoma --out melanoma.skops",
    "skinseg train isic2017.csv --image-column image --target-column melanoma --group-column group \\",
    "    --where split=training --out melanoma.skops --jobs 2",
)
@click.argument("table", type=click.Path(path_type=Path))
@click.option("--image-column", default="image", show_default=True, help="Column of the image files.")
@click.option("--target-column", required=True, help="Column of the classes.")
@click.option(
    "--mask-column", help="Column of expert masks: segmenters that learn are trained on them, outlines are scored."
)
@click.option("--group-column", help="Column of lesions or patients, kept together by the folds.")
@click.option(
    "--metadata-columns", metavar="A,B,...", help="Clinical columns to use beside the image, such as age,sex."
)
@click.option("--where", multiple=True, metavar="COLUMN=VALUE", help="Use only these rows; may be repeated.")
@click.option("--pos-label", help="The positive class (1 of 0 and 1 by default).")
@click.option("--out", type=click.Path(path_type=Path), required=True, help="Model file to write, .skops.")
@_segmenter
@click.option(
    "--classifier", type=click.Choice(["logistic", "forest", "boosting"]), default="logistic", show_default=True,
    help="What decides on the features.",
)  # fmt: skip
@click.option(
    "--sampler", type=click.Choice(["none", "smote", "under"]), default="none", show_default=True,
    help="How classes are balanced for fitting: SMOTE, or random under-sampling.",
)  # fmt: skip
@click.option("--folds", type=click.IntRange(2), default=5, show_default=True, help="Folds of the cross-validation.")
@click.option(
    "--sensitivity", type=click.FloatRange(0, 1, min_open=True), default=0.9, show_default=True,
    help="Sensitivity for which the threshold of the decision is chosen, on out-of-fold probabilities.",
)  # fmt: skip
@click.option(
    "--seed",
    type=click.IntRange(0, 2**32 - 1),
    default=0,
    show_default=True,
    help="Seed of folds, model and intervals.",
)
@max_pixels
@_jobs
@quiet
def train(table: Path, out: Path, **options: Any) -> None:
    """Cross-validate and fit a pipeline on the images of TABLE (.csv, .tsv, .parquet).

    Scores come with 95 % bootstrap intervals (by group); then the pipeline is
    fitted on all rows, with its threshold, and saved for `skinseg predict`.
    """
    from .training import train_from_table

    check_out(out, (".skops",))
    segmenter = _make_segmenter(options.pop("segmenter"), learns=True)
    where = dict(_parse_where(text) for text in options.pop("where"))
    metadata = split_list(options.pop("metadata_columns"))
    train_from_table(
        table, out, segmenter=segmenter, where=where, metadata_columns=metadata, echo=click.echo, **options
    )
    click.echo(NOTICE, err=True)


def _parse_where(text: str) -> tuple[str, str]:
    column, equals, value = text.partition("=")
    if not equals:
        raise click.BadParameter(f"{text!r} is not of the form COLUMN=VALUE", param_hint="--where")
    return column, value


def _load_classifier(name: str) -> Any:
    import skinseg

    if name == "melanoma":
        return skinseg.load_pretrained(name)
    if not Path(name).is_file():
        text = f"{name}: the model file does not exist; `skinseg train` makes one, or use the packaged model, melanoma"
        raise click.BadParameter(text, param_hint="--model")
    fitted = skinseg.load(name)
    if not hasattr(fitted, "predict_proba"):
        raise click.BadParameter(f"{name} holds no classifier but a {type(fitted).__name__}", param_hint="--model")
    return fitted


@command(
    main,
    "predict",
    "skinseg predict photos/ --out predictions.csv",
    "skinseg predict photos/ --table patients.csv --image-column file --out predictions.csv",
    "skinseg predict photos/ --model melanoma.skops --out predictions.csv",
    "skinseg predict photos/ --model fused.skops --table patients.csv --image-column file --out predictions.csv",
)
@_images
@click.option("--out", type=click.Path(path_type=Path), required=True, help="Table to write, .csv, .tsv or .parquet.")
@click.option(
    "--model", metavar="NAME or FILE", default="melanoma", show_default=True,
    help="The model that comes trained (research use, no diagnosis), or a file saved by `skinseg train`.",
)  # fmt: skip
@click.option(
    "--table", type=click.Path(path_type=Path), help="Table of the clinical columns: age, sex, site, or the model's."
)
@click.option("--image-column", default="image", show_default=True, help="Its column of image files, matched by name.")
@_pos_label
@run_options
@max_pixels
@_jobs
@quiet
def predict(
    images: tuple[str, ...], out: Path, model: str, table: Path | None, image_column: str,
    positive: str | None, errors: Path | None,
    fresh: bool, retry_failed: bool, jobs: int | None, quiet: bool,
) -> None:  # fmt: skip
    """Predict the class of the lesion in IMAGES (files, folders or patterns).

    The table has one row an image: image, melanoma_probability, decision, error;
    of the packaged model also the interval of the probability, melanoma_low and
    melanoma_high. It takes age, sex and site from --table where they are known.
    Called again after it was stopped, in whatever way, it goes on where it was.
    """
    from .bulk import predict_to_file, rows_for
    from .datasets import load_lesion_table
    from .outlining import find_images

    check_tables(out, errors)
    fitted = _load_classifier(model)
    files = find_images(images)
    metadata = None
    if table is not None:
        metadata = rows_for(files, load_lesion_table(table, image_column=image_column).frame, image_column)
    summary = predict_to_file(
        files, out, fitted, metadata=metadata, positive=positive, errors=errors, fresh=fresh, retry_failed=retry_failed,
        model_id=hash_of_file(model), n_jobs=jobs, verbose=not quiet, tell=note,
    )  # fmt: skip
    finish_run(summary, f"predicted into {out}")


@command(
    main,
    "evaluate",
    "skinseg evaluate lesions.csv --model pretrained --model threshold --mask-column mask --out scores/",
    "skinseg evaluate lesions.csv --model melanoma --target-column melanoma --metadata-columns age,sex --out scores/",
    "skinseg evaluate lesions.csv --model my.skops --target-column dx --pos-label mel --folds 5 --out folds/",
    "skinseg evaluate ISIC2017/ --layout isic2017 --subset test --model pretrained --out scores/",
    "skinseg evaluate --rerun scores/experiment.json --out again/",
)
@click.argument("table", required=False, type=click.Path(path_type=Path))
@click.option("--out", type=click.Path(path_type=Path, file_okay=False), required=True, help="Folder to write.")
@click.option(
    "--model", "models", multiple=True, metavar="NAME|FILE",
    help=f"What to evaluate, may be repeated: {', '.join(SEGMENTERS)}, melanoma, or a model file.",
)  # fmt: skip
@click.option(
    "--task", type=click.Choice(["segmentation", "classification"]), help="What the model is for, by default."
)
@click.option("--layout", metavar="NAME", help="TABLE is the folder of a published data set, such as isic2017.")
@click.option("--subset", help="Of the layout: training, validation, test or all.")
@click.option("--image-column", default="image", show_default=True, help="Column of the image files.")
@click.option("--mask-column", help="Column of the expert masks.")
@click.option("--target-column", help="Column of the classes.")
@click.option("--group-column", help="Column of lesions or patients: for folds and intervals.")
@click.option("--metadata-columns", metavar="A,B,...", help="Clinical columns that the model gets, such as age,sex.")
@click.option("--subgroup-columns", metavar="A,B,...", help="Columns for whose values scores are told, too.")
@click.option("--where", multiple=True, metavar="COLUMN=VALUE", help="Use only these rows; may be repeated.")
@click.option("--pos-label", help="The positive class (1 of 0 and 1 by default).")
@click.option("--folds", type=click.IntRange(2), help="Cross-validate: models are fitted anew in each fold.")
@click.option("--split-column", help="Fit on the rows for training, score on those for testing, by this column.")
@click.option("--train", default="train", show_default=True, help="Its value for training.")
@click.option("--test", default="test", show_default=True, help="Its value for testing.")
@click.option("--seed", type=click.IntRange(0, 2**32 - 1), default=0, show_default=True, help="Of folds and intervals.")
@click.option(
    "--sensitivity", type=click.FloatRange(0, 1, min_open=True), default=0.9, show_default=True,
    help="Sensitivity for which the specificity is told.",
)  # fmt: skip
@click.option(
    "--resamples", "n_resamples", type=click.IntRange(1), default=2000, show_default=True, help="Of intervals."
)
@click.option("--format", "table_format", type=click.Choice(["csv", "parquet"]), default="csv", show_default=True)
@click.option("--masks", is_flag=True, help="Keep the masks, in the form of the ISIC challenges.")
@click.option("--no-duplicates", is_flag=True, help="Do not look for duplicates and leaks.")
@click.option("--rerun", type=click.Path(path_type=Path), metavar="JSON", help="Run this experiment.json again.")
@max_pixels
@_jobs
@quiet
def evaluate(table: Path | None, out: Path, models: tuple[str, ...], rerun: Path | None, **options: Any) -> None:
    """Score models on the images of TABLE (.csv, .tsv, .parquet) and write a report.

    The folder has scores of each image, a report with intervals, subgroups,
    worst cases and calibration (Markdown and HTML),
    and all that is needed to run it again. Exit code 1 if images failed, or a
    rerun gave other numbers.
    """
    from .evaluation._command import evaluate_command

    for name in ("metadata_columns", "subgroup_columns"):
        options[name] = split_list(options[name]) or []
    options["metadata_columns"] = options["metadata_columns"] or None
    options["where"] = dict(_parse_where(text) for text in options["where"]) or None
    given = {name for name, source in _sources().items() if source != click.core.ParameterSource.DEFAULT}
    failed = evaluate_command(table, out, models, rerun, given=given, echo=_say, **options)
    click.echo(NOTICE, err=True)
    sys.exit(int(failed))


def _sources() -> dict[str, Any]:
    """Tell of each option whether it was given."""
    context = click.get_current_context()
    return {name: context.get_parameter_source(name) for name in context.params}


def _say(text: str, warning: bool = False) -> None:
    click.echo(text, err=warning)


@command(
    main,
    "compare",
    "skinseg compare before/ after/",
    "skinseg compare scores/ scores/ --models pretrained,threshold --out compared/",
)
@click.argument("first", type=click.Path(path_type=Path))
@click.argument("second", type=click.Path(path_type=Path))
@click.option(
    "--out", type=click.Path(path_type=Path, file_okay=False), help="Folder for compare.md, .html and tables."
)
@click.option("--models", metavar="A[,B]", help="Labels of the models, where an experiment has several.")
@click.option("--seed", type=click.IntRange(0, 2**32 - 1), default=0, show_default=True, help="Of the intervals.")
@click.option(
    "--resamples", "n_resamples", type=click.IntRange(1), default=2000, show_default=True, help="Of intervals."
)
def compare(first: Path, second: Path, out: Path | None, models: str | None, seed: int, n_resamples: int) -> None:
    """Compare two folders of `skinseg evaluate`, image by image: FIRST minus SECOND."""
    from .evaluation import compare_experiments

    labels = split_list(models) or []
    if len(labels) > 2:
        raise click.BadParameter(f"{models!r} names more than two models", param_hint="--models")
    one, other = (labels[0], labels[-1]) if labels else (None, None)
    compared = compare_experiments(
        first, second, out, first_model=one, second_model=other, seed=seed, n_resamples=n_resamples
    )
    click.echo(str(compared))
    click.echo(NOTICE, err=True)


@command(
    main,
    "report",
    "skinseg report photos/ --out report.html",
    "skinseg report photos/ --out report.html --order doubtful --jobs 2",
    "skinseg report photos/ --table patients.csv --image-column file --out report.html",
    "skinseg report photos/ --masks masks/ --model none --out outlines.html",
    "skinseg report archive/ --no-cards --out overview.html",
)
@_images
@click.option("--out", type=click.Path(path_type=Path), required=True, help="File to write, .html.")
@click.option(
    "--model", metavar="NAME|FILE|none", default="melanoma", show_default=True,
    help="The model that comes trained, a file saved by `skinseg train`, or none.",
)  # fmt: skip
@click.option(
    "--segmenter", metavar="NAME|FILE",
    help="What outlines the lesions, as of `skinseg segment`; that of the model, or the pretrained one, by default.",
)  # fmt: skip
@click.option(
    "--masks", type=click.Path(path_type=Path), help="Folder of masks, <stem>_segmentation.png or <stem>.png."
)
@click.option(
    "--table", type=click.Path(path_type=Path), help="Table of the clinical columns, as of `skinseg predict`."
)
@click.option("--image-column", default="image", show_default=True, help="Its column of image files, matched by name.")
@_pos_label
@click.option(
    "--population", type=click.Path(path_type=Path), metavar="FILE",
    help="Table of `skinseg features` for the percentiles; the ISIC 2017 training images by default.",
)  # fmt: skip
@click.option(
    "--order", type=click.Choice(["given", "doubtful", "probability", "tds", "name"]), default="given",
    show_default=True, help="Order in which the report opens; doubtful outlines first, for one.",
)  # fmt: skip
@_pixel_size
@click.option("--title", default="Skin lesions", show_default=True, help="At the top.")
@click.option("--no-cards", is_flag=True, help="Overview and gallery only: faster, and a smaller file.")
@max_pixels
@_jobs
@quiet
def report(
    images: tuple[str, ...], out: Path, model: str, segmenter: str | None, jobs: int | None, **options: Any
) -> None:
    """Show the lesions of IMAGES (files, folders or patterns) in one HTML file.

    It needs no network and no other file: an overview that sorts and filters, a
    gallery with outlines, and a card an image with all that was measured, the
    probability and what raised it.
    """
    from .inspection._report_files import report_files

    check_out(out, (".html", ".htm"))
    summary = report_files(
        images, out, model=None if model == "none" else _load_classifier(model),
        segmenter=None if segmenter is None else _make_segmenter(segmenter),
        n_jobs=jobs, verbose=not options.pop("quiet"), **options,
    )  # fmt: skip
    click.echo(f"report of {say_count(summary.n_images)} in {summary.out} ({summary.out.stat().st_size / 1e6:.1f} MB)")
    for found, title in ((summary.empty, "no lesion found in"), (summary.failed, "failed:")):
        if found:
            lines = [f"  {item}" if isinstance(item, str) else f"  {item[0]}: {item[1]}" for item in found[:50]]
            rest = [f"  ... and {len(found) - 50} more; the report has them"] if len(found) > 50 else []
            note("\n".join([f"{title} {say_count(len(found))}", *lines, *rest]))
    note(NOTICE)
    if summary.failed:
        sys.exit(1)


@command(main, "demo", "skinseg demo", "skinseg demo --out /tmp/demo --samples 200")
@click.option(
    "--out", type=click.Path(path_type=Path, file_okay=False), default=Path("skinseg-demo"), show_default=True,
    help="Folder to write to.",
)  # fmt: skip
@click.option("--samples", type=click.IntRange(20), default=160, show_default=True, help="Number of synthetic images.")
@click.option("--seed", type=click.IntRange(0, 2**32 - 1), default=0, show_default=True, help="Seed.")
@_jobs
@quiet
def demo(out: Path, samples: int, seed: int, jobs: int | None, quiet: bool) -> None:
    """Run the whole path on synthetic lesions: outline, measure, train, predict, evaluate, report."""
    from .demo import run_demo

    run_demo(out, n_samples=samples, random_state=seed, n_jobs=jobs, verbose=not quiet, echo=click.echo)
    click.echo(NOTICE)


if __name__ == "__main__":
    main()
