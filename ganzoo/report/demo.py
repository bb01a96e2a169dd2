"""An interactive web page for a model. Requires gradio, the extra `demo`."""

from __future__ import annotations

import socket
from collections.abc import Callable
from dataclasses import dataclass
from functools import cached_property
from typing import TYPE_CHECKING, Any

import torch
from PIL import Image
from torch import Tensor

from ganzoo.base.pictures import grid, to_pil, to_uint8
from ganzoo.errors import Incompatible, MissingExtra
from ganzoo.model.gan import GAN
from ganzoo.sampling import Directions, find_directions, interpolate, project

if TYPE_CHECKING:
    import gradio

SIDE = 384
SLIDERS, STEPS, SEARCH = 6, 8, 150
"""Number of directions, of images in a strip, and of search steps for a reconstruction."""
REACH = 4.0
"""How far a direction can be followed each way, in standard deviations."""
LARGEST_SEED = 2**53
BRUSH = SIDE // 24
CSS = "@media (max-width: 48rem) { .stays { position: sticky; top: 0; z-index: 2; } }"
"""On a narrow page, the image stays visible while the sliders below it are used."""


@dataclass
class Demo:
    """The functions behind the page: each takes the values of some widgets, and returns those of others.

    Attributes:
        gan: The model.
    """

    gan: GAN

    @property
    def generates(self) -> bool:
        """Whether the model has a generator."""
        return "generator" in self.gan.networks

    @cached_property
    def directions(self) -> Directions:
        """The strongest latent directions, by the method sefa, or by pca where sefa does not apply."""
        try:
            return find_directions(self.gan, SLIDERS)
        except Incompatible:
            return find_directions(self.gan, SLIDERS, "pca")

    @cached_property
    def dark(self) -> bool:
        """Whether generated images are mostly dark, as digits on black; the user then draws in white on black too."""
        return self.generates and float(self.gan.sample(16, seed=0).mean()) < 0

    def class_of(self, name: str | None) -> str | None:
        """Return the class to generate; None for an unconditional generator."""
        return name if self.gan.conditional else None

    def sample(self, seed: float | None, truncation: float, name: str | None, *moves: float) -> Image.Image:
        """Generate the image of a seed, moved along the directions.

        Args:
            seed: Content of the field of the seed.
            truncation: Truncation in [0, 1].
            name: Name of the class.
            moves: Distance along each direction, in standard deviations.
        """
        distances = torch.zeros(1, len(self.directions.vectors))
        distances[0, : len(moves)] = torch.tensor(moves)
        y = self.class_of(name)
        return enlarge(self.directions.moved(self.gan, distances, parse_seed(seed), y, truncation)[0])

    def between(self, seed: float | None, other: float | None, name: str | None, t: float) -> Image.Image:
        """Generate the image at position t in [0, 1] between two seeds."""
        return enlarge(self._interpolated(seed, other, name, torch.tensor([t]))[0])

    def strip(self, seed: float | None, other: float | None, name: str | None) -> Image.Image:
        """Generate a strip of images between two seeds."""
        return grid(self._interpolated(seed, other, name, torch.linspace(0, 1, STEPS)), STEPS)

    def _interpolated(self, seed: float | None, other: float | None, name: str | None, t: Tensor) -> Tensor:
        return interpolate(self.gan, (parse_seed(seed), parse_seed(other)), t, self.class_of(name))

    def analyse(self, picture: Image.Image | dict[str, Any] | None, invert: bool) -> list[Any]:
        """Analyse an image of the user.

        Args:
            picture: An uploaded picture, or the content of the sketchpad.
            invert: Swap light and dark.

        Returns:
            The image as the model sees it, class probabilities, the discriminator's score in words, and the
            reconstruction. Each is empty if the model does not provide it.
        """
        source = picture.get("composite") if isinstance(picture, dict) else picture
        if source is None:
            return [None, None, "Draw or upload an image first.", None]
        x = self.gan.prepare(source)
        x = -x if invert else x
        p, score, again = (try_on(method, x) for method in (self.gan.classify, self.gan.score, self.gan.reconstruct))
        if again is None and self.generates:
            again = project(self.gan, x, steps=SEARCH).images[0]
        return [
            enlarge(x[0]),
            None if p is None else dict(zip(self.gan.class_names, p.tolist(), strict=True)),
            "" if score is None else f"Score: {float(score):+.2f} (larger means more like the training images)",
            None if again is None else enlarge(again),
        ]


def try_on(method: Callable[[Tensor], Tensor], x: Tensor) -> Tensor | None:
    """Apply a method of a model to one image `[1, C, H, W]`; return None if the model does not support it."""
    try:
        return method(x)[0]
    except Incompatible:
        return None


def parse_seed(value: float | None) -> int:
    """Return the seed in a number field: 0 if it is empty, and clipped to valid seeds."""
    return min(max(int(value or 0), 0), LARGEST_SEED)


def enlarge(x: Tensor) -> Image.Image:
    """Convert an image `[C, H, W]` in [-1, 1] to a picture; small images get larger pixels."""
    picture = to_pil(to_uint8(x))
    scale = max(1, SIDE // picture.width)
    return picture.resize((picture.width * scale, picture.height * scale), Image.Resampling.NEAREST)


def build_page(gan: GAN, title: str) -> gradio.Blocks:
    """Build the page of a model.

    Args:
        gan: The model.
        title: Title of the page.

    Returns:
        The page, ready to be served.

    Raises:
        MissingExtra: gradio is not installed.
    """
    try:
        import gradio as gr
    except ImportError as error:
        raise MissingExtra("the demo requires gradio: pip install 'torch-ganzoo[demo]'") from error
    demo = Demo(gan)
    with gr.Blocks(title=f"{title} · ganzoo", analytics_enabled=False) as page:
        gr.Markdown(f"# {title}")
        if demo.generates:
            with gr.Tab("Sample"):
                sample_tab(gr, demo)
            with gr.Tab("Interpolate"):
                interpolation_tab(gr, demo)
        with gr.Tab("Your image"):
            image_tab(gr, demo)
    return page


def image_output(gr: Any, label: str, name: str) -> Any:
    """Create a widget that displays an image of the model."""
    return gr.Image(label=label, interactive=False, buttons=["download", "fullscreen"], elem_id=name)


def class_choice(gr: Any, gan: GAN) -> Any:
    """Create a selector of the class; it is hidden for an unconditional generator."""
    names = list(gan.class_names)
    return gr.Dropdown(names, value=names[0] if names else None, label="Class", visible=gan.conditional)


def sample_tab(gr: Any, demo: Demo) -> None:
    """Fill the tab that generates an image from seed, class, truncation and directions."""
    with gr.Row():
        with gr.Column(elem_classes="stays"):
            image = image_output(gr, "Image", "sample")
        with gr.Column():
            name = class_choice(gr, demo.gan)
            seed = gr.Number(0, label="Seed", precision=0, minimum=0)
            truncation = gr.Slider(0, 1, 1, step=0.05, label="Truncation")
            moves = [
                gr.Slider(-REACH, REACH, 0, step=0.1, label=f"Direction {i + 1}")
                for i in range(len(demo.directions.vectors))
            ]
            reset = gr.Button("Reset directions")
    gr.on(None, demo.sample, [seed, truncation, name, *moves], image, show_progress="hidden")
    reset.click(lambda: [0.0] * len(moves), None, moves)


def interpolation_tab(gr: Any, demo: Demo) -> None:
    """Fill the tab that generates an image and a strip between two seeds."""
    with gr.Row():
        with gr.Column(elem_classes="stays"):
            image = image_output(gr, "Image", "between")
        with gr.Column():
            name = class_choice(gr, demo.gan)
            one = gr.Number(0, label="From seed", precision=0, minimum=0)
            other = gr.Number(1, label="To seed", precision=0, minimum=0)
            t = gr.Slider(0, 1, 0, step=0.01, label="Position")
    strip = image_output(gr, "Interpolation", "way")
    gr.on(None, demo.between, [one, other, name, t], image, show_progress="hidden")
    gr.on(None, demo.strip, [one, other, name], strip, show_progress="hidden")


def image_tab(gr: Any, demo: Demo) -> None:
    """Fill the tab that analyses an image of the user: input of the model, classes, score and reconstruction."""
    paper, ink = ("black", "#ffffff") if demo.dark else ("white", "#000000")
    blank = Image.new("RGB", (SIDE, SIDE), paper)
    empty = {"background": blank, "layers": [], "composite": blank}
    with gr.Row():
        with gr.Column():
            with gr.Tab("Upload"):
                uploaded = gr.Image(
                    type="pil", image_mode=None, sources=["upload", "clipboard"], label="Image", elem_id="upload"
                )
                analyse_upload = gr.Button("Analyse")
            with gr.Tab("Draw"):
                drawn = gr.Sketchpad(
                    empty,
                    type="pil",
                    label="Drawing",
                    canvas_size=blank.size,
                    brush=gr.Brush(
                        BRUSH, colors=[ink], color_mode="fixed" if demo.gan.shape.channels == 1 else "defaults"
                    ),
                    layers=False,
                    transforms=(),
                )
                analyse_drawing = gr.Button("Analyse")
            invert = gr.Checkbox(False, label="Invert light and dark")
        with gr.Column():
            prepared = image_output(gr, "Input of the model", "seen")
            classes = gr.Label(label="Class", num_top_classes=5, visible=bool(demo.gan.shape.classes))
            score = gr.Markdown()
            again = image_output(gr, "Reconstruction", "again")
    drawn.clear(lambda: empty, None, drawn, show_progress="hidden")
    for button, picture in ((analyse_upload, uploaded), (analyse_drawing, drawn)):
        button.click(demo.analyse, [picture, invert], [prepared, classes, score, again])


def serve(page: gradio.Blocks, host: str, port: int, wait: bool = True) -> str:
    """Serve a page and print its address. The page uses the fonts of the reader's system and downloads none.

    Args:
        page: The page.
        host: Address to listen on.
        port: Port to listen on; 0 picks a free one.
        wait: Block until interrupted; else the page is served as long as this process lives.

    Returns:
        The address of the page.

    Raises:
        Incompatible: The port is in use, or the address is not one of this machine.
    """
    import gradio as gr

    fonts = {"font": ["system-ui", "sans-serif"], "font_mono": ["monospace"]}
    try:
        _, address, _ = page.launch(
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
            f"cannot listen on {host}:{port}, which may be in use; choose another port with --port"
        ) from error
    print(f"demo     {address}", flush=True)
    if wait:
        page.block_thread()
    return str(address)


def free_port(host: str) -> int:
    """Return a port that is free."""
    with socket.socket() as probe:
        probe.bind((host, 0))
        return int(probe.getsockname()[1])
