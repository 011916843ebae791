"""Every page that is named exists, and every link leads somewhere."""

import re
from pathlib import Path
from urllib.parse import unquote

import pytest

ROOT = Path(__file__).parents[1]
DOCS = ROOT / "docs"
MADE = {"news.md", "command.md", "contributing.md", "api/index", "auto_examples/index"}  # when the site is built
PAGES = sorted(DOCS.glob("*.md"))
TEXTS = [
    *(ROOT / name for name in ("README.md", "CONTRIBUTING.md")),
    *PAGES,
    *sorted((DOCS / "news").glob("*.md")),
    *sorted((DOCS / "examples").glob("*.py")),
    *sorted((ROOT / "skinseg").rglob("*.py")),
    *sorted((ROOT / "skinseg").rglob("*.json")),
]
LINK = re.compile(r"!?\[[^\]]*\]\(([^)\s]+)\)")


def prose(page):
    """Text of a page without its blocks of code; directives stay."""
    return re.sub(r"^```(?!\{)[^\n]*\n.*?^```$", "", page.read_text(), flags=re.MULTILINE | re.DOTALL)


def anchors(page):
    """Anchors of the headings, as GitHub and MyST make them."""
    titles = re.findall(r"^#{1,4} (.+)$", prose(page), re.MULTILINE)
    return {re.sub(r"[^\w\- ]", "", title.lower()).replace(" ", "-") for title in titles}


def problem_of(page, target):
    """Say what is wrong with a link, or give None."""
    if re.match(r"https?://|mailto:", target):
        return None
    name, _, anchor = unquote(target).partition("#")
    if name in MADE:
        return None
    if name.startswith("auto_examples/"):
        return None if (DOCS / "examples" / f"{Path(name).name}.py").is_file() else "no such example"
    path = (page.parent / name) if name else page
    if not path.is_file():
        return "no such file"
    if anchor and anchor not in anchors(path):
        return "no such heading"
    return None


@pytest.mark.parametrize("page", [ROOT / "README.md", ROOT / "CONTRIBUTING.md", *PAGES], ids=lambda page: page.name)
def test_links_of_a_page_lead_somewhere(page):
    found = {target: problem_of(page, target) for target in LINK.findall(prose(page))}
    assert {target: problem for target, problem in found.items() if problem} == {}


def test_wrong_links_are_found(tmp_path):
    page = tmp_path / "page.md"
    page.write_text("# One title\n[a](page.md#one-title) [b](other.md) [c](#two) [d](auto_examples/none)\n")
    assert [problem_of(page, target) for target in LINK.findall(prose(page))] == [
        None,
        "no such file",
        "no such heading",
        "no such example",
    ]


def test_pages_that_are_named_by_their_file_exist():
    missing = [
        f"{path.relative_to(ROOT)}: {name}"
        for path in TEXTS
        for name in re.findall(r"\bdocs/(?:\w+/)*[\w.]+\.(?:md|py|jpg|png)\b", path.read_text())
        if not (ROOT / name).is_file()
    ]
    assert missing == []


def test_pages_name_each_other_by_links():
    """A reader of the site can follow a link, and not the name of a file."""
    names = {page.name for page in PAGES}
    plain = [
        f"{page.name}: {name}"
        for page in PAGES
        for name in re.findall(r"(?<!\[)`(?:docs/)?(\w+\.md)`", prose(page))
        if name in names and (page.name, name) not in FILES
    ]
    assert plain == []


# the file itself is meant, and not what it says
FILES = {("evaluation.md", "report.md"), ("extending.md", "features.md"), ("extending.md", "features_isic2017.md")}


def test_every_page_is_in_a_table_of_contents():
    listed = {"index"}
    for page in PAGES:
        for block in re.findall(r"^```\{toctree\}\n(.*?)^```", page.read_text(), re.MULTILINE | re.DOTALL):
            listed |= {line.strip() for line in block.splitlines() if line.strip() and not line.startswith(":")}
    assert {page.stem for page in PAGES} - listed == set()
    made = {Path(name).with_suffix("").as_posix() for name in MADE}
    assert listed - {page.stem for page in PAGES} - made == set()
