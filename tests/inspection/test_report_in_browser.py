"""The report as a browser shows it: sorting, filtering, cards, keyboard, print, and nothing run that is not its own."""

import shutil

import numpy as np
import pytest

from skinseg import LesionImage
from skinseg.datasets import make_lesions
from skinseg.inspection import write_report

playwright = pytest.importorskip("playwright.sync_api", reason="no browser tests without playwright")
BROWSER = next(filter(None, map(shutil.which, ("chromium", "chromium-browser", "google-chrome", "chrome"))), None)
pytestmark = pytest.mark.skipif(BROWSER is None, reason="there is no Chromium to open the report in")

EVIL = '<img src=x onerror="window.evil=1"></script><script>window.evil=1</script>\' " 皮膚.png'


@pytest.fixture(scope="module")
def browser():
    with playwright.sync_playwright() as started:
        browser = started.chromium.launch(executable_path=BROWSER, args=["--no-sandbox"])
        yield browser
        browser.close()


@pytest.fixture(scope="module")
def report(tmp_path_factory):
    """Six images: four lesions with confidences, one without a lesion, one that is no image."""
    folder = tmp_path_factory.mktemp("report")
    lesions = make_lesions(4, random_state=0)
    images = [
        LesionImage(image, mask=mask, name=name, confidence=confidence)
        for image, mask, name, confidence in zip(
            lesions.images, lesions.masks, ("b", EVIL, "a", "c"), (0.9, 0.5, 0.95, 0.65), strict=True
        )
    ]
    images.append(LesionImage(lesions.images[0], mask=np.zeros_like(lesions.masks[0]), name="nothing"))
    images.append(folder / "missing.png")
    masks = [*lesions.masks, np.zeros_like(lesions.masks[0]), folder / "missing_mask.png"]
    write_report(images, folder / "report.html", masks=masks, model=None)
    return folder / "report.html"


@pytest.fixture
def page(browser, report, request):
    options = getattr(request, "param", {"viewport": {"width": 1280, "height": 900}})
    context = browser.new_context(**options)
    page = context.new_page()
    page.problems = []
    page.on("console", lambda message: page.problems.append(message.text))
    page.on("pageerror", lambda error: page.problems.append(str(error)))
    page.on("request", lambda sent: sent.url.startswith(("file:", "data:")) or page.problems.append(sent.url))
    page.goto(report.as_uri())
    yield page
    assert page.problems == []
    assert page.evaluate("window.evil") is None
    context.close()


def names(page):
    return page.locator("#rows tr:visible th").all_inner_texts()


def test_opens_in_the_order_given(page):
    assert names(page) == ["b", EVIL, "a", "c", "nothing", "missing.png"]
    assert page.locator("#found").inner_text() == "6 of 6 images"
    assert page.locator(".notice").first.inner_text().startswith("Research software, no medical device")


def test_headings_sort(page):
    heading = page.locator("th[data-key=confidence]")
    heading.locator("button").click()
    assert names(page)[:4] == ["a", "b", "c", EVIL]  # largest first; what is not known comes last
    assert heading.get_attribute("aria-sort") == "descending"
    assert page.locator("th[aria-sort=descending], th[aria-sort=ascending]").count() == 1
    heading.locator("button").click()
    assert names(page)[:4] == [EVIL, "c", "b", "a"]
    assert heading.get_attribute("aria-sort") == "ascending"
    page.locator("th[data-key=name] button").click()
    assert names(page)[1:5] == ["a", "b", "c", "missing.png"]
    gallery = page.locator("#gallery-items li").evaluate_all("items => items.map(item => item.id)")
    assert gallery[1:4] == ["item-2", "item-0", "item-3"]  # the gallery goes along
    cards = page.locator("#cards-list article").evaluate_all("items => items.map(item => item.id)")
    assert cards == [item.replace("item", "image") for item in gallery]


def test_doubtful_first_on_request(page):
    page.locator("#order").select_option("doubtful:1")
    assert names(page) == ["nothing", EVIL, "c", "b", "a", "missing.png"]


def test_filters(page):
    page.locator("#search").fill("MISS")
    assert names(page) == ["missing.png"]
    assert page.locator("#found").inner_text() == "1 of 6 images"
    assert page.locator("#gallery-items li:visible").count() == page.locator("article:visible").count() == 1
    page.locator("#search").fill("")
    for state, count in (("doubtful", 2), ("measured", 2), ("empty", 1), ("failed", 1), ("all", 6)):
        page.locator("#state").select_option(state)
        assert len(names(page)) == count


def test_cards_are_filled_when_they_are_looked_at(page):
    card = page.locator("#image-3")
    assert card.locator("img").count() == 0
    page.locator("#rows a", has_text="c").last.click()
    card.locator("img").first.wait_for()
    assert page.evaluate("document.activeElement.id") == "image-3"
    pictures = card.locator("img")
    assert pictures.count() == 7
    sizes = pictures.evaluate_all("images => Promise.all(images.map(i => i.decode().then(() => i.naturalWidth)))")
    assert sizes == [336] * 6 + [684]
    described = pictures.evaluate_all("images => images.map(image => image.alt)")
    assert described[0] == "Outline, confidence 0.65"
    assert all(len(text) > 15 for text in described)
    rows = card.locator("table.features").first.locator("tbody tr")
    assert rows.count() > 20
    page.keyboard.press("Tab")
    card.locator("summary").click()
    card.locator("details tbody tr").nth(140).wait_for(state="attached")
    values = card.locator("details td.n").all_inner_texts()
    assert not [text for text in values if text.strip("−0.") == "" and text != "0"]  # small is not 0
    card.get_by_role("link", name="next").click()
    page.locator("#image-4 .body p").first.wait_for()
    assert "no lesion found" in page.locator("#image-4 .body").inner_text()


def test_failed_images_say_why(page):
    page.evaluate("location.hash = '#image-5'")
    page.locator("#image-5 .error").wait_for()
    assert "does not exist" in page.locator("#image-5 .error").inner_text()
    assert "does not exist" in page.locator("#rows tr", has_text="missing.png").inner_text()


def test_evil_names_are_text(page):
    page.evaluate("location.hash = '#image-1'")
    page.locator("#image-1 img").first.wait_for()
    assert page.locator("#image-1 h3").inner_text() == EVIL
    assert page.locator("img:not([src^='data:image/webp'])").count() == 0


def test_keyboard_alone_reaches_and_sorts(page):
    page.keyboard.press("Tab")
    assert page.evaluate("document.activeElement.className") == "skip"
    for _ in range(40):
        page.keyboard.press("Tab")
        if page.evaluate("document.activeElement.closest('th')?.dataset.key") == "confidence":
            break
    page.keyboard.press("Enter")
    assert names(page)[0] == "a"


def test_what_a_screen_reader_needs(page):
    assert page.locator("html").get_attribute("lang") == "en"
    assert page.locator("img:not([alt]), img[alt='']").count() == 0
    unnamed = page.locator("input, select").evaluate_all("nodes => nodes.filter(n => !n.labels.length).length")
    assert unnamed == 0
    assert page.locator("th:not([scope])").count() == 0
    assert page.locator("h1").count() == 1
    ids = page.locator("[id]").evaluate_all("nodes => nodes.map(node => node.id)")
    assert len(ids) == len(set(ids))
    assert page.locator("[aria-live=polite]").count() == 1


def test_print_has_the_cards(page):
    page.evaluate("dispatchEvent(new Event('beforeprint'))")
    assert page.locator("#cards-list img").count() == 4 * 7 + 1
    page.emulate_media(media="print")
    assert page.locator(".controls").is_hidden()
    assert page.locator("table.features").first.is_visible()


PHONE = {"viewport": {"width": 390, "height": 844}, "has_touch": True, "is_mobile": True}


@pytest.mark.parametrize("page", [PHONE, {**PHONE, "color_scheme": "dark"}], indirect=True, ids=["light", "dark"])
def test_phones_scroll_tables_and_not_the_page(page):
    page.evaluate("location.hash = '#image-0'")
    page.locator("#image-0 img").first.wait_for()
    assert page.evaluate("document.documentElement.scrollWidth") <= 390
    widths = page.locator("#image-0 img").evaluate_all("images => images.map(image => image.clientWidth)")
    assert min(widths) > 250


@pytest.mark.parametrize("page", [{"color_scheme": scheme} for scheme in ("light", "dark")], indirect=True)
def test_text_stands_out(page):
    """WCAG 2.1, success criterion 1.4.3: a contrast of 4.5 of text and ground."""
    page.evaluate("location.hash = '#image-0'")
    page.locator("#image-0 img").first.wait_for()
    ground = page.evaluate("getComputedStyle(document.body).backgroundColor")
    for place in ("body", ".soft", "a", ".status.doubtful", "caption", "footer"):
        color = page.locator(place).last.evaluate("node => getComputedStyle(node).color")
        assert contrast(color, ground) >= 4.5, place
    notice = page.locator(".notice").first
    pair = [notice.evaluate(f"node => getComputedStyle(node).{name}") for name in ("color", "backgroundColor")]
    assert contrast(*pair) >= 4.5


def contrast(*colors):
    luminances = []
    for color in colors:
        numbers = np.array([float(part) for part in color.partition("(")[2].rstrip(")").split(",")[:3]]) / 255
        linear = np.where(numbers <= 0.03928, numbers / 12.92, ((numbers + 0.055) / 1.055) ** 2.4)
        luminances.append(linear @ [0.2126, 0.7152, 0.0722])
    return (max(luminances) + 0.05) / (min(luminances) + 0.05)
