"""Write a report and open it in Chromium, at the width of a desktop and of a phone: time, size, screenshots, errors.

IMAGES are files, folders or patterns, of which every n-th is taken so that there are about --number; with --synthetic
they are drawn. Needs playwright, and Chromium on the path.
"""

import argparse
import shutil
import tempfile
import time
from pathlib import Path

import numpy as np
from PIL import Image

from skinseg.datasets import make_lesions
from skinseg.inspection import write_report
from skinseg.outlining import find_images

BROWSERS = ("chromium", "chromium-browser", "google-chrome", "chrome")
VIEWS = {
    "desktop": {"viewport": {"width": 1280, "height": 900}},
    "phone": {"viewport": {"width": 390, "height": 844}, "is_mobile": True, "has_touch": True},
    "dark": {"viewport": {"width": 1280, "height": 900}, "color_scheme": "dark"},
}
PAINTED = "new Promise(done => requestAnimationFrame(() => requestAnimationFrame(done)))"


def draw(number, folder):
    """Draw images a hundred at a time, so that no more are in memory."""
    files = []
    for seed, start in enumerate(range(0, number, 100)):
        for position, image in enumerate(make_lesions(min(100, number - start), random_state=seed).images):
            files.append(folder / f"lesion_{start + position:05d}.jpg")
            Image.fromarray(image).save(files[-1], quality=92)
    return files


def look(report, out, name, options, browser):
    """Open the report as on one machine; give what it took, in seconds."""
    context = browser.new_context(**options)
    page = context.new_page()
    problems = []
    page.on("console", lambda message: problems.append(message.text))
    page.on("pageerror", lambda error: problems.append(str(error)))
    times = {}

    def timed(what, action):
        start = time.perf_counter()
        action()
        page.evaluate(PAINTED)
        times[what] = time.perf_counter() - start

    timed("open", lambda: page.goto(report.as_uri()))
    page.screenshot(path=out / f"{name}.png")
    timed("sort", lambda: page.locator("th[data-key=tds] button").click())
    timed("filter", lambda: page.locator("#search").fill("1"))
    page.locator("#search").fill("")
    last = page.locator("#cards-list article").last.get_attribute("id")
    timed("card", lambda: page.evaluate(f"location.hash = '#{last}'"))
    page.locator(f"#{last} .body > *").first.wait_for()
    page.screenshot(path=out / f"{name}_card.png")
    wide = page.evaluate("document.documentElement.scrollWidth - innerWidth")
    context.close()
    told = ", ".join(f"{what} {seconds:.2f} s" for what, seconds in times.items())
    print(f"{name}: {told}; {max(wide, 0)} pixels too wide; console: {'; '.join(problems) or 'nothing'}")
    return problems


def main():
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument("images", nargs="*")
    parser.add_argument("--number", type=int, default=60)
    parser.add_argument("--synthetic", action="store_true")
    parser.add_argument("--out", type=Path, required=True, help="folder of the report and the screenshots")
    parser.add_argument("--jobs", type=int, default=1)
    options = parser.parse_args()

    from playwright.sync_api import sync_playwright

    options.out.mkdir(parents=True, exist_ok=True)
    with tempfile.TemporaryDirectory() as folder:
        if options.synthetic:
            files = draw(options.number, Path(folder))
        else:
            files = find_images(options.images)
            files = [
                files[index] for index in np.linspace(0, len(files) - 1, min(options.number, len(files))).astype(int)
            ]
        report = options.out.absolute() / "report.html"
        start = time.perf_counter()
        summary = write_report(files, report, n_jobs=options.jobs, verbose=1)
        seconds = time.perf_counter() - start
    size = report.stat().st_size / 1e6
    print(
        f"{summary.n_images} images, {len(summary.failed)} failed, {len(summary.empty)} without a lesion: "
        f"{seconds:.0f} s with {options.jobs} jobs, {size:.1f} MB"
    )
    path = next(filter(None, map(shutil.which, BROWSERS)))
    with sync_playwright() as started:
        browser = started.chromium.launch(executable_path=path, args=["--no-sandbox"])
        problems = [look(report, options.out, name, view, browser) for name, view in VIEWS.items()]
        browser.close()
    if any(problems):
        raise SystemExit("the browser reported errors")


if __name__ == "__main__":
    main()
