"""A page to play with a model on: an extra, which wants gradio."""

from __future__ import annotations

import socket
from collections.abc import Callable
from dataclasses import dataclass
from functools import cached_property
from typing import TYPE_CHECKING, Any

import torch
from PIL import Image
from torch import Tensor

from ganzoo.errors import Incompatible, MissingExtra
from ganzoo.model import GAN
from ganzoo.pictures import grid, to_pil, to_uint8
from ganzoo.sampling import Directions, find_directions, interpolate, project

if TYPE_CHECKING:
    import gradio

SIDE = 384
SLIDERS, STEPS, SEARCH = 6, 8, 150
REACH = 4.0
MOST = 2**53
BRUSH = SIDE // 24
CSS = "@media (max-width: 48rem) { .stays { position: sticky; top: 0; z-index: 2; } }"
"""On a narrow page the image stays in sight of the sliders below it."""


@dataclass
class Answers:
    """What the page asks a model: every method takes what widgets hold, and returns what others show."""

    gan: GAN

    @property
    def makes(self) -> bool:
        """Whether it generates images."""
        return "generator" in self.gan.networks

    @cached_property
    def directions(self) -> Directions:
        """The strongest directions, of the weights, or of a layer where the weights show none."""
        try:
            return find_directions(self.gan, SLIDERS)
        except Incompatible:
            return find_directions(self.gan, SLIDERS, "pca")

    @cached_property
    def dark(self) -> bool:
        """Whether its images are mostly dark, as digits on black: a drawing then is white on black too."""
        return self.makes and float(self.gan.sample(16, seed=0).mean()) < 0

    def label(self, name: str | None) -> int | None:
        """Return the number of a class, for a generator that is told one."""
        return list(self.gan.class_names).index(name) if self.gan.conditional and name is not None else None

    def one(self, seed: float | None, truncation: float, name: str | None, *moves: float) -> Image.Image:
        """Return the image of a seed, moved along the directions."""
        asked = torch.zeros(1, len(self.directions.vectors))
        asked[0, : len(moves)] = torch.tensor(moves)
        return enlarged(self.directions.moved(self.gan, asked, whole(seed), self.label(name), truncation)[0])

    def between(self, seed: float | None, other: float | None, name: str | None, t: float) -> Image.Image:
        """Return the image at t in [0, 1] of the way between two seeds."""
        return enlarged(self.along(seed, other, name, torch.tensor([t]))[0])

    def way(self, seed: float | None, other: float | None, name: str | None) -> Image.Image:
        """Return a strip of the way between two seeds."""
        return grid(self.along(seed, other, name, torch.linspace(0, 1, STEPS)), STEPS)

    def along(self, seed: float | None, other: float | None, name: str | None, t: Tensor) -> Tensor:
        """Return the images at places t of the way between two seeds."""
        return interpolate(self.gan, (whole(seed), whole(other)), t, self.label(name))

    def about(self, picture: Image.Image | dict[str, Any] | None, invert: bool) -> list[Any]:
        """Return what the model sees of a picture: it prepared, classes, realness in words, and it made again."""
        drawn = picture.get("composite") if isinstance(picture, dict) else picture
        if drawn is None:
            return [None, None, "Draw or upload an image first.", None]
        x = self.gan.prepare(flat(drawn))
        x = -x if invert else x
        p, real, again = (tried(ask, x) for ask in (self.gan.classify, self.gan.score, self.gan.reconstruct))
        if again is None and self.makes:
            again = project(self.gan, x, steps=SEARCH).images[0]
        return [
            enlarged(x[0]),
            None if p is None else dict(zip(self.gan.class_names, p.tolist(), strict=True)),
            "" if real is None else f"Realness: {float(real):+.2f} (larger is more like the training images)",
            None if again is None else enlarged(again),
        ]


def tried(ask: Callable[[Tensor], Tensor], x: Tensor) -> Tensor | None:
    """Return what a model answers about the one image `[1, C, H, W]`, or None where it has no such answer."""
    try:
        return ask(x)[0]
    except Incompatible:
        return None


def whole(seed: float | None) -> int:
    """Return what stands in a field of a seed; 0 for an empty one, or for what is none."""
    return min(max(int(seed or 0), 0), MOST)


def enlarged(x: Tensor) -> Image.Image:
    """Return an image `[C, H, W]` in [-1, 1] as a picture, small ones with larger pixels."""
    picture = to_pil(to_uint8(x))
    scale = max(1, SIDE // picture.width)
    return picture.resize((picture.width * scale, picture.height * scale), Image.Resampling.NEAREST)


def flat(picture: Image.Image) -> Image.Image:
    """Return a picture on white, without transparency."""
    if not picture.has_transparency_data:
        return picture
    white = Image.new("RGBA", picture.size, "white")
    white.alpha_composite(picture.convert("RGBA"))
    return white.convert("RGB")


def page(gan: GAN, title: str) -> gradio.Blocks:
    """Return the page. Raises MissingExtra when gradio is not installed."""
    try:
        import gradio as gr
    except ImportError as error:
        raise MissingExtra("the demo wants gradio: pip install 'torch-ganzoo[demo]'") from error
    answers = Answers(gan)
    with gr.Blocks(title=f"{title} · ganzoo", analytics_enabled=False) as made:
        gr.Markdown(f"# {title}")
        if answers.makes:
            with gr.Tab("Sample"):
                sample_tab(gr, answers)
            with gr.Tab("Interpolate"):
                way_tab(gr, answers)
        with gr.Tab("Your image"):
            image_tab(gr, answers)
    return made


def shown(gr: Any, label: str, name: str) -> Any:
    """Return a place where the model's images are shown."""
    return gr.Image(label=label, interactive=False, buttons=["download", "fullscreen"], elem_id=name)


def class_choice(gr: Any, gan: GAN) -> Any:
    """Return a selector of the class, which is there for a generator that is told one."""
    names = list(gan.class_names)
    return gr.Dropdown(names, value=names[0] if names else None, label="Class", visible=gan.conditional)


def sample_tab(gr: Any, answers: Answers) -> None:
    """Seed, class, truncation and directions → an image."""
    with gr.Row():
        with gr.Column(elem_classes="stays"):
            image = shown(gr, "Image", "sample")
        with gr.Column():
            name = class_choice(gr, answers.gan)
            seed = gr.Number(0, label="Seed", precision=0, minimum=0)
            truncation = gr.Slider(0, 1, 1, step=0.05, label="Truncation")
            moves = [
                gr.Slider(-REACH, REACH, 0, step=0.1, label=f"Direction {i + 1}")
                for i in range(len(answers.directions.vectors))
            ]
            back = gr.Button("Directions to 0")
    gr.on(None, answers.one, [seed, truncation, name, *moves], image, show_progress="hidden")
    back.click(lambda: [0.0] * len(moves), None, moves)


def way_tab(gr: Any, answers: Answers) -> None:
    """Two seeds and a place between them → an image and a strip."""
    with gr.Row():
        with gr.Column(elem_classes="stays"):
            image = shown(gr, "Image", "between")
        with gr.Column():
            name = class_choice(gr, answers.gan)
            one = gr.Number(0, label="From seed", precision=0, minimum=0)
            other = gr.Number(1, label="To seed", precision=0, minimum=0)
            t = gr.Slider(0, 1, 0, step=0.01, label="How far")
    strip = shown(gr, "The way", "way")
    gr.on(None, answers.between, [one, other, name, t], image, show_progress="hidden")
    gr.on(None, answers.way, [one, other, name], strip, show_progress="hidden")


def image_tab(gr: Any, answers: Answers) -> None:
    """A picture → as the model sees it, classes, realness, and made again."""
    paper, ink = ("black", "#ffffff") if answers.dark else ("white", "#000000")
    blank = Image.new("RGB", (SIDE, SIDE), paper)
    empty = {"background": blank, "layers": [], "composite": blank}
    with gr.Row():
        with gr.Column():
            with gr.Tab("Upload"):
                uploaded = gr.Image(
                    type="pil", image_mode=None, sources=["upload", "clipboard"], label="Image", elem_id="upload"
                )
                ask = gr.Button("Look at it")
            with gr.Tab("Draw"):
                drawn = gr.Sketchpad(
                    empty,
                    type="pil",
                    label="Drawing",
                    canvas_size=blank.size,
                    brush=gr.Brush(
                        BRUSH, colors=[ink], color_mode="fixed" if answers.gan.shape.channels == 1 else "defaults"
                    ),
                    layers=False,
                    transforms=(),
                )
                look = gr.Button("Look at it")
            invert = gr.Checkbox(False, label="Invert light and dark")
        with gr.Column():
            seen = shown(gr, "As the model sees it", "seen")
            classes = gr.Label(label="Class", num_top_classes=5, visible=bool(answers.gan.shape.classes))
            realness = gr.Markdown()
            again = shown(gr, "Made again by the model", "again")
    drawn.clear(lambda: empty, None, drawn, show_progress="hidden")
    for button, given in ((ask, uploaded), (look, drawn)):
        button.click(answers.about, [given, invert], [seen, classes, realness, again])


def serve(made: gradio.Blocks, host: str, port: int, wait: bool = True) -> str:
    """Serve the page until it is interrupted, and return its address. Fonts are the reader's own: none is fetched.

    Raises Incompatible when the port is taken. wait: go on serving; else only as long as this process lives.
    """
    import gradio as gr

    fonts = {"font": ["system-ui", "sans-serif"], "font_mono": ["monospace"]}
    try:
        _, address, _ = made.launch(
            server_name=host,
            server_port=port or free_port(host),
            share=False,
            show_error=True,
            quiet=True,
            prevent_thread_lock=True,
            theme=gr.themes.Default(**fonts),
            css=CSS,
            footer_links=[],
        )
    except OSError as error:
        raise Incompatible(
            f"{host}:{port} cannot be listened on, perhaps as it is in use; choose another with --port"
        ) from error
    print(f"demo     {address}", flush=True)
    if wait:
        made.block_thread()
    return str(address)


def free_port(host: str) -> int:
    """Return a port that nobody listens on."""
    with socket.socket() as tried:
        tried.bind((host, 0))
        return int(tried.getsockname()[1])
