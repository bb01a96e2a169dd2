"""The report of a run: what is on it, that it needs nothing else, and how it behaves in a browser."""

from __future__ import annotations

import json
import re
import shutil
from collections.abc import Callable
from html.parser import HTMLParser
from pathlib import Path
from typing import Any

import numpy as np
import pytest
import torch
from click.testing import Result
from PIL import Image

import ganzoo
from ganzoo import GAN
from ganzoo.errors import BadData, Diverged
from ganzoo.plots.charts import HEIGHT, WIDTH, chart, charts, thin, ticks
from ganzoo.report import write_report
from ganzoo.report.examples import confusion, neighbours
from ganzoo.report.page import images_of_run
from ganzoo.report.pictures import BUDGET, frames
from ganzoo.run.folder import Run
from tests.browser import keep, opened
from tests.conftest import SMALL

Cli = Callable[..., Result]


@pytest.fixture(scope="module")
def runs(tmp_path_factory: pytest.TempPathFactory) -> Path:
    """Runs of several sorts."""
    root = tmp_path_factory.mktemp("runs")
    sorts: dict[str, dict[str, Any]] = {
        "kplus1": {"steps": 4, "sample_every": 2, "log_every": 1},
        "conditional": {"gen.conditional": True},
        "supervised": {"ssl": "supervised"},
        "none": {"ssl": "none"},
    }
    for name, values in sorts.items():
        ganzoo.train({**SMALL, **values}, root / name)
    return root


class Page(HTMLParser):
    """What a page is made of."""

    EMPTY = ("meta", "link", "img", "input", "line", "path", "br")

    def __init__(self, path: Path) -> None:
        super().__init__()
        self.open: list[str] = []
        self.tags: list[tuple[str, dict[str, str | None]]] = []
        self.text = path.read_text()
        self.feed(self.text)

    def handle_starttag(self, tag: str, attrs: list[tuple[str, str | None]]) -> None:
        self.tags.append((tag, dict(attrs)))
        if tag not in self.EMPTY:
            self.open.append(tag)

    def handle_startendtag(self, tag: str, attrs: list[tuple[str, str | None]]) -> None:
        self.tags.append((tag, dict(attrs)))

    def handle_endtag(self, tag: str) -> None:
        assert self.open.pop() == tag, f"</{tag}> closes another tag"

    def all(self, tag: str) -> list[dict[str, str | None]]:
        return [attrs for name, attrs in self.tags if name == tag]


def sections(page: Page) -> set[str]:
    return {str(attrs["id"]) for attrs in page.all("section")}


def test_training_ends_with_a_report_of_everything(runs: Path) -> None:
    page = Page(runs / "kplus1" / "report.html")
    assert not page.open
    assert sections(page) == {"frames", "classes", "charts", "way", "neighbours", "confusion", "split", "made"}
    assert len([a for a in page.all("img") if a.get("data-step")]) == 3
    assert "Not shown" not in page.text
    metrics = json.loads((runs / "kplus1" / "model" / "config.json").read_text())["metrics"]
    for label, name in (
        ("held-out error, averaged weights", "error"),
        ("balanced error", "balanced_error"),
        ("macro F1", "macro_f1"),
    ):
        assert f"<dt>{label}</dt><dd>{100 * metrics[name]:.2f} %</dd>" in page.text


def test_a_table_has_the_recall_of_each_class(runs: Path) -> None:
    metrics = json.loads((runs / "kplus1" / "model" / "config.json").read_text())["metrics"]
    text = (runs / "kplus1" / "report.html").read_text()
    rows = re.findall(r'<th scope="row">(\d)</th><td>10</td>.*?<td>(\d+)</td><td>(\S+) %</td>', text)
    assert rows == [
        (str(k), str(n), f"{100 * recall:.1f}")
        for k, (n, recall) in enumerate(zip(metrics["support"], metrics["recall"], strict=True))
    ]


def test_a_class_without_held_out_images_has_no_recall(runs: Path, tmp_path: Path) -> None:
    gan = GAN.from_pretrained(runs / "kplus1")
    metrics = gan.metadata["metrics"]
    gan.metadata["metrics"] = {**metrics, "recall": [None, *metrics["recall"][1:]]}
    shutil.copytree(runs / "kplus1", tmp_path / "r")
    text = write_report(tmp_path / "r", gan).read_text()
    assert re.search(r'<th scope="row">0</th>.*?<td>–</td></tr>', text)


def test_the_page_needs_nothing_else(runs: Path) -> None:
    for path in runs.glob("*/report.html"):
        page = Page(path)
        assert path.stat().st_size < 3_000_000
        for _, attrs in page.tags:
            for name in ("src", "href", "srcset", "action", "data"):
                assert (attrs.get(name) or "#").startswith(("#", "data:")), attrs
        assert not re.search(r"url\(|@import|fetch\(|XMLHttpRequest", page.text)


def test_the_page_can_be_heard(runs: Path) -> None:
    page = Page(runs / "kplus1" / "report.html")
    assert all(attrs.get("alt") for attrs in page.all("img"))
    assert all(attrs.get("aria-label") and attrs["role"] == "img" for attrs in page.all("svg"))
    ids = [attrs["id"] for _, attrs in page.tags if "id" in attrs]
    assert len(set(ids)) == len(ids)
    for _, attrs in page.tags:
        for name in ("aria-labelledby", "for"):
            assert attrs.get(name, ids[0]) in ids
        if (attrs.get("href") or "").startswith("#"):
            assert str(attrs["href"])[1:] in ids
    assert page.all("html")[0]["lang"] == "en"


def test_what_a_run_has_not_its_page_has_not(runs: Path) -> None:
    assert sections(Page(runs / "supervised" / "report.html")) == {"charts", "confusion", "split", "made"}
    assert sections(Page(runs / "none" / "report.html")) == {"frames", "charts", "way", "neighbours", "split", "made"}
    assert "all rows have the same latents" in (runs / "conditional" / "report.html").read_text()


def test_made_again_it_has_scores_and_troubles(runs: Path, cli: Cli, tmp_path: Path) -> None:
    shutil.copytree(runs / "kplus1", tmp_path / "r")
    stamp = {"metric": "zoo/accuracy", "extractor": "zoo/classifier", "real": "digits, train", "real_count": 5}
    score = {"values": {"accuracy": 0.875}, "stamp": stamp, "warnings": ["too few images"]}
    (tmp_path / "r" / "scores.json").write_text(json.dumps([score]))
    trouble = {"step": 3, "name": "collapse", "said": "images are alike", "remedy": "--penalty <r1>"}
    (tmp_path / "r" / "warnings.jsonl").write_text(json.dumps(trouble) + '\n{"step": 4, "na')
    assert cli("report", "r").output == "report   r/report.html\n"
    page = Page(tmp_path / "r" / "report.html")
    assert {"scores", "warnings"} <= sections(page)
    assert "0.875" in page.text
    assert "Warning: too few images." in page.text
    assert "Step 3: images are alike. Try --penalty &lt;r1&gt;." in page.text


def test_names_of_classes_are_no_markup(runs: Path, tmp_path: Path) -> None:
    gan = GAN.from_pretrained(runs / "kplus1")
    gan.class_names = ["<script>alert(1)</script>", '"><img src=x onerror=alert(2)>', *map(str, range(2, 10))]
    shutil.copytree(runs / "kplus1", tmp_path / "r")
    page = Page(
        write_report(tmp_path / "r", gan, images_of_run(GAN.from_pretrained(runs / "kplus1"), Run(runs / "kplus1")))
    )
    assert len(page.all("script")) == 1
    assert not [attrs for _, attrs in page.tags if "onerror" in attrs]
    assert "&lt;script&gt;alert(1)" in page.text


def test_a_run_whose_images_are_gone_says_so(tmp_path: Path) -> None:
    for k in range(2):
        (tmp_path / "images" / str(k)).mkdir(parents=True)
        for i in range(8):
            noise = np.random.default_rng(i).integers(0, 255, (16, 16), dtype=np.uint8)
            Image.fromarray(noise).save(tmp_path / "images" / str(k) / f"{i}.png")
    ganzoo.train({**SMALL, "data.source": str(tmp_path / "images"), "data.labels": 4}, tmp_path / "run")
    shutil.rmtree(tmp_path / "images")
    page = Page(write_report(tmp_path / "run"))
    assert {"frames", "classes", "way", "charts"} <= sections(page)
    assert "Not shown" in page.text
    assert "there is no folder or file" in page.text
    support = json.loads((tmp_path / "run" / "model" / "config.json").read_text())["metrics"]["support"]
    assert re.findall(r'<th scope="row">[01]</th><td>2</td>.*?<td>(\d+)</td>', page.text) == [str(n) for n in support]


def test_a_run_that_diverged_has_a_report(tmp_path: Path) -> None:
    with pytest.raises(Diverged):
        ganzoo.train({**SMALL, "optimizer.lr": 1e30, "steps": 20, "log_every": 1}, tmp_path / "run")
    page = Page(tmp_path / "run" / "report.html")
    assert "This run has no model yet" in page.text
    assert "frames" in sections(page)


def test_a_report_that_fails_costs_no_run(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    def fail(*_: object) -> str:
        raise OSError("no room")

    monkeypatch.setattr("ganzoo.report.page.render", fail)
    with pytest.warns(UserWarning, match=r"the report could not be written .*no room.*; try again with: ganzoo report"):
        gan = ganzoo.train(SMALL, tmp_path / "run")
    assert gan.metadata["report"] == ""
    assert GAN.from_pretrained(tmp_path / "run").sample(1).shape == (1, 1, 16, 16)


def test_folders_that_are_no_runs(runs: Path, cli: Cli, tmp_path: Path) -> None:
    for folder in (tmp_path / "nowhere", runs / "kplus1" / "model"):
        result = cli("report", folder)
        assert result.exit_code == 1
        assert "is not a run folder; train a run with: ganzoo train" in result.stderr
    with pytest.raises(BadData):
        write_report(tmp_path)


def test_confusion_counts_held_out_images(runs: Path) -> None:
    gan = GAN.from_pretrained(runs / "kplus1")
    data = images_of_run(gan, Run(runs / "kplus1"))
    found = confusion(gan, data)
    matrix = torch.tensor(found.matrix)
    assert int(matrix.sum()) == len(data.test) == found.classified
    assert torch.equal(matrix.sum(1), torch.bincount(data.test_labels, minlength=10))
    assert 1 - float(matrix.trace() / matrix.sum()) == pytest.approx(gan.metadata["metrics"]["error"])
    assert all(m.truth != m.predicted for m in found.mistakes)
    assert sum(n for _, _, n in found.pairs) <= int(matrix.sum() - matrix.trace())
    assert [n for _, _, n in found.pairs] == sorted((n for _, _, n in found.pairs), reverse=True)


def test_a_copy_of_a_training_image_is_its_own_neighbour(runs: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    gan = GAN.from_pretrained(runs / "kplus1")
    data = images_of_run(gan, Run(runs / "kplus1"))
    copies = next(data.train.batches(iter([torch.arange(40, 48)])))
    monkeypatch.setattr(gan, "sample", lambda n, seed: copies[:n].float() / 127.5 - 1)
    assert max(neighbours(gan, data).distances) < 1e-3
    monkeypatch.undo()
    assert min(neighbours(gan, data).distances) > 0.01


def test_charts_of_uneven_classes() -> None:
    even = {"error": 0.5, "balanced_error": 0.504, "macro_f1": 0.5, "recall/a": 0.5}
    uneven = {**even, "balanced_error": 0.9, "balanced_error_raw": 0.8, "recall/b": 0.1}
    assert [c.title for c in charts([{"step": 1, "d/x": 1.0, **even}])] == [
        "held-out error", "recall of held-out images by class", "d",
    ]  # fmt: skip
    made = charts([{"step": 1, "d/x": 1.0, **even}, {"step": 2, **uneven}])
    assert [c.title for c in made] == [
        "held-out error", "balanced held-out error", "macro F1 of held-out images",
        "recall of held-out images by class", "d",
    ]  # fmt: skip
    assert [(line.name, line.last) for line in made[1].lines] == [("averaged weights", "90 %"), ("raw weights", "80 %")]
    assert [(line.name, line.last) for line in made[3].lines] == [("a", "50 %"), ("b", "10 %")]


def test_frames_of_noise_fit_too() -> None:
    rng = np.random.default_rng(0)
    noise = [(i, Image.fromarray(rng.integers(0, 255, (640, 640, 3), dtype=np.uint8))) for i in range(30)]
    made = frames(noise)
    assert sum(len(p.source) for _, p in made) <= BUDGET
    assert (made[0][0], made[-1][0]) == (0, 29)
    assert len(made) < 24
    assert len(frames([(i, Image.new("L", (64, 64))) for i in range(30)])) == 24


def test_charts() -> None:
    rows = [
        {"step": i, "d/x": float(i), "error": 0.5, "error_raw": 0.25, "images_per_second": 9.0} for i in range(1, 6)
    ]
    made = {c.title: c for c in charts([*rows, {"step": 6, "d/x": float("nan")}, {"step": 7, "alone": 1e6}])}
    assert list(made) == ["held-out error", "d", "alone"]
    assert [line.name for line in made["held-out error"].lines] == ["averaged weights", "raw weights"]
    assert made["held-out error"].lines[1].last == "25 %"
    assert made["d"].description == "d over 5 steps: x from 1 to 5."
    for c in made.values():
        numbers = [float(n) for line in c.lines for n in re.findall(r"-?[\d.]+", line.path)]
        assert all(0 <= x <= WIDTH for x in numbers[::2])
        assert all(0 <= y <= HEIGHT for y in numbers[1::2])
    assert ticks(0, 1000) == [0, 500, 1000]
    assert ticks(-0.3, 0.9) == pytest.approx([0, 0.5])
    points = [(float(i), 0.0) for i in range(1001)]
    assert (thin(points)[0], thin(points)[-1]) == (points[0], points[-1])
    assert len(thin(points)) <= 301
    assert [label for _, label in chart("g", {"a": [(1, -2000.0), (2, 30.0)]}).y] == [
        *("-1,000", "-100", "-10", "-1", "0", "1", "10")
    ]
    fid = chart("fid", {"a": [(1, 1000.0), (2, 383.0)]})  # not flat: the axis begins where the values do
    assert [label for _, label in fid.y] == ["100", "1,000"]
    assert [label for _, label in chart("g", {"a": [(1, -50.0), (2, -20.0)]}).y] == ["-10", "-1", "0"]


def test_long_names_of_classes_fit_a_narrow_screen(chromium: Any, runs: Path, tmp_path: Path) -> None:
    gan = GAN.from_pretrained(runs / "kplus1")
    gan.class_names = [f"{k} handwritten_digit_of_a_class_with_a_long_name" for k in range(10)]
    shutil.copytree(runs / "kplus1", tmp_path / "r")
    data = images_of_run(GAN.from_pretrained(runs / "kplus1"), Run(runs / "kplus1"))
    for images in (data, None):  # they cannot be read for these classes, and the page says why
        with opened(chromium, write_report(tmp_path / "r", gan, images).as_uri(), 390) as (page, _):
            assert page.evaluate("document.documentElement.scrollWidth") <= 390


@pytest.mark.parametrize(("width", "scheme"), [(1400, "light"), (390, "dark"), (1400, "dark"), (390, "light")])
def test_in_a_browser(chromium: Any, runs: Path, tmp_path: Path, width: int, scheme: str) -> None:
    with opened(chromium, (runs / "kplus1" / "report.html").as_uri(), width, scheme) as (page, seen):
        assert page.evaluate("document.documentElement.scrollWidth") <= width
        dark = page.evaluate("getComputedStyle(document.body).backgroundColor") == "rgb(20, 25, 27)"
        assert dark == (scheme == "dark")
        visible = "document.querySelector('.frame:not([hidden])').src"
        last = page.evaluate(visible)
        page.keyboard.press("Tab")
        assert page.evaluate("document.activeElement.textContent") == "Skip to content"
        page.focus("#slider")
        page.keyboard.press("ArrowLeft")
        before = page.evaluate(visible)
        assert before != last
        assert page.inner_text("#when") == "step 2"
        assert page.get_attribute("#slider", "aria-valuetext") == "step 2"
        page.keyboard.press("Home")
        assert page.evaluate(visible) not in (last, before)
        page.keyboard.press("End")
        assert page.evaluate(visible) == last
        assert page.evaluate("document.querySelectorAll('.frame:not([hidden])').length") == 1
        page.evaluate(
            "told = []; label = document.getElementById('when');"
            "new MutationObserver(() => told.push(label.textContent)).observe(label, {childList: true})"
        )
        page.focus("#play")
        page.keyboard.press("Enter")
        while page.evaluate("told.at(-1)") != "step 4":
            page.wait_for_timeout(50)
        page.get_by_role("button", name="Play").wait_for()
        assert page.evaluate("told") == ["step 0", "step 2", "step 4"]
        assert all(
            page.evaluate("[...document.images].filter(i => !i.hidden).map(i => i.complete && i.naturalWidth > 0)")
        )
        picture = keep(page, f"report-{width}-{scheme}", tmp_path)
        assert Image.open(picture).width == width
        assert (seen.asked, seen.errors, seen.warnings) == ([], [], [])
