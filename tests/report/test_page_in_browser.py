"""The HTML report in Chromium: no internet, no console messages, correct pixels, working controls, phone size."""

import io
import shutil

import numpy as np
import pytest
from PIL import Image

from brats_unet.evaluation.record import open_evaluation
from brats_unet.report.page import write_page

CHROMIUM = next(filter(None, map(shutil.which, ("chromium", "chromium-browser", "google-chrome"))), None)
SOFTWARE_GL = ["--use-gl=angle", "--use-angle=swiftshader", "--enable-unsafe-swiftshader", "--no-sandbox"]
pytestmark = [
    pytest.mark.browser,
    pytest.mark.skipif(CHROMIUM is None, reason="no Chromium is installed (Debian: apt-get install chromium)"),
]


@pytest.fixture(scope="module")
def page_file(evaluated_run, tmp_path_factory):
    path = tmp_path_factory.mktemp("page") / "report.html"
    write_page(open_evaluation(evaluated_run.folder), [evaluated_run], path, viewer=2, pictures=1)
    return path


@pytest.fixture(scope="module")
def browser():
    playwright = pytest.importorskip(
        "playwright.sync_api", reason="playwright is not installed (make setup EXTRAS=dev)"
    )
    with playwright.sync_playwright() as driver:
        chromium = driver.chromium.launch(executable_path=CHROMIUM, args=SOFTWARE_GL)
        yield chromium
        chromium.close()


@pytest.fixture
def opened(browser, page_file):
    """Open a report in a window of a given size; `heard` collects its console messages, errors and requests."""
    contexts = []

    def at(width, height, file=page_file, **options):
        context = browser.new_context(viewport={"width": width, "height": height}, offline=True, **options)
        contexts.append(context)
        page = context.new_page()
        page.heard = []
        page.on("console", lambda message: page.heard.append(message.text))
        page.on("pageerror", lambda error: page.heard.append(str(error)))
        page.on("request", lambda request: page.heard.append(request.url) if request.url != file.as_uri() else None)
        page.goto(file.as_uri())
        return page

    yield at
    for context in contexts:
        context.close()


def start(page):
    page.locator("#viewer").scroll_into_view_if_needed()
    page.wait_for_selector("#viewer[data-state=ready]", timeout=60_000)


def pixels(page):
    """Screenshot of the viewer's canvas, once it no longer changes."""
    before = None
    for _ in range(40):
        page.wait_for_timeout(50)
        now = np.asarray(Image.open(io.BytesIO(page.locator("#viewer-canvas").screenshot())).convert("RGB"), int)
        if before is not None and (now == before).all():
            return now
        before = now
    return now


def between(image):
    return int(((image.mean(axis=-1) > 8) & (image.mean(axis=-1) < 247) & (np.ptp(image, axis=-1) <= 10)).sum())


def coloured(image):
    return int((np.ptp(image, axis=-1) > 25).sum())


def silent(page):
    return [heard for heard in page.heard if not heard.startswith(("data:", "blob:"))] == []


def test_the_viewer_shows_scans_and_masks_and_every_control_changes_them(opened):
    page = opened(1280, 900)
    start(page)
    first = pixels(page)
    grey = (np.ptp(first, axis=-1) <= 10) & (first.mean(axis=-1) > 40)
    assert grey.sum() > 5000
    assert coloured(first) > 300
    page.uncheck("#viewer-reference")
    one = pixels(page)
    page.uncheck("#viewer-prediction")
    none = pixels(page)
    assert coloured(first) > coloured(none) < coloured(one)
    assert coloured(none) < 20
    page.check("#viewer-reference")
    page.check("#viewer-prediction")
    assert abs(pixels(page) - first).mean() < 0.5
    page.locator("label:has(input[name=viewer-scan][value=t1ce])").click()
    page.wait_for_selector("#viewer[data-scan=t1ce]")
    assert abs(pixels(page) - first).mean() > 1
    page.locator("label:has(input[name=viewer-region][value='ET'])").click()
    assert coloured(pixels(page)) < coloured(first)
    assert silent(page)


def position(page):
    return [int(page.locator(f"#viewer-{plane}").input_value()) for plane in ("sagittal", "coronal", "axial")]


def test_the_viewer_follows_the_region_with_its_sequence_and_the_crosshair(opened):
    page = opened(1280, 900)
    start(page)
    assert page.locator("#viewer").get_attribute("data-scan") == "flair"
    before = position(page)
    page.locator("label:has(input[name=viewer-region][value='ET'])").click()
    page.wait_for_selector("#viewer[data-scan=t1ce]")
    assert page.locator("input[name=viewer-scan][value=t1ce]").is_checked()
    assert position(page) != before
    page.uncheck("#viewer-crosshair")
    page.evaluate(
        "for (const id of ['level', 'window']) document.getElementById('viewer-' + id).value = id === 'level' ? 0 : 2"
    )
    page.dispatch_event("#viewer-level", "input")
    page.locator("#viewer-strength").fill("100")
    centre = pixels(page)
    page.locator("label:has(input[name=viewer-region][value='WT'])").click()
    page.wait_for_selector("#viewer[data-scan=flair]")
    assert position(page) == before
    assert coloured(centre) > 20  # the enhancing tumour is in the planes that are shown


def test_the_crosshair_can_be_switched_off_and_the_contrast_be_changed_and_reset(opened):
    page = opened(1280, 900)
    start(page)
    first = pixels(page)
    page.uncheck("#viewer-crosshair")
    without = pixels(page)
    assert abs(without - first).mean() > 0.1
    assert without.max(axis=(1, 2)).min() == 0 or (without > 200).sum() < (first > 200).sum()
    page.locator("#viewer-window").fill("20")
    narrow = pixels(page)
    assert between(narrow) < 0.7 * between(without)  # a narrow window leaves fewer greys between black and white
    page.locator("#viewer-level").fill("90")
    assert pixels(page).mean() < narrow.mean()  # and a high level is darker
    page.click("#viewer-reset")
    assert abs(pixels(page) - without).mean() < 0.5
    assert silent(page)


def test_on_paper_nothing_is_cut_and_what_is_folded_is_left_out(opened):
    page = opened(700, 900)
    page.emulate_media(media="print")
    assert page.evaluate("document.documentElement.scrollWidth") == 700
    widths = page.evaluate("[...document.querySelectorAll('pre')].map((one) => one.scrollWidth - one.clientWidth)")
    assert set(widths) == {0}
    assert not page.locator("#viewer").is_visible()
    assert page.locator("details:visible").count() == 0


def test_overlapping_regions_are_shown_with_all_their_labels(opened, evaluated_as, schemes, tmp_path):
    """Slabs a to e lie side by side: R1 to R4 are two neighbours each, and R5 is the first and the last."""
    write_page(open_evaluation(evaluated_as("five")), [], tmp_path / "p.html", viewer=1, pictures=0)
    page = opened(1280, 900, tmp_path / "p.html")
    start(page)
    columns = {}
    page.locator("label:has(input[name=viewer-region][value='R3'])").click()
    middle = int(page.locator("#viewer-axial").input_value())
    for region in schemes["five"].scored:
        page.locator(f"label:has(input[name=viewer-region][value='{region}'])").click()
        seen = []
        for axial in range(middle - 6, middle + 7, 3):
            page.locator("#viewer-axial").fill(str(axial))
            shown = pixels(page)[:, : 1036 // 3]  # the axial plane
            seen.append((np.ptp(shown, axis=-1) > 25).any(axis=0))
        columns[region] = np.flatnonzero(np.any(seen, axis=0))
    middles = [columns[region].mean() for region in ("R1", "R2", "R3", "R4")]
    assert (np.diff(middles) > 5).all()
    assert not set(columns["R5"]) & set(columns["R3"][3:-3])
    assert columns["R5"].min() <= columns["R1"].min() + 2 and columns["R5"].max() >= columns["R4"].max() - 2
    assert silent(page)


@pytest.mark.parametrize("scheme", ["lesion", "eight"])
def test_the_report_of_any_scheme_fits_a_phone_and_a_desk(opened, evaluated_as, tmp_path, scheme):
    write_page(open_evaluation(evaluated_as(scheme)), [], tmp_path / "p.html", viewer=0, pictures=1)
    for width in (390, 1280):
        page = opened(width, 900, tmp_path / "p.html")
        assert page.evaluate("document.documentElement.scrollWidth") == width
        assert silent(page)
    widths = page.evaluate(
        "[...document.querySelectorAll('#scores .scroll')].map((box) => box.scrollWidth - box.clientWidth)"
    )
    assert widths == [0]  # also eight regions fit


def test_the_arrow_keys_scroll_and_another_case_changes_the_picture(opened):
    page = opened(1280, 900)
    start(page)
    first = pixels(page)
    at = int(page.locator("#viewer-axial").input_value())
    page.focus("#viewer-axial")
    for _ in range(5):
        page.keyboard.press("ArrowRight")
    assert int(page.locator("#viewer-axial").input_value()) == at + 5
    assert abs(pixels(page) - first).mean() > 0.5
    page.select_option("#viewer-case", "1")
    page.wait_for_selector("#viewer[data-state=ready][data-case='1']")
    assert abs(pixels(page) - first).mean() > 1
    assert silent(page)


def test_a_click_in_a_plane_moves_the_sliders_to_the_clicked_position(opened):
    page = opened(1280, 900)
    start(page)
    box = page.locator("#viewer-canvas").bounding_box()
    before = page.locator("#viewer-coronal").input_value(), page.locator("#viewer-sagittal").input_value()
    page.mouse.click(box["x"] + box["width"] * 0.12, box["y"] + box["height"] * 0.45)
    clicked = pixels(page)
    assert (page.locator("#viewer-coronal").input_value(), page.locator("#viewer-sagittal").input_value()) != before
    page.dispatch_event("#viewer-axial", "input")  # moving to the position of the sliders changes nothing
    assert abs(pixels(page) - clicked).mean() < 2


def test_the_report_fits_a_phone_and_the_viewer_starts_there(opened):
    page = opened(390, 844, device_scale_factor=2, is_mobile=True, has_touch=True)
    assert page.evaluate("document.documentElement.scrollWidth") == 390
    start(page)
    assert coloured(pixels(page)) > 100
    assert silent(page)


def test_a_click_on_a_column_header_sorts_the_case_table(opened):
    page = opened(1280, 900)
    column = page.locator(".sortable tbody td:nth-child(2)")
    page.locator(".sortable th:nth-child(2) button").click()
    rising = [float(text) for text in column.all_text_contents()]
    page.locator(".sortable th:nth-child(2) button").click()
    assert rising == sorted(rising)
    assert [float(text) for text in column.all_text_contents()] == rising[::-1]


def test_without_webgl_the_viewer_reports_it(browser, page_file):
    context = browser.new_context(offline=True)
    context.add_init_script("HTMLCanvasElement.prototype.getContext = () => null")
    page = context.new_page()
    page.goto(page_file.as_uri())
    page.locator("#viewer").scroll_into_view_if_needed()
    page.wait_for_selector("#viewer[data-state=failed]")
    assert "no WebGL 2" in page.locator("#viewer-status").text_content()
    context.close()


def test_filters_narrow_the_case_table_and_give_the_medians_of_what_is_left(opened, made_up, tmp_path):
    write_page(open_evaluation(made_up(45, "glioma")), [], tmp_path / "p.html", viewer=0)
    page = opened(1280, 900, tmp_path / "p.html")
    shown = page.locator(".sortable tbody tr:visible")
    result, median = page.locator("#filter-result"), page.locator(".sortable tfoot td").first
    assert (shown.count(), result.text_content(), median.text_content()) == (45, "45 of 45 cases", "0.511")
    choices = page.locator("select.filter")
    choices.nth(0).select_option("worst")
    assert (shown.count(), result.text_content()) == (10, "10 of 45 cases")
    page.locator("label:has-text('Sequences') select").select_option("lacks t1ce")
    assert shown.locator("th").all_text_contents() == ["case_044", "case_043"]
    assert median.text_content() == "0.033"  # of 1/45 and 2/45
    choices.nth(0).select_option("")
    page.locator("label:has-text('Sequences') select").select_option("")
    page.fill("#filter-name", "CASE_00")
    assert shown.count() == 10
    page.fill("#filter-name", "")
    page.fill("#filter-dice", "0.06")
    assert shown.locator("th").all_text_contents() == ["case_044", "case_043", "case_041"]  # 041 lacks ET
    page.fill("#filter-name", "nowhere")
    assert (result.text_content(), median.text_content()) == ("0 of 45 cases", "")
    page.locator(".sortable thead button").first.click()  # sorting and filtering do not undo each other
    assert shown.count() == 0
    assert silent(page)


def test_the_report_of_a_cohort_fits_a_phone_and_prints_without_filters(opened, made_up, tmp_path):
    write_page(open_evaluation(made_up(45, "lesion", False)), [], tmp_path / "p.html", viewer=0)
    page = opened(390, 844, tmp_path / "p.html")
    assert page.evaluate("document.documentElement.scrollWidth") == 390
    inside = page.evaluate(
        "[...document.querySelectorAll('.contrasts')].map((table) => table.offsetWidth <= table.parentElement.clientWidth)"
    )
    assert inside == [True]
    page.emulate_media(media="print")
    assert not page.locator(".filters").is_visible()
    assert page.locator(".failures").is_visible()
    assert silent(page)
