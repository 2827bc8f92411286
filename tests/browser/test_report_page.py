"""The report in a real browser: alone, in both colour schemes, by mouse and keyboard, on paper, with hostile data."""

from __future__ import annotations

import itertools
import re
import time
from collections.abc import Callable, Iterator
from pathlib import Path
from typing import Any

import pytest
from playwright.sync_api import Browser, Page

from hpo_constructs import TuningJobResult
from hpo_constructs.report.html import render

from ..pure.results_data import definition, many, training_job, tuning_job, two_algorithms

HOSTILE = "</script><script>window.hacked=1</script><img src=x onerror=window.hacked=1><b>bold</b>"


class Opened:
    """A page with what it complained of and asked for."""

    def __init__(self, page: Page) -> None:
        self.page = page
        self.complaints: list[str] = []
        self.requests: list[str] = []
        page.on("console", lambda message: self._complain(message.type, message.text))
        page.on("pageerror", lambda error: self.complaints.append(str(error)))
        page.on("request", lambda request: self.requests.append(request.url))

    def _complain(self, kind: str, text: str) -> None:
        if kind in {"error", "warning"}:
            self.complaints.append(text)

    def drawn(self) -> None:
        """Bring every figure near the screen, and wait until all are drawn."""
        self.page.evaluate(
            "for (const plot of document.querySelectorAll('.plot')) plot.scrollIntoView({behavior: 'instant'})"
        )
        for plot in self.page.locator(".plot").all():
            plot.scroll_into_view_if_needed()
            plot.locator(".main-svg").first.wait_for()

    def names(self) -> list[str]:
        """The names of the training jobs that the table shows, in its order."""
        shown = self.page.locator("#jobs tbody tr:visible th").all_inner_texts()
        return [text.split()[0] for text in shown]

    def column(self, number: int) -> list[str]:
        return self.page.locator(f"#jobs tbody tr:visible td:nth-child({number})").all_inner_texts()


@pytest.fixture
def open_page(browser: Browser, tmp_path: Path) -> Iterator[Callable[..., Opened]]:
    """Opens a report of the answers given."""
    contexts = []

    def opener(job: dict[str, Any], jobs: list[dict[str, Any]], **context: Any) -> Opened:
        file = tmp_path / "report.html"
        file.write_text(render(TuningJobResult(job, jobs)), encoding="utf-8")
        contexts.append(browser.new_context(viewport={"width": 1200, "height": 900}, **context))
        opened = Opened(contexts[-1].new_page())
        opened.page.set_default_timeout(20_000)
        opened.page.goto(file.as_uri())
        return opened

    yield opener
    for context in contexts:
        context.close()


def mixed() -> tuple[dict[str, Any], list[dict[str, Any]]]:
    """Training jobs of all kinds, with categorical and logarithmic hyperparameters."""
    jobs = [training_job(number, 0.5 + (number * 7 % 10) / 100) for number in range(1, 10)]
    jobs.append(training_job(10, None, status="Failed", reason="AlgorithmError: out of memory"))
    jobs.append(training_job(11, 0.4, status="Stopped"))
    return tuning_job(jobs, best=jobs[6]), jobs


def until(condition: Callable[[], bool]) -> None:
    """Wait for a condition; the page's policy lets nobody evaluate text in the page again and again."""
    deadline = time.monotonic() + 20
    while not condition():
        assert time.monotonic() < deadline, "the condition did not become true in time"
        time.sleep(0.05)


def luminance(colour: str) -> float:
    red, green, blue = (int(part) / 255 for part in re.findall(r"\d+", colour)[:3])
    parts = [part / 12.92 if part <= 0.03928 else ((part + 0.055) / 1.055) ** 2.4 for part in (red, green, blue)]
    return 0.2126 * parts[0] + 0.7152 * parts[1] + 0.0722 * parts[2]


def contrast(one: str, other: str) -> float:
    light, dark = sorted((luminance(one), luminance(other)), reverse=True)
    return (light + 0.05) / (dark + 0.05)


@pytest.mark.parametrize("data", [mixed, two_algorithms], ids=["one definition", "two definitions"])
def test_every_figure_is_drawn_and_nothing_is_asked_for(
    open_page: Callable[..., Opened], data: Callable[[], Any]
) -> None:
    opened = open_page(*data())
    opened.drawn()
    assert opened.complaints == []
    assert [url for url in opened.requests if not url.startswith(("file:", "data:", "blob:"))] == []
    # The page itself.
    assert len([url for url in opened.requests if url.startswith("file:")]) == 1
    assert opened.page.locator(".plot .main-svg").count() >= opened.page.locator(".plot").count()


def test_a_column_sorts_by_its_numbers_both_ways_with_what_has_none_last(open_page: Callable[..., Opened]) -> None:
    opened = open_page(*mixed())
    head = opened.page.locator("#jobs thead th", has_text="validation:auc")
    assert head.get_attribute("aria-sort") is None
    head.get_by_role("button").click()
    assert head.get_attribute("aria-sort") == "ascending"
    up = opened.column(4)
    assert up[-1] == ""
    assert [float(text) for text in up[:-1]] == sorted(float(text) for text in up[:-1])
    head.get_by_role("button").click()
    assert head.get_attribute("aria-sort") == "descending"
    down = opened.column(4)
    assert down[-1] == ""
    assert [float(text) for text in down[:-1]] == sorted((float(text) for text in up[:-1]), reverse=True)
    assert opened.page.locator("#jobs thead [aria-sort]").count() == 1
    opened.page.locator("#jobs thead th", has_text="#").get_by_role("button").click()
    assert head.get_attribute("aria-sort") is None
    assert opened.names() == [f"{number:03d}-ab12cd34" for number in range(1, 12)]


def test_the_keyboard_sorts_and_filters(open_page: Callable[..., Opened]) -> None:
    opened = open_page(*mixed())
    page = opened.page
    page.get_by_label("Filter").focus()
    page.keyboard.type("failed")
    assert opened.names() == ["010-ab12cd34"]
    assert "1 of 11 training jobs" in page.locator(".controls output").inner_text()
    page.keyboard.press("Tab")
    page.keyboard.press("Tab")
    assert page.evaluate("document.activeElement.textContent") == "Show all"
    page.keyboard.press("Enter")
    until(lambda: len(opened.names()) == 11)
    # The table's region, then the title of its first column.
    page.keyboard.press("Tab")
    page.keyboard.press("Tab")
    page.keyboard.press("Enter")
    page.keyboard.press("Space")
    first = page.locator("#jobs thead th").first
    assert first.get_attribute("aria-sort") == "descending"
    assert opened.names()[0] == "011-ab12cd34"


def test_words_status_and_definition_filter_together(open_page: Callable[..., Opened]) -> None:
    opened = open_page(*two_algorithms())
    page = opened.page
    page.locator(".controls").get_by_label("Definition").select_option("lines")
    assert len(opened.names()) == 5
    # Columns of the other definition's hyperparameters go.
    titles = page.locator("#jobs thead th:visible").all_inner_texts()
    assert {"rate", "wd"} <= set(titles)
    assert "eta" not in titles
    page.get_by_label("Filter").fill("012 completed")
    assert opened.names() == ["012-ab12cd34"]
    page.locator(".controls").get_by_label("Definition").select_option("trees")
    assert opened.names() == []
    page.get_by_role("button", name="Show all").click()
    until(lambda: len(opened.names()) == 11)
    assert "eta" in page.locator("#jobs thead th:visible").all_inner_texts()


def test_a_link_to_a_training_job_shows_it_though_it_is_filtered_away(open_page: Callable[..., Opened]) -> None:
    opened = open_page(*mixed())
    opened.page.get_by_label("Filter").fill("failed")
    opened.page.locator("#best a").click()
    opened.page.locator("#job-7").wait_for()
    assert "7" in opened.column(1)


@pytest.mark.parametrize("scheme", ["light", "dark"])
def test_text_stands_out_in_both_colour_schemes(open_page: Callable[..., Opened], scheme: Any) -> None:
    opened = open_page(*mixed(), color_scheme=scheme)
    opened.drawn()
    page = opened.page
    ground = page.evaluate("getComputedStyle(document.documentElement).backgroundColor")
    assert (luminance(ground) > 0.5) is (scheme == "light")
    for selector in (
        "h1",
        ".note",
        "nav a",
        ".status[data-status=Completed]",
        ".status[data-status=Failed]",
        ".terms dt",
    ):
        colour = page.evaluate("(selector) => getComputedStyle(document.querySelector(selector)).color", selector)
        assert contrast(colour, ground) >= 4.5, selector
    label = page.evaluate("getComputedStyle(document.querySelector('.plot .xtick text')).fill")
    assert contrast(label, ground) >= 4.5


def test_figures_follow_when_the_colour_scheme_changes(open_page: Callable[..., Opened]) -> None:
    opened = open_page(*mixed(), color_scheme="light")
    opened.drawn()
    fill = "getComputedStyle(document.querySelector('.plot .xtick text')).fill"
    light = opened.page.evaluate(fill)
    opened.page.emulate_media(color_scheme="dark")
    until(lambda: opened.page.evaluate(fill) != light)
    assert luminance(opened.page.evaluate(fill)) > 0.5


def test_on_paper_everything_is_there_and_light(open_page: Callable[..., Opened], tmp_path: Path) -> None:
    opened = open_page(*mixed(), color_scheme="dark")
    page = opened.page
    # Printed at once, before anyone has scrolled to the figures; what was laid out for paper is looked at there.
    page.evaluate(
        """addEventListener("beforeprint", () => {
            const all = (selector) => [...document.querySelectorAll(selector)];
            window.onPaper = {
                figures: all(".plot").map((plot) => plot.querySelectorAll(".main-svg").length),
                widest: Math.max(...all(".main-svg").map((one) => one.getBoundingClientRect().width)),
                text: getComputedStyle(document.querySelector(".plot .xtick text")).fill,
            };
        })"""
    )
    file = tmp_path / "report.pdf"
    page.pdf(path=file, prefer_css_page_size=True)
    assert file.read_bytes().startswith(b"%PDF")
    seen = page.evaluate("window.onPaper")
    assert min(seen["figures"]) >= 1
    assert 100 < seen["widest"] <= 690
    assert luminance(seen["text"]) < 0.2
    page.emulate_media(media="print")
    assert not page.locator(".controls").is_visible()
    assert not page.locator("nav").is_visible()
    assert page.locator("#jobs tbody tr:visible").count() == 11
    # Afterwards the screen is as it was.
    page.emulate_media(media="screen")
    assert page.evaluate("'printing' in document.documentElement.dataset") is False


def test_hostile_data_is_shown_and_does_nothing(open_page: Callable[..., Opened]) -> None:
    hyperparameters = {HOSTILE: HOSTILE, "eta": "0.1"}
    jobs = [
        training_job(n, n / 10, definition=HOSTILE, hyperparameters={**hyperparameters, HOSTILE: f"{HOSTILE}{n % 2}"})
        for n in range(1, 8)
    ]
    jobs.append(training_job(8, None, status="Failed", definition=HOSTILE, reason=HOSTILE))
    described = [
        definition(
            HOSTILE,
            TuningObjective={"Type": "Maximize", "MetricName": HOSTILE},
            StaticHyperParameters={HOSTILE: HOSTILE},
            HyperParameterRanges={"CategoricalParameterRanges": [{"Name": HOSTILE, "Values": [HOSTILE]}]},
        )
    ]
    opened = open_page(tuning_job(jobs, best=jobs[6], definitions=described, name=HOSTILE), jobs)
    opened.drawn()
    page = opened.page
    # Texts that show on hovering are made then.
    for layer in page.locator(".plot .nsewdrag").all():
        layer.hover()
    page.get_by_label("Filter").fill("<b>")
    assert page.evaluate("window.hacked") is None
    assert page.locator("img, .plot b").count() == 0
    assert page.locator("h1").inner_text() == HOSTILE
    # Figures show it as text too.
    titles = page.locator(".plot .xtitle").all_text_contents()
    assert any(title.startswith("</script><script>") for title in titles)
    assert opened.complaints == []


def test_without_scripts_it_reads(open_page: Callable[..., Opened]) -> None:
    opened = open_page(*mixed(), java_script_enabled=False)
    page = opened.page
    assert page.locator("#jobs tbody tr:visible").count() == 11
    assert not page.locator(".controls").is_visible()
    assert page.locator("noscript p").is_visible()
    assert not page.locator(".plot").first.is_visible()
    assert page.locator("#best").get_by_text("dart").is_visible()


def test_a_phone_scrolls_down_only(open_page: Callable[..., Opened]) -> None:
    opened = open_page(*many(30, 12), has_touch=True)
    page = opened.page
    page.set_viewport_size({"width": 375, "height": 800})
    opened.drawn()
    until(lambda: page.evaluate("document.documentElement.scrollWidth") <= 375)


def test_five_hundred_training_jobs_sort_and_filter(open_page: Callable[..., Opened]) -> None:
    opened = open_page(*many(500, 20))
    page = opened.page
    page.locator("#jobs thead th", has_text="validation:auc").get_by_role("button").click()
    values = [float(text) for text in opened.column(4) if text]
    assert values == sorted(values)
    assert len(values) == 483
    page.get_by_label("Status").select_option("Failed")
    assert len(opened.names()) == 17
    opened.drawn()
    assert page.locator(".plot .main-svg").count() >= 23
    assert opened.complaints == []


def test_a_screen_reader_finds_its_way(open_page: Callable[..., Opened]) -> None:
    page = open_page(*two_algorithms()).page
    for landmark in ("banner", "main", "contentinfo"):
        assert page.get_by_role(landmark).count() == 1  # type: ignore[arg-type]
    assert page.get_by_role("navigation", name="Sections").count() == 1
    levels = page.eval_on_selector_all("h1, h2, h3, h4", "all => all.map(one => Number(one.tagName[1]))")
    assert levels[0] == 1
    assert all(after - before <= 1 for before, after in itertools.pairwise(levels))
    for plot in page.locator(".plot").all():
        assert len(plot.get_attribute("aria-label") or "") > 20
    assert page.locator("table").count() == page.locator("table caption").count()
