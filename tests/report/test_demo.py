"""The page to play with a model on: its demo, and the page itself where gradio is installed."""

from __future__ import annotations

import io
import json
import signal
import subprocess
import sys
from collections.abc import Callable, Iterator
from contextlib import contextmanager
from pathlib import Path
from typing import Any
from urllib.request import urlopen

import numpy as np
import pytest
from click.testing import Result
from PIL import Image

import ganzoo
from ganzoo import GAN
from ganzoo.report.demo import SIDE, Demo
from tests.browser import keep, opened
from tests.conftest import SMALL
from tests.hub import Hub

Cli = Callable[..., Result]


@pytest.fixture(scope="module")
def run(tmp_path_factory: pytest.TempPathFactory) -> Path:
    folder = tmp_path_factory.mktemp("runs") / "told"
    ganzoo.train({**SMALL, "gen.conditional": True}, folder)
    return folder


def pixels(picture: Image.Image) -> np.ndarray[Any, Any]:
    return np.asarray(picture.convert("L").resize((16, 16), Image.Resampling.NEAREST), dtype=int)


def test_demo(run: Path) -> None:
    gan = GAN.from_pretrained(run)
    demo = Demo(gan)
    plain = demo.sample(5, 1.0, "3")
    assert plain.size == (SIDE, SIDE)
    wanted = gan.sample(1, y=3, seed=5).add(1).mul(127.5).round()[0, 0].numpy()
    assert np.abs(pixels(plain) - wanted).max() <= 1
    assert not np.array_equal(pixels(plain), pixels(demo.sample(5, 0.5, "3")))
    assert not np.array_equal(pixels(plain), pixels(demo.sample(5, 1.0, "3", 4.0)))
    assert np.array_equal(pixels(demo.sample(None, 1.0, "3")), pixels(demo.sample(0, 1.0, "3")))
    assert np.abs(pixels(demo.between(5, 6, "3", 0.0)) - pixels(plain)).max() <= 1
    assert np.abs(pixels(demo.between(6, 5, "3", 1.0)) - pixels(plain)).max() <= 1
    strip = demo.strip(5, 6, "3")
    assert strip.width > 4 * strip.height


def test_what_it_says_of_a_picture(run: Path) -> None:
    demo = Demo(GAN.from_pretrained(run))
    drawn = Image.new("RGBA", (50, 50), (0, 0, 0, 0))
    drawn.paste((0, 0, 0, 255), (20, 5, 30, 45))
    seen, classes, said, again = demo.analyse({"composite": drawn}, False)
    assert pixels(seen)[0, 0] == 255
    assert pixels(demo.analyse({"composite": drawn}, True)[0])[0, 0] == 0
    assert sum(classes.values()) == pytest.approx(1, abs=1e-4)
    assert said.startswith("Score: ")
    assert again.size == (SIDE, SIDE)
    assert demo.analyse(None, False)[2] == "Draw or upload an image first."


def test_a_classifier_alone_has_demo_too(tmp_path: Path) -> None:
    demo = Demo(ganzoo.train({**SMALL, "ssl": "supervised"}, tmp_path / "r"))
    seen, classes, said, again = demo.analyse(Image.new("L", (20, 20)), False)
    assert (demo.generates, said, again) == (False, "", None)
    assert len(classes) == 10
    assert seen.size == (SIDE, SIDE)


def test_without_gradio_it_says_what_to_install(run: Path, cli: Cli, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setitem(sys.modules, "gradio", None)
    result = cli("demo", run)
    assert result.exit_code == 1
    assert result.stderr == "error: the demo requires gradio: pip install 'torch-ganzoo[demo]'\n"


AUDITED = """
import signal, sys
signal.signal(signal.SIGINT, signal.default_int_handler)  # who runs the tests in the background has it ignored
def note(event, args):
    if event in ("socket.connect", "socket.getaddrinfo") and "127.0.0.1" not in str(args):
        print("asked", args, file=sys.stderr, flush=True)
sys.addaudithook(note)
from ganzoo.cli import main
main(sys.argv[1:])
"""


@pytest.fixture(scope="module")
def address(run: Path, tmp_path_factory: pytest.TempPathFactory) -> Iterator[str]:
    """A demo of a run; in the end, it has asked nobody else for anything."""
    pytest.importorskip("gradio", reason="no gradio: pip install 'torch-ganzoo[demo]'")
    words = [sys.executable, "-c", AUDITED, "demo", str(run), "--port", "0"]
    errors = tmp_path_factory.mktemp("demo") / "stderr"
    with errors.open("w") as told, subprocess.Popen(words, stdout=subprocess.PIPE, stderr=told, text=True) as process:
        assert process.stdout
        try:
            said = next((line for line in process.stdout if line.startswith("demo")), "")
            assert said.startswith("demo     http://127.0.0.1:"), errors.read_text()
            yield said.split()[1]
            process.send_signal(signal.SIGINT)
            process.communicate(timeout=60)  # to the end: it still says that it closes
        finally:  # whatever failed: what ends no process waits for it for ever
            process.kill()
    assert process.returncode == 0
    assert errors.read_text() == ""


@contextmanager
def changing(page: Any, place: str) -> Iterator[None]:
    """Do something, and wait until another picture is shown in a place."""
    before = source(page, place)
    yield
    page.wait_for_function(
        "([place, before]) => { const i = document.querySelector(place + ' img'); return i && i.src !== before }",
        arg=[place, before],
    )


def source(page: Any, place: str) -> str | None:
    """The address of a picture, which is made of its pixels."""
    image = page.locator(f"{place} img")
    return image.get_attribute("src") if image.count() else None


def press(page: Any, label: str, key: str) -> None:
    """Move a slider by the keyboard."""
    page.get_by_label(f"range slider for {label}").focus()
    page.keyboard.press(key)


def enter(page: Any, label: str, text: str) -> None:
    """Type into a field."""
    page.get_by_label(label, exact=True).fill(text)
    page.keyboard.press("Tab")


def button(page: Any, name: str) -> Any:
    """The button that can be seen."""
    return page.get_by_role("button", name=name).locator("visible=true")


@pytest.mark.parametrize("width", [390, 1400])
def test_sampling_in_a_browser(chromium: Any, address: str, tmp_path: Path, width: int) -> None:
    with opened(chromium, address, width) as (page, seen):
        page.locator("#sample img").wait_for()
        first = source(page, "#sample")
        with changing(page, "#sample"):
            enter(page, "Seed", "5")
        with changing(page, "#sample"):
            enter(page, "Seed", "0")
        assert source(page, "#sample") == first
        with changing(page, "#sample"):
            press(page, "Direction 2", "End")
        with changing(page, "#sample"):
            button(page, "Reset directions").click()
        assert source(page, "#sample") == first
        with changing(page, "#sample"):
            page.get_by_label("Class", exact=True).locator("visible=true").click()
            page.get_by_role("option", name="7").click()
        with changing(page, "#sample"):
            press(page, "Truncation", "Home")
        keep(page, f"demo-{width}", tmp_path)
        page.get_by_role("tab", name="Interpolate").click()
        page.locator("#between img").wait_for()
        assert source(page, "#between") == first
        page.locator("#way img").wait_for()
        with changing(page, "#between"):
            press(page, "Position", "End")
        with changing(page, "#way"), changing(page, "#between"):
            enter(page, "To seed", "0")
        assert source(page, "#between") == first
        keep(page, f"demo-interpolate-{width}", tmp_path)
        assert page.evaluate("document.documentElement.scrollWidth") <= width
        assert (seen.asked, seen.errors) == ([], [])


@pytest.mark.parametrize("width", [390, 1400])
def test_a_picture_in_a_browser(chromium: Any, address: str, tmp_path: Path, width: int) -> None:
    Image.new("L", (16, 16), 200).save(tmp_path / "x.png")
    with opened(chromium, address, width) as (page, seen):
        page.get_by_role("tab", name="Your image").click()
        page.set_input_files("#upload input[type=file]", tmp_path / "x.png")
        page.locator("#upload img").wait_for()
        with changing(page, "#seen"), changing(page, "#again"):
            button(page, "Analyse").click()
        assert page.get_by_text("Score:").count() == 1
        page.get_by_text("%").first.wait_for()
        keep(page, f"demo-image-{width}", tmp_path)
        with changing(page, "#seen"):
            page.get_by_label("Invert").check()
            button(page, "Analyse").click()
        page.get_by_label("Invert").uncheck()
        page.get_by_role("tab", name="Draw").click()
        canvas = page.locator("canvas").first
        for lean in (20, 60):
            draw(page, canvas, lean)
            with changing(page, "#seen"):
                button(page, "Analyse").click()
            drawn = Image.open(io.BytesIO(page.request.get(source(page, "#seen")).body())).convert("L")
            low, high = drawn.getextrema()
            assert high - low > 200
            keep(page, f"demo-drawing-{width}", tmp_path)
            button(page, "Clear canvas").click()
        assert page.evaluate("document.documentElement.scrollWidth") <= width
        assert (seen.asked, seen.errors) == ([], [])


def draw(page: Any, canvas: Any, lean: float) -> None:
    """Draw a line with the mouse, once the brush is in hand."""
    page.get_by_label("Brush Size").wait_for()
    box = canvas.bounding_box()
    x, y = box["x"] + box["width"] / 2, box["y"] + box["height"] / 2
    page.mouse.move(x, y - 80)
    page.mouse.down()
    page.mouse.move(x + lean, y + 80, steps=10)
    page.mouse.up()


@pytest.mark.parametrize("kind", ["run folder", "model folder", "hub"])
def test_any_model(run: Path, cli: Cli, tmp_path: Path, monkeypatch: pytest.MonkeyPatch, kind: str) -> None:
    gradio = pytest.importorskip("gradio", reason="no gradio: pip install 'torch-ganzoo[demo]'")
    pages = []

    def visited(blocks: Any) -> None:
        with urlopen(f"{blocks.local_url}config") as answer:
            pages.append(json.load(answer))
        blocks.close()

    monkeypatch.setattr(gradio.Blocks, "block_thread", visited)
    with Hub() as hub:
        hub.adopt(monkeypatch, tmp_path / "cache")
        hub.add("alice/gan", {p.name: p.read_bytes() for p in (run / "model").iterdir()})
        model = {"run folder": run, "model folder": run / "model", "hub": "alice/gan"}[kind]
        assert cli("demo", model, "--port", 0).exit_code == 0
    title = {"run folder": "told", "model folder": "model", "hub": "alice/gan"}[kind]
    assert pages[0]["title"] == f"{title} · ganzoo"
    assert {part["props"].get("label") for part in pages[0]["components"]} >= {
        "Sample",
        "Class",
        "Direction 1",
        "Drawing",
    }
