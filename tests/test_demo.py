"""The page to play with a model on: its answers, and the page itself where gradio is installed."""

from __future__ import annotations

import subprocess
import sys
from collections.abc import Callable, Iterator
from pathlib import Path
from typing import Any

import numpy as np
import pytest
from click.testing import Result
from PIL import Image

import ganzoo
from ganzoo import GAN
from ganzoo.demo import SIDE, Answers, flat
from tests.browser import chromium, keep, opened
from tests.conftest import SMALL

__all__ = ["chromium"]

Cli = Callable[..., Result]


@pytest.fixture(scope="module")
def run(tmp_path_factory: pytest.TempPathFactory) -> Path:
    folder = tmp_path_factory.mktemp("runs") / "told"
    ganzoo.train({**SMALL, "gen.conditional": True}, folder)
    return folder


def pixels(picture: Image.Image) -> np.ndarray[Any, Any]:
    return np.asarray(picture.convert("L").resize((16, 16), Image.Resampling.NEAREST), dtype=int)


def test_answers(run: Path) -> None:
    gan = GAN.from_pretrained(run)
    answers = Answers(gan)
    plain = answers.one(5, 1.0, "3")
    assert plain.size == (SIDE, SIDE)
    wanted = gan.sample(1, y=3, seed=5).add(1).mul(127.5).round()[0, 0].numpy()
    assert np.abs(pixels(plain) - wanted).max() <= 1
    assert not np.array_equal(pixels(plain), pixels(answers.one(5, 0.5, "3")))
    assert not np.array_equal(pixels(plain), pixels(answers.one(5, 1.0, "3", 4.0)))
    assert np.array_equal(pixels(answers.one(None, 1.0, "3")), pixels(answers.one(0, 1.0, "3")))
    image, strip = answers.way(5, 6, 0.0, "3")
    assert np.abs(pixels(image) - pixels(plain)).max() <= 1
    assert strip.width > 4 * strip.height


def test_what_it_says_of_a_picture(run: Path) -> None:
    answers = Answers(GAN.from_pretrained(run))
    drawn = Image.new("RGBA", (50, 50), (0, 0, 0, 0))
    drawn.paste((0, 0, 0, 255), (20, 5, 30, 45))
    seen, classes, said, again = answers.about({"composite": drawn}, False)
    assert pixels(seen)[0, 0] == 255
    assert pixels(answers.about({"composite": drawn}, True)[0])[0, 0] == 0
    assert sum(classes.values()) == pytest.approx(1, abs=1e-4)
    assert said.startswith("Realness: ")
    assert again.size == (SIDE, SIDE)
    assert answers.about(None, False)[2] == "Draw or upload an image first."
    assert flat(Image.new("L", (3, 3), 7)).getpixel((0, 0)) == 7


def test_a_classifier_alone_has_answers_too(tmp_path: Path) -> None:
    answers = Answers(ganzoo.train({**SMALL, "ssl": "supervised"}, tmp_path / "r"))
    seen, classes, said, again = answers.about(Image.new("L", (20, 20)), False)
    assert (answers.makes, said, again) == (False, "", None)
    assert len(classes) == 10
    assert seen.size == (SIDE, SIDE)


def test_without_gradio_it_says_what_to_install(run: Path, cli: Cli, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setitem(sys.modules, "gradio", None)
    result = cli("demo", run)
    assert result.exit_code == 1
    assert result.stderr == "error: the demo wants gradio: pip install 'torch-ganzoo[demo]'\n"


@pytest.fixture
def address(run: Path) -> Iterator[str]:
    pytest.importorskip("gradio", reason="no gradio: pip install 'torch-ganzoo[demo]'")
    words = [sys.executable, "-m", "ganzoo", "demo", str(run), "--port", "0"]
    with subprocess.Popen(words, stdout=subprocess.PIPE, text=True) as process:
        assert process.stdout
        said = next((line for line in process.stdout if line.startswith("demo")), "")
        assert said.startswith("demo     http://127.0.0.1:")
        yield said.split()[1]
        process.terminate()


@pytest.mark.parametrize("width", [390, 1400])
def test_in_a_browser(chromium: Any, address: str, tmp_path: Path, width: int) -> None:
    Image.new("L", (16, 16), 200).save(tmp_path / "x.png")
    with opened(chromium, address, width) as (page, seen):
        image = page.locator("#sample img")
        image.wait_for()
        before = image.get_attribute("src")
        page.get_by_label("Seed", exact=True).fill("5")
        page.keyboard.press("Tab")
        page.wait_for_function("before => document.querySelector('#sample img').src !== before", arg=before)
        keep(page, f"demo-{width}", tmp_path)
        page.get_by_role("tab", name="Your image").click()
        page.set_input_files("#upload input[type=file]", tmp_path / "x.png")
        page.locator("#upload img").wait_for()
        page.get_by_role("button", name="Look at it").first.click()
        page.locator("#again img").wait_for()
        assert page.get_by_text("Realness:").count() == 1
        keep(page, f"demo-image-{width}", tmp_path)
        assert page.evaluate("document.documentElement.scrollWidth") <= width
        assert (seen.asked, [c for c in seen.complaints if c != "Method not implemented."]) == ([], [])  # gradio's own
