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
BUTTONS = ["download", "fullscreen"]


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

    def label(self, name: str | None) -> int | None:
        """Return the number of a class, for a generator that is told one."""
        return list(self.gan.class_names).index(name) if self.gan.conditional and name is not None else None

    def one(self, seed: float | None, truncation: float, name: str | None, *moves: float) -> Image.Image:
        """Return the image of a seed, moved along the directions."""
        asked = torch.zeros(1, len(self.directions.vectors))
        asked[0, : len(moves)] = torch.tensor(moves)
        return enlarged(self.directions.moved(self.gan, asked, whole(seed), self.label(name), truncation)[0])

    def way(
        self, seed: float | None, other: float | None, t: float, name: str | None
    ) -> tuple[Image.Image, Image.Image]:
        """Return the image at t in [0, 1] of the way between two seeds, and a strip of the way."""
        ends, y = (whole(seed), whole(other)), self.label(name)
        place = round(t * 100)
        image = interpolate(self.gan, ends, 101, y, only=[place])[0]
        return enlarged(image), grid(interpolate(self.gan, ends, STEPS, y), STEPS)

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
    if picture.mode not in ("RGBA", "LA"):
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
            with gr.Tab("Between two seeds"):
                way_tab(gr, answers)
        with gr.Tab("Your image"):
            image_tab(gr, answers)
    return made


def class_choice(gr: Any, gan: GAN) -> Any:
    """Return a selector of the class, which is there for a generator that is told one."""
    names = list(gan.class_names)
    return gr.Dropdown(names, value=names[0] if names else None, label="Class", visible=gan.conditional)


def sample_tab(gr: Any, answers: Answers) -> None:
    """Seed, class, truncation and directions → an image."""
    with gr.Row():
        with gr.Column():
            name = class_choice(gr, answers.gan)
            seed = gr.Number(0, label="Seed", precision=0, minimum=0)
            truncation = gr.Slider(0, 1, 1, step=0.05, label="Truncation")
            moves = [
                gr.Slider(-REACH, REACH, 0, step=0.1, label=f"Direction {i + 1}")
                for i in range(len(answers.directions.vectors))
            ]
            back = gr.Button("Directions to 0")
        image = gr.Image(
            answers.one(0, 1.0, name.value), label="Image", interactive=False, buttons=BUTTONS, elem_id="sample"
        )
    asked = [seed, truncation, name, *moves]
    for widget in asked:
        widget.change(answers.one, asked, image, show_progress="hidden")
    back.click(lambda: [0.0] * len(moves), None, moves)


def way_tab(gr: Any, answers: Answers) -> None:
    """Two seeds and a place between them → an image and a strip."""
    first = answers.way(0, 1, 0.0, answers.gan.class_names[0] if answers.gan.conditional else None)
    with gr.Row():
        with gr.Column():
            name = class_choice(gr, answers.gan)
            one = gr.Number(0, label="From seed", precision=0, minimum=0)
            other = gr.Number(1, label="To seed", precision=0, minimum=0)
            t = gr.Slider(0, 1, 0, step=0.01, label="How far")
        image = gr.Image(first[0], label="Image", interactive=False, buttons=BUTTONS, elem_id="between")
    strip = gr.Image(first[1], label="The way", interactive=False, buttons=BUTTONS)
    for widget in (one, other, t, name):
        widget.change(answers.way, [one, other, t, name], [image, strip], show_progress="hidden")


def image_tab(gr: Any, answers: Answers) -> None:
    """A picture → as the model sees it, classes, realness, and made again."""
    with gr.Row():
        with gr.Column():
            with gr.Tab("Upload"):
                uploaded = gr.Image(type="pil", sources=["upload", "clipboard"], label="Image", elem_id="upload")
                ask = gr.Button("Look at it")
            with gr.Tab("Draw"):
                drawn = gr.Sketchpad(type="pil", label="Drawing", canvas_size=(SIDE, SIDE))
                look = gr.Button("Look at it")
            invert = gr.Checkbox(False, label="Invert, for models of light on dark")
        with gr.Column():
            seen = gr.Image(label="As the model sees it", interactive=False, buttons=BUTTONS)
            classes = gr.Label(label="Class", num_top_classes=5, visible=bool(answers.gan.shape.classes))
            realness = gr.Markdown()
            again = gr.Image(label="Made again by the model", interactive=False, buttons=BUTTONS, elem_id="again")
    shown = [seen, classes, realness, again]
    ask.click(answers.about, [uploaded, invert], shown)
    look.click(answers.about, [drawn, invert], shown)


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
            quiet=True,
            prevent_thread_lock=True,
            theme=gr.themes.Default(**fonts),
            footer_links=[],
        )
    except OSError as error:
        raise Incompatible(f"{host}:{port} cannot be listened on ({error}); choose another with --port") from error
    print(f"demo     {address}", flush=True)
    if wait:
        made.block_thread()
    return str(address)


def free_port(host: str) -> int:
    """Return a port that nobody listens on."""
    with socket.socket() as tried:
        tried.bind((host, 0))
        return int(tried.getsockname()[1])
