"""The page in a browser: no errors, offline, the slider moves, tables sort, nothing is wider than a phone."""

import json
import re
import shutil
import warnings
from pathlib import Path

import pytest
from rich.console import Console

from duhamel.benchmark import compare, leaderboard
from duhamel.benchmark.result import read
from tests.benchmark.contests import contest

CHROMIUM = shutil.which("chromium") or shutil.which("chromium-browser") or shutil.which("google-chrome")
DRIVER = shutil.which("chromedriver")


@pytest.fixture(scope="module")
def folder(tmp_path_factory, finished) -> Path:
    """Two runs of one small benchmark, in folders of their own; the second without what is not compared."""
    root = tmp_path_factory.mktemp("benchmarks")
    made, document = finished
    again = contest(root, shapes=[], others={}, stability_factor=0).run(Console(quiet=True))
    for name, content in (("first", document), ("second", {**document, "result": again})):
        (root / name).mkdir()
        (root / name / "benchmark.json").write_text(json.dumps(content))
    made.write_report(root / "first", document)
    return root


@pytest.fixture(scope="module")
def browser():
    if CHROMIUM is None or DRIVER is None:
        pytest.skip("no chromium with chromedriver on this machine")
    from selenium import webdriver
    from selenium.webdriver.chrome.service import Service

    options = webdriver.ChromeOptions()
    options.binary_location = CHROMIUM
    for argument in (
        "--headless=new",
        "--no-sandbox",
        "--disable-gpu",
        "--disable-dev-shm-usage",
        "--window-size=1280,900",
    ):
        options.add_argument(argument)
    options.set_capability("goog:loggingPrefs", {"browser": "ALL", "performance": "ALL"})
    with warnings.catch_warnings():
        warnings.simplefilter("ignore", ResourceWarning)
        driver = webdriver.Chrome(options=options, service=Service(DRIVER))
        yield driver
        driver.quit()


@pytest.fixture(scope="module")
def page(browser, folder):
    browser.get((folder / "first" / "report.html").as_uri())
    browser.implicitly_wait(10)
    browser.find_element("css selector", "#rollout_0 .slider-container")
    return browser


@pytest.mark.slow
def test_loads_offline_without_errors(page):
    messages = [entry for entry in page.get_log("browser") if entry["level"] in ("SEVERE", "WARNING")]
    assert not messages
    asked = {
        json.loads(entry["message"])["message"]["params"]["request"]["url"].split(":")[0]
        for entry in page.get_log("performance")
        if 'Network.requestWillBeSent"' in entry["message"]
    }
    assert asked <= {"file", "data", "blob"}


@pytest.mark.slow
def test_the_slider_moves_the_solution(page):
    from selenium.webdriver import ActionChains
    from selenium.webdriver.support.ui import WebDriverWait

    before = page.execute_script("return Array.from(document.querySelector('#rollout_0').calcdata[0], p => p.y)")
    last = page.execute_script("return document.getElementById('rollout_0')._fullLayout.sliders[0].active")
    rail = page.find_element("css selector", "#rollout_0 .slider-rail-touch-rect")
    page.execute_script("arguments[0].scrollIntoView({block: 'center'})", rail)
    ActionChains(page).move_to_element_with_offset(rail, 12 - rail.size["width"] // 2, 0).click().perform()
    WebDriverWait(page, 10).until(
        lambda d: d.execute_script("return document.getElementById('rollout_0')._fullLayout.sliders[0].active") < last
    )
    WebDriverWait(page, 10).until(
        lambda d: (
            d.execute_script("return Array.from(document.querySelector('#rollout_0').calcdata[0], p => p.y)") != before
        )
    )


@pytest.mark.slow
def test_tables_sort_by_value_not_by_text(page):
    from selenium.webdriver.support.ui import WebDriverWait

    def column() -> list[float]:
        cells = page.find_elements("css selector", "#settings tbody tr td:nth-child(3)")
        return [float(cell.get_attribute("data-sort")) for cell in cells]

    header = page.find_element("css selector", "#settings thead th:nth-child(3)")
    for ascending in (False, True):
        header.click()
        WebDriverWait(page, 5).until(lambda d, up=ascending: column() == sorted(column(), reverse=not up))
    assert len(set(column())) > 5


@pytest.mark.slow
def test_nothing_is_wider_than_a_phone(page):
    page.execute_cdp_cmd(
        "Emulation.setDeviceMetricsOverride", {"width": 390, "height": 844, "deviceScaleFactor": 2, "mobile": True}
    )
    try:
        page.refresh()
        page.find_element("css selector", "#rollout_0 .slider-container")
        assert page.execute_script("return document.documentElement.scrollWidth") <= 390
    finally:
        page.execute_cdp_cmd("Emulation.clearDeviceMetricsOverride", {})


def test_the_page_says_what_the_numbers_say(folder):
    text = (folder / "first" / "report.html").read_text()
    result = read(folder / "first" / "benchmark.json").result
    assert "no licence for this solver" in text and "not comparable" in text
    for verdict in result.verdicts:
        assert verdict.split(",")[0] in text
    assert not re.findall(r"<(?:script|link|img)[^>]+(?:src|href)=\"(?!data:)", text)
    assert (folder / "first" / "work_precision.png").stat().st_size > 10_000


def test_a_second_run_moves_no_error_and_what_did_move_is_shown(folder, capsys):
    a, b = (read(folder / name / "benchmark.json") for name in ("first", "second"))
    errors = [c for c in compare.changes(a, b) if "median error" in c.what]
    assert errors and all(c.ratio == pytest.approx(1.0, rel=1e-4) and not c.moved for c in errors)
    first = next(s for s in b.result.settings if s.contender == "fno")
    first.errors[:] = [3 * e for e in first.errors]
    (moved,) = [c for c in compare.changes(a, b) if "median error" in c.what and c.moved]
    assert moved.what.startswith(first.name) and moved.ratio == pytest.approx(3.0, rel=1e-4)
    first.costs[0].seconds[:] = [100 * s for s in first.costs[0].seconds]
    object.__setattr__(first.costs[0], "median", 100 * first.costs[0].median)
    assert any(c.moved and c.what == f"{first.name}: batch 1" for c in compare.changes(a, b))
    compare.main([str(folder / "first" / "benchmark.json"), str(folder / "second" / "benchmark.json"), "--all"])
    assert "figures moved beyond noise" in capsys.readouterr().out


def test_a_leaderboard_ranks_all_results_of_one_problem(folder):
    leaderboard.main([str(folder)])
    text = (folder / "leaderboard.html").read_text()
    assert text.count("<h2>") == 1 and text.count("first/benchmark.json") == text.count("second/benchmark.json") == 14
    (group,) = leaderboard.places(folder).values()
    errors = [p.setting.median_error for p in group if not p.setting.reason]
    assert errors == sorted(errors) and len(errors) == 24 and group[-1].setting.reason
    with pytest.raises(ValueError, match="no benchmark.json"):
        leaderboard.places(folder / "first" / "nothing")
