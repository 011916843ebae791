"""Build the site from clean: python docs/build.py. Everything that is written is below docs/_build."""

import argparse
import os
import shutil
import subprocess
import sys
from pathlib import Path

DOCS = Path(__file__).parent
ROOT = DOCS.parent
BUILD = DOCS / "_build"
SOURCE = BUILD / "source"


def snapshot() -> dict[Path, tuple[int, int]]:
    """Size and time of every file of docs, and the names at the top of the repository."""
    files = {}
    for path in DOCS.rglob("*"):
        if path.is_file() and BUILD not in path.parents and "__pycache__" not in path.parts:
            files[path] = (path.stat().st_size, path.stat().st_mtime_ns)
    # what other tools write there while the site is built is theirs
    others = ("build", "dist")
    top = [path for path in ROOT.iterdir() if path.name[0] != "." and path.name not in others]
    return files | {path: (0, 0) for path in top if path.suffix != ".egg-info"}


def prepare() -> None:
    """Copy the pages, and make those that are made."""
    sys.path.insert(0, str(DOCS))
    from tools.pages import write_command, write_layers, write_news, write_weights
    from tools.reference import write_reference

    shutil.rmtree(BUILD, ignore_errors=True)
    skipped = shutil.ignore_patterns("_build", "__pycache__", "news", "build.py")
    shutil.copytree(DOCS, SOURCE, ignore=skipped)
    (SOURCE / "contributing.md").write_text((ROOT / "CONTRIBUTING.md").read_text())
    for write in (write_news, write_weights, write_command, write_layers):
        write(SOURCE)
    write_reference(SOURCE / "api")


def run_sphinx(builder: str, gallery: bool) -> int:
    """Run Sphinx on the copy; warnings are errors, all of which are shown."""
    command = [sys.executable, "-m", "sphinx", "-b", builder, "-n", "-W", "--keep-going", "-q", "--color"]
    if not gallery:
        command += ["-D", "plot_gallery=0"]
    command += ["-d", str(BUILD / "doctrees"), str(SOURCE), str(BUILD / builder)]
    # examples are short: threads that wait for each other cost more than they bring, above all on a busy machine
    return subprocess.call(command, cwd=BUILD, env={"OMP_NUM_THREADS": "1", **os.environ})


def main() -> int:
    """Build the site, and tell where it is."""
    parser = argparse.ArgumentParser(description=__doc__)
    parser.add_argument("--no-gallery", action="store_true", help="show the examples without running them")
    parser.add_argument("--linkcheck", action="store_true", help="ask for every external link, too (needs a network)")
    parser.add_argument("--check-tree", action="store_true", help="fail if a file outside of docs/_build changed")
    options = parser.parse_args()
    before = snapshot()
    prepare()
    code = run_sphinx("html", not options.no_gallery)
    if options.linkcheck:
        code = run_sphinx("linkcheck", False) or code
    after = snapshot()
    changed = sorted(str(path.relative_to(ROOT)) for path, _ in before.items() ^ after.items())
    if options.check_tree and changed:
        print(f"the build changed files outside of docs/_build: {', '.join(dict.fromkeys(changed))}", file=sys.stderr)
        code = code or 1
    if code == 0:
        print(f"built: {BUILD / 'html' / 'index.html'}")
    return code


if __name__ == "__main__":
    sys.exit(main())
