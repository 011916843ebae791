"""What the subcommands of ``skinseg`` share: errors in one line, options of a long run, and what is said at its end."""

from __future__ import annotations

import signal
import sys
import threading
from collections.abc import Callable, Iterator
from contextlib import contextmanager
from pathlib import Path
from typing import TYPE_CHECKING, Any

import click

if TYPE_CHECKING:
    from .doubtful import DoubtfulFolder
    from .runs import RunSummary

__all__ = [
    "NOTICE",
    "TABLES",
    "Command",
    "check_out",
    "check_tables",
    "command",
    "doubtful_folder",
    "doubtful_options",
    "finish_run",
    "hash_of_file",
    "max_pixels",
    "note",
    "quiet",
    "run_options",
    "say_count",
    "split_list",
    "tell_doubtful",
]

NOTICE = "Research software, no medical device: no result is a diagnosis."
TABLES = (".csv", ".tsv", ".parquet")


@contextmanager
def _stopped_by_sigterm() -> Iterator[list[int]]:
    """Let SIGTERM, which schedulers send before they kill, end a command as Ctrl-C does; its number is noted."""
    stopped: list[int] = []
    here = threading.current_thread() is threading.main_thread()
    if not here or signal.getsignal(signal.SIGTERM) is not signal.SIG_DFL:
        yield stopped
        return

    def stop(number: int, _frame: object) -> None:
        stopped.append(number)
        raise KeyboardInterrupt

    signal.signal(signal.SIGTERM, stop)
    try:
        yield stopped
    finally:
        signal.signal(signal.SIGTERM, signal.SIG_DFL)


class Command(click.Command):
    """A command whose errors of input are one line and not a traceback."""

    def invoke(self, ctx: click.Context) -> Any:
        try:
            with _stopped_by_sigterm() as stopped:
                return super().invoke(ctx)
        except (OSError, ValueError, ImportError, MemoryError) as error:
            if isinstance(error, BrokenPipeError):
                raise
            text = "; ".join([str(error) or type(error).__name__, *getattr(error, "__notes__", ())])
            raise click.UsageError(text, ctx) from None
        except KeyboardInterrupt as error:
            click.echo(f"\n{str(error) or 'interrupted'}", err=True)
            ctx.exit(128 + (stopped[0] if stopped else signal.SIGINT))

    def format_epilog(self, ctx: click.Context, formatter: click.HelpFormatter) -> None:
        """Write the examples as they are, without rewrapping."""
        if self.epilog:
            formatter.write_paragraph()
            formatter.write(self.epilog.rstrip() + "\n")


def command(group: click.Group, name: str, *examples: str) -> Callable[[Callable[..., Any]], click.Command]:
    """Make a function a command of a group, with examples at the end of its help."""
    epilog = "\n".join(["Examples:", *(f"  {example}" for example in examples), "", NOTICE])
    return group.command(name, cls=Command, epilog=epilog)


def _take_limit(context: click.Context, _option: click.Parameter, text: str | None) -> None:
    """Let a limit hold while the command runs, in its workers as well."""
    if text is None:
        return
    from ._opening import limit_of_caller

    known = text.strip().lower()
    if known != "none" and not (known.isascii() and known.isdigit() and int(known) >= 1):
        raise click.BadParameter(f"{text!r} is no whole number of pixels of at least 1, nor none for no limit")
    context.with_resource(limit_of_caller(known))


max_pixels = click.option(
    "--max-pixels", metavar="N|none", expose_value=False, callback=_take_limit,
    help="Refuse larger images; 250 million pixels by default, or what SKINSEG_MAX_PIXELS in the environment says.",
)  # fmt: skip
quiet = click.option("-q", "--quiet", is_flag=True, help="No progress bar.")


def split_list(text: str | None) -> list[str] | None:
    """Cut a list at its commas."""
    return [part.strip() for part in text.split(",")] if text else None


def check_out(path: Path, suffixes: tuple[str, ...], option: str = "--out") -> Path:
    """Refuse what cannot be written before hours of work, and not after."""
    if suffixes and path.suffix.lower() not in suffixes:
        raise click.BadParameter(f"{path} must end in {' or '.join(suffixes)}", param_hint=option)
    if path.is_dir() or not path.parent.is_dir():
        problem = "is a folder" if path.is_dir() else "lies in a folder that does not exist; make it first"
        raise click.BadParameter(f"{path} {problem}", param_hint=option)
    return path


def check_tables(out: Path, errors: Path | None) -> None:
    check_out(out, TABLES)
    if errors is not None:
        check_out(errors, TABLES, "--errors")


def say_count(n_images: int) -> str:
    return f"{n_images} image{'s' if n_images > 1 else ''}"


def note(text: str) -> None:
    click.echo(text, err=True)


def run_options(command: Callable[..., Any]) -> Callable[..., Any]:
    """Give a command the options of a long run."""
    for option in (
        click.option("--retry-failed", is_flag=True, help="When going on: try again the images that failed."),
        click.option(
            "--fresh", is_flag=True,
            help="Start over: throw away what a stopped call has done, and replace masks that were painted.",
        ),
        click.option(
            "--errors", type=click.Path(path_type=Path), metavar="FILE",
            help="Table to write besides of the images with an error: image, error.",
        ),
    ):  # fmt: skip
        command = option(command)
    return command


def doubtful_options(command: Callable[..., Any]) -> Callable[..., Any]:
    """Give a command the options of outlines that are written out to be corrected."""
    for option in (
        click.option(
            "--doubtful-number", type=click.IntRange(1), metavar="N",
            help="Instead so many images: those without a lesion first, then the least confident.",
        ),
        click.option(
            "--doubtful-share", type=click.FloatRange(0, 1, min_open=True), metavar="SHARE",
            help="Instead this share of the images, such as 0.05, in the same order.",
        ),
        click.option(
            "--doubtful-below", type=click.FloatRange(0, 1, min_open=True), metavar="CONFIDENCE",
            help="Those with a confidence below this, and those without a lesion; 0.7 by default.",
        ),
        click.option(
            "--doubtful", type=click.Path(path_type=Path, file_okay=False), metavar="DIR",
            help="Folder for copies of doubtful images and their outlines, to be corrected with LabelMe, CVAT, ...",
        ),
    ):  # fmt: skip
        command = option(command)
    return command


def doubtful_folder(doubtful: Path | None, n_jobs: int | None, **chosen: Any) -> DoubtfulFolder | None:
    """Make of the options of doubtful outlines what writes them."""
    from .doubtful import DoubtfulFolder

    given = [name for name, value in chosen.items() if value is not None]
    if doubtful is None:
        if given:
            option = f"--{given[0].replace('_', '-')}"
            raise click.BadParameter("it needs the folder, --doubtful DIR", param_hint=option)
        return None
    if len(given) > 1:
        names = " and ".join(f"--{name.replace('_', '-')}" for name in given)
        raise click.UsageError(f"{names} exclude each other; give one of them")
    options = {name.removeprefix("doubtful_"): value for name, value in chosen.items()}
    return DoubtfulFolder(doubtful, **options, n_jobs=n_jobs)


def tell_doubtful(summary: RunSummary, doubtful: DoubtfulFolder | None, below: float) -> bool:
    """List outlines that are worth a look, or say where they were written, and whether some could not be."""
    if doubtful is not None and doubtful.summary is not None:
        from .doubtful._folder import lines_of

        note("\n".join(lines_of(doubtful.summary)))
        return bool(doubtful.summary.failed)
    if summary.n_doubtful:
        note(f"worth a look, with a confidence below {below}: {say_count(summary.n_doubtful)}")
        for image, confidence in sorted(summary.doubtful, key=lambda pair: pair[1]):
            note(f"  {image}: {confidence:.2f}")
        if summary.n_doubtful > len(summary.doubtful):
            note(f"  ... and {summary.n_doubtful - len(summary.doubtful)} more; --table FILE tells all confidences")
        note("--doubtful DIR writes them for an annotation tool, where they can be corrected")
    return False


def hash_of_file(name: str) -> str | None:
    """Tell a model file by its content; None for what comes with the package."""
    from hashlib import sha256

    return sha256(Path(name).read_bytes()).hexdigest() if Path(name).is_file() else None


def finish_run(summary: RunSummary, what: str, has_table: bool = True) -> None:
    """List what failed at the end; exit code 1 if anything did."""
    from .runs._drive import rate_of

    earlier = f" ({summary.n_earlier} of them in earlier calls)" if summary.n_earlier else ""
    speed = f"; {text}" if (text := rate_of(summary)) else ""
    click.echo(f"{summary.n_images - summary.n_failed} of {summary.n_images} images {what}{earlier}{speed}")
    empty, failed = [f"  {name}" for name in summary.empty], [f"  {name}: {text}" for name, text in summary.failed]
    for count, lines, title in (
        (summary.n_empty, empty, "no lesion found in"), (summary.n_failed, failed, "failed:"),
    ):  # fmt: skip
        if count:
            rest = count - len(lines)
            where = "; the table has them" if has_table else "; --errors FILE lists all"
            note(
                "\n".join([f"{title} {say_count(count)}", *lines, *([f"  ... and {rest} more{where}"] if rest else [])])
            )
    note(NOTICE)
    if summary.n_failed:
        sys.exit(1)
