"""A trained GAN: sample, classify, score, reconstruct; saved as a folder or on the Hugging Face Hub."""

from __future__ import annotations

import copy
import hashlib
from collections.abc import Iterator, Mapping, Sequence
from dataclasses import asdict, dataclass, field, replace
from importlib.metadata import version
from itertools import repeat
from pathlib import Path
from tempfile import TemporaryDirectory
from typing import Any

import torch
from torch import Tensor, nn

from ganzoo.base.pictures import grid, png
from ganzoo.base.preparation import Preparation
from ganzoo.base.storage import tensor_bytes, to_json, write_folder
from ganzoo.config.keys import MODEL_KEYS
from ganzoo.config.migrate import FORMAT
from ganzoo.errors import Incompatible
from ganzoo.model.build import ModelComponents, build_networks
from ganzoo.model.card import render
from ganzoo.model.classes import Classes, class_numbers
from ganzoo.model.format import CARD, CONFIG, CURVE, SAMPLES, Precision, stored_dtype
from ganzoo.model.hub import find, upload
from ganzoo.model.images import Pictures, as_sequence, check_mask, prepare_images
from ganzoo.model.latents import images_of
from ganzoo.model.load import Inspection, LoadedModel, OneNetwork, inspect, load, provenance
from ganzoo.model.seeds import Numbers, chosen_seed, image_numbers, latents_of
from ganzoo.registry.component import ImageShape
from ganzoo.registry.discovery import Registry, installed
from ganzoo.strategy.base import Strategy

CHUNK = 256
"""Images that pass through a network at once."""


@dataclass
class GAN:
    """Trained networks and what is needed to use them. Images are float `[B, C, H, W]` in [-1, 1].

    Attributes:
        components: Names and options of generator, discriminator and strategy.
        networks: Networks by name: "generator", "discriminator", and those of the strategy.
        strategy: The strategy that trained them.
        shape: Shape of the images.
        class_names: Names of the classes in the order of the labels.
        preparation: How pictures are brought to that shape, as in training.
        metadata: Plain values that the model folder's `config.json` keeps: how the model was made, and how good it is.
        registry: Where component names are looked up.
    """

    components: ModelComponents
    networks: dict[str, nn.Module]
    strategy: Strategy
    shape: ImageShape
    class_names: Sequence[str] = ()
    preparation: Preparation = field(default_factory=Preparation)
    metadata: dict[str, Any] = field(default_factory=dict)
    registry: Registry = field(default_factory=installed, repr=False)

    def __post_init__(self) -> None:
        self.class_names = self.class_names or [str(n) for n in range(self.shape.classes)]
        if len(self.class_names) != self.shape.classes:
            raise Incompatible(f"{len(self.class_names)} names are given for {self.shape.classes} classes")

    @classmethod
    def build(
        cls, components: ModelComponents, shape: ImageShape, registry: Registry | None = None, **more: Any
    ) -> GAN:
        """Create a GAN with untrained networks.

        Args:
            components: Names and options of generator, discriminator and strategy.
            shape: Shape of the images.
            registry: Where names are looked up; default: what is installed.
            more: Further attributes by name.

        Raises:
            UnknownComponent: A name is not registered.
            BadOption: An option does not exist or has the wrong type.
            Incompatible: The components do not fit each other or the images.
        """
        registry = registry or installed()
        strategy, networks = build_networks(components, shape, registry)
        return cls(components, networks, strategy, shape, registry=registry, **more)

    def copy(self) -> GAN:
        """Return a copy in evaluation mode, with networks of its own that need no gradients."""
        networks = {n: copy.deepcopy(m).requires_grad_(False).eval() for n, m in self.networks.items()}
        return replace(self, networks=networks, metadata=dict(self.metadata))

    @property
    def fit(self) -> str:
        """How pictures of another aspect ratio are fitted: "crop", "pad" or "stretch"."""
        return self.preparation.fit

    @property
    def device(self) -> torch.device:
        """The device of the networks."""
        return next(next(iter(self.networks.values())).parameters()).device

    def to(self, device: str | torch.device) -> GAN:
        """Move the networks to a device, and return the same object."""
        for network in self.networks.values():
            network.to(device)
        return self

    def network(self, name: str) -> nn.Module:
        """Return a network by name.

        Raises:
            Incompatible: The model has no network of that name.
        """
        if name not in self.networks and not isinstance(self.networks, OneNetwork):
            raise Incompatible(f"this model has no {name}: it was trained with {self._strategy}")
        return self.networks[name]

    @property
    def _strategy(self) -> str:
        """How messages call the strategy."""
        off = "" if self.components.ssl.options.get("gan", True) else " and gan=off"
        return f"ssl '{self.components.ssl.name}'{off}"

    @property
    def conditional(self) -> bool:
        """Whether the generator is class-conditional."""
        return bool(getattr(self.networks.get("generator"), "conditional", False))

    # --- generating -----------------------------------------------------------------------------------------------

    def sample(
        self,
        n: Numbers,
        y: Classes | None = None,
        seed: int | None = None,
        truncation: float = 1.0,
    ) -> Tensor:
        """Generate images. Image i of a seed is one image, however many are generated with it and on whatever device.

        Latents are equal bit for bit. Images are equal up to rounding, since kernels depend on how many images are
        computed at once: 8-bit pixels may rarely differ by 1. Devices differ by the precision of their arithmetic.

        Args:
            n: Number of images, which are images 0 … n - 1 of the seed; or their numbers, as `range(100, 200)`.
            y: A class by number or name, or one for each image; only for a class-conditional generator. Default: all
                classes in turn, i % K for image i.
            seed: Seed of the latents, ≥ 0; default: a random one.
            truncation: ψ in [0, 1]: latents are moved towards their mean. Below 1, images are better and less varied.

        Returns:
            Images `[n, C, H, W]` in [-1, 1] on the CPU.

        Raises:
            Incompatible: The model has no generator, it is not class-conditional and `y` is given, or a number or the
                seed is negative.
        """
        chunks = [*self.sample_in_chunks(n, y, seed, truncation)]
        return torch.cat(chunks) if chunks else torch.empty(0, *self.shape.dimensions)

    def sample_in_chunks(
        self,
        n: Numbers,
        y: Classes | None = None,
        seed: int | None = None,
        truncation: float = 1.0,
    ) -> Iterator[Tensor]:
        """Generate the images of `sample` a chunk at a time, so that there may be more than fit into memory.

        Args:
            n: Number of images, or their numbers.
            y: A class by number or name, or one for each image. Default: all classes in turn.
            seed: Seed of the latents, ≥ 0; default: a random one.
            truncation: ψ in [0, 1].

        Returns:
            An iterator over images `[B, C, H, W]` in [-1, 1] on the CPU.

        Raises:
            Incompatible: As for `sample`, before the first image is generated.
        """
        numbers, generator, seed = image_numbers(n), self.network("generator"), chosen_seed(seed)
        labels = self.labels(numbers, y)
        classes = repeat(None) if labels is None else torch.split(labels, CHUNK)
        chunks = zip(torch.split(numbers, CHUNK), classes, strict=False)
        return (x for i, k in chunks for x in images_of(generator, latents_of(generator, i, seed), k, truncation))

    def latents(self, n: Numbers, seed: int | None = None) -> Tensor:
        """Return the latents `[N, z_dim]` of the images that `sample` generates.

        Args:
            n: Number of images, or their numbers.
            seed: Seed of the latents, ≥ 0; default: a random one.

        Raises:
            Incompatible: The model has no generator, or a number or the seed is negative.
        """
        return latents_of(self.network("generator"), image_numbers(n), chosen_seed(seed))

    def labels(self, n: Numbers, y: Classes | None = None) -> Tensor | None:
        """Return the classes `[N]` of generated images, or None for an unconditional generator.

        Args:
            n: Number of images, or their numbers.
            y: A class by number or name, or one for each image. Default: all classes in turn, i % K for image i.

        Raises:
            Incompatible: There is no such class, or the generator is unconditional.
        """
        if not self.conditional:
            if y is not None:
                raise Incompatible(
                    "this generator is unconditional, so no class can be chosen; "
                    "train a class-conditional one: --set gen.conditional=true"
                )
            return None
        numbers = image_numbers(n)
        return numbers % self.shape.classes if y is None else class_numbers(y, len(numbers), self.class_names)

    # --- judging --------------------------------------------------------------------------------------------------

    @torch.no_grad()
    def classify(self, images: Pictures) -> Tensor:
        """Classify images.

        Args:
            images: A tensor in [-1, 1] or uint8, a PIL image or path, or several.

        Returns:
            Class probabilities `[B, K]`.

        Raises:
            Incompatible: The model has no classifier.
            BadData: An image cannot be read.
        """
        if not self.shape.classes:
            raise Incompatible("this model was trained on images without classes; it cannot classify")
        chunks = []
        for x in self._chunks(images):
            if (logits := self.strategy.classify(self.networks, x)) is None:
                raise Incompatible(f"{self._strategy} trains no classifier; others do: ganzoo list ssl")
            chunks.append(logits.float().softmax(1).cpu())
        return torch.cat(chunks) if chunks else torch.empty(0, self.shape.classes)

    @torch.no_grad()
    def score(self, images: Pictures) -> Tensor:
        """Return the discriminator's adversarial logits `[B]` of images: larger means more like the training images.

        Args:
            images: A tensor in [-1, 1] or uint8, a PIL image or path, or several.

        Raises:
            Incompatible: The discriminator was trained without a generator.
            BadData: An image cannot be read.
        """
        if not any("generator" in player.networks for player in self.strategy.players()):
            self.network("generator")
        discriminator = self.network("discriminator")
        scores = [discriminator(x).adv.float().cpu() for x in self._chunks(images)]
        return torch.cat(scores) if scores else torch.empty(0)

    @torch.no_grad()
    def reconstruct(self, images: Pictures, known: Tensor | None = None, rounds: int = 20) -> Tensor:
        """Encode and decode images.

        Args:
            images: A tensor in [-1, 1] or uint8, a PIL image or path, or several.
            known: `[B, 1, H, W]` bool, which pixels are undamaged. These are kept and the others filled in, `rounds`
                times, each time from the result of the last.
            rounds: Repetitions when `known` is given.

        Returns:
            Images `[B, C, H, W]` in [-1, 1].

        Raises:
            Incompatible: The model has nothing to reconstruct with.
            BadData: An image cannot be read, or `known` has another shape.
        """
        chunks = []
        for i, x in enumerate(self._chunks(images)):
            keep = None if known is None else check_mask(known[i * CHUNK : i * CHUNK + len(x)], x)
            restored = x
            for _ in range(1 if keep is None else rounds):
                made = self.strategy.reconstruct(self.networks, restored)
                if made is None:
                    raise Incompatible(f"a model of {self._strategy} reconstructs nothing; others do: ganzoo list ssl")
                restored = made.float() if keep is None else torch.where(keep, x, made.float())
            chunks.append(restored.cpu())
        return torch.cat(chunks) if chunks else torch.empty(0, *self.shape.dimensions)

    def _chunks(self, images: Pictures) -> Iterator[Tensor]:
        several = as_sequence(images)
        for i in range(0, len(several), CHUNK):
            yield self.prepare(several[i : i + CHUNK]).to(self.device)

    def prepare(self, images: Pictures) -> Tensor:
        """Return images as the networks take them: float `[B, C, H, W]` in [-1, 1], of the training size.

        Args:
            images: A tensor in [-1, 1] or uint8, a PIL image or path, or several.

        Raises:
            BadData: An image cannot be read, or a tensor has another shape.
        """
        return prepare_images(images, self.shape, self.preparation)

    # --- saving and loading ---------------------------------------------------------------------------------------

    def save(self, folder: str | Path, dtype: Precision = "fp32", more: Mapping[str, bytes] | None = None) -> None:
        """Write a model folder: `config.json`, one safetensors file per network, `samples.png` and the card.

        Args:
            folder: The folder; an existing one is replaced.
            dtype: Dtype of the weights in the files.
            more: Contents of further files by name.

        Raises:
            CannotWrite: The folder cannot be written; what was there is kept.
        """
        files = {
            f"{name}.safetensors": tensor_bytes({k: t.to(stored_dtype(t, dtype)) for k, t in m.state_dict().items()})
            for name, m in self.networks.items()
        }
        config = {
            "library": "ganzoo",
            "format": FORMAT,
            "version": version("torch-ganzoo"),
            "shape": self.shape._asdict(),
            "class_names": list(self.class_names),
            **asdict(self.preparation),
            "dtype": dtype,
            "components": {k: provenance(k, getattr(self.components, k), self.registry) for k in MODEL_KEYS},
            "sha256": {name: hashlib.sha256(content).hexdigest() for name, content in files.items()},
            **self.metadata,
        }
        files[CONFIG] = to_json(config)
        files |= more or {}
        if "generator" in self.networks:
            files[SAMPLES] = png(grid(self.sample(100, seed=0)))
        files[CARD] = render(config, pictures=[n for n in (SAMPLES, CURVE) if n in files]).encode(errors="replace")
        write_folder(Path(folder), files)

    @classmethod
    def from_pretrained(
        cls,
        model: str | Path,
        *,
        network: str | None = None,
        revision: str | None = None,
        device: str | torch.device = "cpu",
        token: str | bool | None = None,
    ) -> GAN:
        """Load a model from a run folder, a model folder, or `org/name` on the Hugging Face Hub.

        Only registered component names are looked up; nothing that the folder names is imported, and nothing is
        unpickled. Each file must have the SHA-256 that the folder states, and the tensors that its network has, before
        it is read.

        Args:
            model: Path or name of the model.
            network: Load this network only, as "generator"; what needs another then raises an error.
            revision: Branch, tag or commit on the Hub. It is resolved once, and every file is of that commit.
            device: Where the networks are put.
            token: For private models; default: that of `hf auth login`.

        Raises:
            CorruptFile: The folder is damaged, or is not a model folder.
            UnknownComponent: A plugin that the model needs is not installed.
            BadOption: A component does not have an option that the model names.
            Incompatible: The components do not fit each other.
            BadData: There is no such model.
            HubError: The Hub refuses, or cannot be reached.
        """
        folder = find(model, revision, token)

        def build(loaded: LoadedModel) -> GAN:
            about = {"class_names": loaded.class_names, "preparation": loaded.preparation, "metadata": loaded.metadata}
            return cls.build(loaded.components, loaded.shape, None, **about)

        gan = load(folder, build, network)
        if folder.commit:
            gan.metadata["hub"] = {"name": getattr(folder, "repo", ""), "commit": folder.commit}
        return gan.to(device)

    @staticmethod
    def inspect(model: str | Path, revision: str | None = None, token: str | bool | None = None) -> Inspection:
        """Return what a model says of itself; from the Hub only its `config.json` and card are downloaded.

        Args:
            model: Path or name of the model.
            revision: Branch, tag or commit on the Hub.
            token: For private models; default: that of `hf auth login`.

        Raises:
            CorruptFile: The folder is damaged, or is not a model folder.
            BadData: There is no such model.
            HubError: The Hub refuses, or cannot be reached.
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
        """Publish the model as `org/name` on the Hugging Face Hub, in one commit.

        Args:
            repo: `org/name`.
            private: Whether a repository that is created is private; an existing one stays as it is.
            revision: A branch, created if it does not exist.
            dtype: Dtype of the published weights.
            license: Licence of the model by the Hub's identifier, as "mit".
            token: Access token; default: that of `hf auth login`.

        Returns:
            The address of the model's page.

        Raises:
            HubError: The Hub refuses, or cannot be reached.
            CorruptFile: A model of another library would be overwritten.
        """
        if license:
            self.metadata = {**self.metadata, "license": license}
        with TemporaryDirectory() as folder:
            self.save(Path(folder) / "model", dtype)
            return upload(Path(folder) / "model", repo, private, revision, token)
