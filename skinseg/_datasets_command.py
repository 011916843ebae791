"""The commands ``skinseg datasets ...``."""

from __future__ import annotations

import sys
from pathlib import Path
from typing import Any

import click

from ._command import command, quiet, say_count, split_list

__all__ = ["datasets"]


@click.group("datasets")
def datasets() -> None:
    """List, download, describe and verify published data sets."""


_home = click.option(
    "--home", type=click.Path(path_type=Path, file_okay=False), metavar="DIR",
    help="Folder of the data sets; SKINSEG_HOME, or skinseg_data in your home folder, by default.",
)  # fmt: skip


@command(datasets, "list", "skinseg datasets list")
@_home
def list_datasets(home: Path | None) -> None:
    """List the data sets: name, size of the download, license, what is there, home page."""
    from .datasets import list_datasets

    table = list_datasets(home)
    sizes = table["download"].map(lambda size: "" if size != size else f"{size / 1000:.1f} GB")
    licenses = table["license"].where(table["license"].str.len() < 20, "see describe")
    rows = zip(table["name"], sizes, licenses, table["state"], table["home"], strict=True)
    for row in (("name", "download", "license", "state", "home page"), *rows):
        click.echo("{:<9} {:>8}  {:<13} {:<16} {}".format(*row).rstrip())


@command(
    datasets,
    "fetch",
    "skinseg datasets fetch isic2017 --subset all",
    "skinseg datasets fetch ham10000 --accept-license --home /data",
    "skinseg datasets fetch isic2018 --task attributes --accept-license",
    "skinseg datasets fetch isic_archive --collections 70 --limit 500 --accept-license",
)
@click.argument("name")
@_home
@click.option("--task", help="What it is for, where the data set has several: segmentation, classification, ...")
@click.option("--subset", help="training (the default), validation, test or all.")
@click.option("--accept-license", is_flag=True, help="You keep to the license; asked of non-commercial data.")
@click.option("--base-url", metavar="URL", help="A mirror: folder with the files under their names.")
@click.option("--query", help="Of the ISIC Archive: search query.")
@click.option("--collections", metavar="N,N,...", help="Of the ISIC Archive: numbers of collections.")
@click.option("--limit", type=click.IntRange(1), help="Of the ISIC Archive: at most so many images.")
@quiet
def fetch_dataset(name: str, home: Path | None, accept_license: bool, quiet: bool, **options: Any) -> None:
    """Download the data set NAME, or go on with its download.

    Files are checked and unpacked; what is there is not downloaded again.
    """
    from .datasets import fetch_by_name, get_data_home

    numbers = split_list(options.pop("collections"))
    if numbers and not all(number.isdecimal() for number in numbers):
        raise click.BadParameter(f"{','.join(numbers)!r} are no numbers", param_hint="--collections")
    given = {key: value for key, value in options.items() if value is not None}
    if numbers:
        given["collections"] = [int(number) for number in numbers]
    data = fetch_by_name(name, home, accept_license=accept_license, verbose=not quiet, on_missing="ignore", **given)
    click.echo(f"{say_count(len(data.images))} of {name} in {get_data_home(home) / name}")
    if len(data.missing):
        click.echo(f"{len(data.missing)} files are missing or empty; see skinseg datasets verify {name}", err=True)


@command(datasets, "describe", "skinseg datasets describe ham10000", "skinseg datasets describe downloads/")
@click.argument("name", metavar="NAME|FOLDER")
def describe_dataset(name: str) -> None:
    """Tell what NAME is and how it is downloaded, or what is in FOLDER and what is missing there."""
    from .datasets import describe_dataset

    click.echo(describe_dataset(name))


@command(datasets, "verify", "skinseg datasets verify isic2017")
@click.argument("name")
@_home
def verify_dataset(name: str, home: Path | None) -> None:
    """Compare the files of NAME, one by one, with what was downloaded; exit code 1 if some differ."""
    from .datasets import verify_dataset

    table = verify_dataset(name, home)
    for row in table.itertuples():
        origin = f", checked with {row.checksum} ({row.origin})" if row.checksum else ""
        click.echo(f"{row.file}: {row.status}{origin}")
        for problem in row.problems:
            click.echo(f"  {problem}", err=True)
    if (table["status"] == "damaged").any():
        sys.exit(1)
