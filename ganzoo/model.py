"""A trained GAN: sample, classify, score; kept in a folder, or on the Hugging Face Hub."""

from __future__ import annotations

import copy
import hashlib
import os
from collections.abc import Iterator, Mapping, Sequence
from dataclasses import dataclass, field, replace
from pathlib import Path
from tempfile import TemporaryDirectory
from typing import TYPE_CHECKING, Any, TypeAlias

import torch
from torch import Tensor, nn

import ganzoo
from ganzoo.component import ImageShape
from ganzoo.contracts import Part, Parts
from ganzoo.errors import BadData, Incompatible
from ganzoo.format import (
    CARD,
    CONFIG,
    CURVE,
    FORMAT,
    SAMPLES,
    Precision,
    kept,
    outlines,
    read_model_file,
)
from ganzoo.hub import find, upload
from ganzoo.latents import images_of
from ganzoo.pretrained import Inspection, OnePart, fill, inspect, restored, started, trained, weights
from ganzoo.registry import Registry, installed
from ganzoo.step import latent
from ganzoo.storage import tensor_bytes, to_json, write_folder
from ganzoo.strategy import Kit, Strategy

if TYPE_CHECKING:
    from PIL.Image import Image

Pictures: TypeAlias = "Tensor | Image | str | Path | Sequence[Image | str | Path]"
"""Images as users have them: a tensor in [-1, 1] or uint8, a picture or path, or several."""

CHUNK = 256
KINDS = ("generator", "discriminator", "ssl")


@dataclass
class GAN:
    """Networks by name (`generator`, `discriminator`, a strategy's own), and what is needed to use them.

    Images are float `[B, C, H, W]` in [-1, 1]. `facts` are plain values kept in the model folder's `config.json`.
    """

    parts: Parts
    networks: dict[str, nn.Module]
    strategy: Strategy
    shape: ImageShape
    class_names: Sequence[str] = ()
    fit: str = "crop"
    facts: dict[str, Any] = field(default_factory=dict)
    registry: Registry = field(default_factory=installed, repr=False)

    def __post_init__(self) -> None:
        self.class_names = self.class_names or [str(n) for n in range(self.shape.classes)]
        if len(self.class_names) != self.shape.classes:
            raise Incompatible(f"{len(self.class_names)} names are given for {self.shape.classes} classes")

    @classmethod
    def build(cls, parts: Parts, shape: ImageShape, registry: Registry | None = None, **more: Any) -> GAN:
        """Make untrained networks by name. Raises UnknownComponent, BadOption or Incompatible."""
        registry = registry or installed()
        strategy: Strategy = registry.create("ssl", parts.ssl.name, options=parts.ssl.options)
        if strategy.needs_labels and not shape.classes:
            raise Incompatible(
                f"ssl '{parts.ssl.name}' needs labelled images, and the data has none; "
                "sort some into class folders, or choose one that needs none: ganzoo list ssl"
            )
        if strategy.needs_labels and shape.classes < 2:
            raise Incompatible(f"ssl '{parts.ssl.name}' tells classes apart, and the data has only one")
        kit = Kit(
            shape,
            trunk=lambda: _make("discriminator", parts.discriminator, shape, registry),
            generator=lambda: _make("generator", parts.generator, shape, registry),
        )
        networks = strategy.networks(kit)
        if generator := networks.get("generator"):
            conditional = getattr(generator, "conditional", False)
            if conditional and not shape.classes:
                raise Incompatible(f"generator '{parts.generator.name}' is conditional, and the data has no classes")
            if strategy.needs_conditional and not conditional:
                raise Incompatible(
                    f"ssl '{parts.ssl.name}' needs a class-conditional generator, and '{parts.generator.name}' is none "
                    "with these options; try: --set gen.conditional=true"
                )
        moving = {name for player in strategy.players() for name in player.networks}
        if bad := [n for n, m in networks.items() if not (n.isidentifier() and any(True for _ in m.parameters()))]:
            raise Incompatible(f"ssl '{parts.ssl.name}': network '{bad[0]}' has no parameters, or its name is no word")
        if odd := sorted(moving ^ networks.keys()):
            does = "moves a network '{}' that it does not make" if odd[0] in moving else "moves no network '{}'"
            raise Incompatible(f"ssl '{parts.ssl.name}' {does.format(odd[0])}: a fault of that plugin")
        return cls(parts, networks, strategy, shape, registry=registry, **more)

    def copy(self) -> GAN:
        """Return a copy with networks of its own, without gradients, for evaluation."""
        networks = {n: copy.deepcopy(m).requires_grad_(False).eval() for n, m in self.networks.items()}
        return replace(self, networks=networks, facts=dict(self.facts))

    @property
    def device(self) -> torch.device:
        """Where the networks are."""
        return next(next(iter(self.networks.values())).parameters()).device

    def to(self, device: str | torch.device) -> GAN:
        """Move the networks and return the same object."""
        for network in self.networks.values():
            network.to(device)
        return self

    def network(self, name: str) -> nn.Module:
        """Return a network by name. Raises Incompatible when this model has none of that name."""
        if name not in self.networks and not isinstance(self.networks, OnePart):
            raise Incompatible(f"this model has no {name}: it was trained with ssl '{self.parts.ssl.name}'{self._off}")
        return self.networks[name]

    @property
    def _off(self) -> str:
        return "" if self.parts.ssl.options.get("gan", True) else " and gan=off"

    def sample(
        self,
        n: int,
        y: int | Sequence[int] | Tensor | None = None,
        seed: int | None = None,
        truncation: float = 1.0,
    ) -> Tensor:
        """Return n generated images `[n, C, H, W]` in [-1, 1], the same for the same seed on every device.

        y: a class, or n of them; only for a class-conditional generator, which draws them evenly when not told.
        truncation: ψ, how far latents stay from their centre; below 1 images are better, and less varied.
        Raises Incompatible when the model has no generator, or no classes to choose from.
        """
        z = self.latents(n, seed)
        parts = [*images_of(self.network("generator"), z, self.labels(n, y), truncation)]
        return torch.cat(parts) if parts else torch.empty(0, self.shape.channels, self.shape.size, self.shape.size)

    def latents(self, n: int, seed: int | None = None) -> Tensor:
        """Draw the latents `[n, z_dim]` of n images. Raises Incompatible when the model has no generator."""
        generator = self.network("generator")
        if n < 0:
            raise Incompatible(f"the number of images cannot be {n}")
        rng = torch.Generator()
        rng.manual_seed(int.from_bytes(os.urandom(7), "little") if seed is None else seed)
        return latent(generator, n, rng)

    @property
    def conditional(self) -> bool:
        """Whether it has a generator that is told classes."""
        return bool(getattr(self.networks.get("generator"), "conditional", False))

    def labels(self, n: int, y: int | Sequence[int] | Tensor | None = None) -> Tensor | None:
        """Return the classes `[n]` of n images: y, or all in turn; None when the generator is told none.

        Raises Incompatible for a class that there is not.
        """
        if not self.conditional:
            if y is not None:
                raise Incompatible(
                    "this generator cannot be told a class; train one that can, as with --set gen.conditional=true"
                )
            return None
        labels = torch.arange(n) % self.shape.classes if y is None else torch.as_tensor(y).expand(n)
        if n and not (int(labels.min()) >= 0 and int(labels.max()) < self.shape.classes):
            raise Incompatible(f"classes are 0 to {self.shape.classes - 1}, not {y}")
        return labels

    @torch.no_grad()
    def classify(self, images: Pictures) -> Tensor:
        """Return class probabilities `[B, K]` of images (tensors in [-1, 1] or uint8, pictures, or paths).

        Raises Incompatible when the model classifies nothing.
        """
        if not self.shape.classes:
            raise Incompatible("this model was trained on images without classes; it cannot classify")
        parts = []
        for x in self._chunks(images):
            logits = self.strategy.classify(self.networks, x)
            if logits is None:
                raise Incompatible(f"ssl '{self.parts.ssl.name}' trains no classifier; others do: ganzoo list ssl")
            parts.append(logits.float().softmax(1).cpu())
        return torch.cat(parts) if parts else torch.empty(0, self.shape.classes)

    @torch.no_grad()
    def score(self, images: Pictures) -> Tensor:
        """Return the discriminator's realness logit `[B]` of images: larger is more like the training images.

        Raises Incompatible when the discriminator was trained without a generator.
        """
        if not any("generator" in player.networks for player in self.strategy.players()):
            self.network("generator")
        discriminator = self.network("discriminator")
        scores = [discriminator(x).adv.float().cpu() for x in self._chunks(images)]
        return torch.cat(scores) if scores else torch.empty(0)

    @torch.no_grad()
    def reconstruct(self, images: Pictures, known: Tensor | None = None, rounds: int = 20) -> Tensor:
        """Return images `[B, C, H, W]` encoded and decoded again.

        known: `[B, 1, H, W]` bool, which pixels are undamaged. These are kept, and the others filled in, `rounds`
            times over: each time from what the last one made.

        Raises Incompatible when the model has nothing to do it with.
        """
        parts = []
        for i, x in enumerate(self._chunks(images)):
            keep = None if known is None else known[i * CHUNK : i * CHUNK + len(x)].to(self.device)
            if keep is not None and (keep.dtype != torch.bool or keep.shape != (len(x), 1, *x.shape[2:])):
                raise BadData(
                    f"`known` is {keep.dtype} {list(known.shape) if known is not None else ''}, not bool [B, 1, "
                    f"{self.shape.size}, {self.shape.size}] for every image"
                )
            restored = x
            for _ in range(1 if keep is None else rounds):
                made = self.strategy.reconstruct(self.networks, restored)
                if made is None:
                    raise Incompatible(
                        f"a model of ssl '{self.parts.ssl.name}'{self._off} reconstructs nothing; "
                        "others do: ganzoo list ssl"
                    )
                restored = made.float() if keep is None else torch.where(keep, x, made.float())
            parts.append(restored.cpu())
        return torch.cat(parts) if parts else torch.empty(0, self.shape.channels, self.shape.size, self.shape.size)

    def _chunks(self, images: Pictures) -> Iterator[Tensor]:
        several = images if isinstance(images, Tensor) else _several(images)
        for i in range(0, len(several), CHUNK):
            yield self.prepare(several[i : i + CHUNK]).to(self.device)

    def prepare(self, images: Pictures) -> Tensor:
        """Return images as the networks take them: float `[B, C, H, W]` in [-1, 1], of the training size.

        Raises BadData for an image that cannot be read, or a tensor of another shape.
        """
        from ganzoo.pictures import from_uint8

        wanted = (self.shape.channels, self.shape.size, self.shape.size)
        if isinstance(images, Tensor):
            if images.dtype != torch.uint8 and not images.is_floating_point():
                raise BadData(f"images are uint8 in 0 … 255 or float in [-1, 1], not {images.dtype}")
            if tuple(images.shape[1:]) != wanted:
                raise BadData(
                    f"images of shape {list(images.shape)} given; this model takes [B, {', '.join(map(str, wanted))}]"
                )
            return from_uint8(images) if images.dtype == torch.uint8 else images.float()
        return from_uint8(torch.stack([self._read(image) for image in _several(images)]))

    def _read(self, image: Image | str | Path) -> Tensor:
        from PIL import Image

        from ganzoo.pictures import prepare

        try:
            picture = Image.open(image) if isinstance(image, str | Path) else image
            return torch.from_numpy(prepare(picture, self.shape.channels, self.shape.size, self.fit))
        except Exception as error:  # decoders raise anything from OSError to SyntaxError
            raise BadData(f"image {image} cannot be read ({error})") from error

    def save(self, folder: str | Path, dtype: Precision = "fp32", more: Mapping[str, bytes] | None = None) -> None:
        """Write the model folder: `config.json`, one safetensors file a network, `samples.png` and the card.

        dtype: of the weights in the files. more: further pictures. Raises CannotWrite.
        """
        from ganzoo.card import render
        from ganzoo.pictures import grid, png

        files = {
            f"{name}.safetensors": tensor_bytes({k: t.to(kept(t, dtype)) for k, t in m.state_dict().items()})
            for name, m in self.networks.items()
        }
        config = {
            "library": "ganzoo",
            "format": FORMAT,
            "version": ganzoo.__version__,
            "shape": self.shape._asdict(),
            "class_names": list(self.class_names),
            "fit": self.fit,
            "dtype": dtype,
            "components": {kind: self._provenance(kind) for kind in KINDS},
            "sha256": {name: hashlib.sha256(content).hexdigest() for name, content in files.items()},
            **self.facts,
        }
        files[CONFIG] = to_json(config)
        files |= more or {}
        if "generator" in self.networks:
            files[SAMPLES] = png(grid(self.sample(100, seed=0)))
        files[CARD] = render(config, pictures=[n for n in (SAMPLES, CURVE) if n in files]).encode(errors="replace")
        write_folder(Path(folder), files)

    def _provenance(self, kind: str) -> dict[str, Any]:
        part: Part = getattr(self.parts, kind)
        plugin = self.registry.get(kind, part.name).plugin
        package, version = ("" if fact == "?" else fact for fact in (plugin.distribution, plugin.version))
        options = trained(kind, part, self.registry)
        return {"name": part.name, "options": options, "package": package, "version": version}

    @classmethod
    def from_pretrained(
        cls,
        model: str | Path,
        *,
        part: str | None = None,
        revision: str | None = None,
        device: str | torch.device = "cpu",
        token: str | bool | None = None,
    ) -> GAN:
        """Read a model: of a run folder, a model folder, or `org/name` of the Hugging Face Hub.

        part: read this network alone, as `"generator"`; what needs another then says that it is missing.
        revision: branch, tag or commit on the Hub. It is looked up once, and every file is of that one commit.
        token: for private models; default: that of `hf auth login`.

        Only registered names are looked up; nothing that the folder says is imported, and nothing is unpickled. Each
        file must have the sha256 that the folder names, and the tensors that its networks have, before it is read.
        Raises CorruptFile, UnknownComponent, BadOption, Incompatible, BadData or HubError.
        """
        folder = find(model, revision, token)
        told, facts = read_model_file(folder.file(CONFIG), str(folder))
        known: dict[str, Any] = {"class_names": told.class_names, "fit": told.fit, "facts": facts}
        parts = restored(lambda: started(told.components, installed()), told, folder)
        with outlines(str(folder)) as outline:
            gan = restored(lambda: cls.build(parts, told.images, **known), told, folder)
        names = [part] if part else [*gan.networks]
        files = {name: weights(folder, told, name, gan.network(name)) for name in names}

        def filled(gan: GAN, outline: bool) -> GAN:
            networks = {name: fill(gan.networks[name], file, outline) for name, file in files.items()}
            gan.networks = OnePart(networks) if part else networks
            return gan

        unread = [network for name, network in gan.networks.items() if name not in names]
        gan = filled(gan, outline=True)
        if outline.left(unread):  # something that no file holds, as a constant: such networks are made with memory
            with torch.random.fork_rng(devices=[]):
                gan = filled(restored(lambda: cls.build(parts, told.images, **known), told, folder), outline=False)
        if folder.commit:
            gan.facts["hub"] = {"name": getattr(folder, "repo", ""), "commit": folder.commit}
        return gan.to(device)

    @staticmethod
    def inspect(model: str | Path, revision: str | None = None, token: str | bool | None = None) -> Inspection:
        """Return what a model says of itself; of the Hub's, its `config.json` and card alone are fetched.

        Raises CorruptFile, BadData or HubError.
        """
        return inspect(find(model, revision, token))

    def push_to_hub(
        self,
        repo: str,
        *,
        private: bool | None = None,
        revision: str | None = None,
        dtype: Precision = "fp32",
        license: str | None = None,
        token: str | bool | None = None,
    ) -> str:
        """Publish this model as `org/name` on the Hugging Face Hub, in one commit, and return its address.

        private: whether a repository that is made for it is; one that exists stays as it is.
        revision: a branch, made when it does not exist. dtype: of the published weights. license: the Hub's name of
        one, as `mit`; it is kept among the model's facts.
        Raises HubError, or CorruptFile when a model of another library would be overwritten.
        """
        if license:
            self.facts = {**self.facts, "license": license}
        with TemporaryDirectory() as folder:
            self.save(Path(folder) / "model", dtype)
            return upload(Path(folder) / "model", repo, private, revision, token)


def parameters(network: nn.Module) -> int:
    """Return the number of parameters of a network."""
    return sum(p.numel() for p in network.parameters())


def _make(kind: str, part: Part, shape: ImageShape, registry: Registry) -> nn.Module:
    component = registry.get(kind, part.name).component
    if component.sizes and shape.size not in component.sizes:
        sizes = ", ".join(map(str, component.sizes))
        raise Incompatible(
            f"{kind} '{part.name}' cannot do {shape.size}×{shape.size} images; it can do {sizes}: see --size"
        )
    made: nn.Module = registry.create(kind, part.name, (shape,), part.options)
    return made


def _several(images: Any) -> Sequence[Any]:
    return images if isinstance(images, Sequence) and not isinstance(images, str) else [images]
