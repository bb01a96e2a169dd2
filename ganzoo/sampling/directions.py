"""Directions of a latent space along which images change most."""

from __future__ import annotations

from collections.abc import Callable, Iterator
from contextlib import contextmanager
from dataclasses import dataclass

import torch
from torch import Tensor, nn

from ganzoo.errors import Incompatible, nearest
from ganzoo.model.classes import ClassLabel
from ganzoo.model.gan import GAN
from ganzoo.model.latents import CHUNK, images_at, space_of
from ganzoo.sampling.codes import Codes

METHODS = ("sefa", "pca")
SAMPLES = 1000
"""Latents from which standard deviations and principal components are computed."""


@dataclass(frozen=True)
class Directions:
    """Directions in the latent space of a generator, strongest first.

    Attributes:
        vectors: Directions of length 1 `[K, D]`.
        strength: Fraction of the change of all directions that each accounts for `[K]`.
        deviation: Standard deviation of codes along each direction `[K]`, which is the unit of a step.
        method: Method by which they were found: "sefa" or "pca".
        layer: Names of the layers that were analysed.
    """

    vectors: Tensor
    strength: Tensor
    deviation: Tensor
    method: str
    layer: str

    def walk(self, gan: GAN, number: int, steps: Tensor, seed: int = 0, y: ClassLabel | None = None) -> Tensor:
        """Generate the images of a seed's code, moved along one direction.

        Args:
            gan: The model.
            number: Number of the direction, from 0.
            steps: Distances `[N]`, in standard deviations.
            seed: Seed of the latent.
            y: Class by number or name, for a conditional generator.

        Returns:
            Images `[N, C, H, W]` in [-1, 1].
        """
        moves = torch.zeros(len(steps), len(self.vectors))
        moves[:, number] = steps
        return self.moved(gan, moves, seed, y)

    @torch.no_grad()
    def moved(
        self, gan: GAN, moves: Tensor, seed: int = 0, y: ClassLabel | None = None, truncation: float = 1.0
    ) -> Tensor:
        """Generate the images of a seed's code, moved along all directions at once.

        Args:
            gan: The model.
            moves: Distance along each direction `[N, K]`, in standard deviations.
            seed: Seed of the latent.
            y: Class by number or name, for a conditional generator.
            truncation: Factor in [0, 1] by which the code is moved towards its centre first.

        Returns:
            Images `[N, C, H, W]` in [-1, 1].
        """
        start, generator = Codes.of_seeds(gan, [seed], y), gan.network("generator")
        codes = space_of(generator).truncate(start.codes, truncation) + moves * self.deviation @ self.vectors
        labels = None if start.labels is None else start.labels.expand(len(codes))
        return torch.cat([*images_at(generator, codes, labels)])


def find_directions(
    gan: GAN, count: int = 8, method: str = "sefa", layer: str | None = None, seed: int = 0
) -> Directions:
    """Find the directions of a model's latent space along which images change most.

    The method "sefa" takes the eigenvectors of AᵀA, where A is the weight of the layers that receive the code; nothing
    is sampled (Shen and Zhou 2021, arXiv:2007.06600). The method "pca" takes the principal components of the
    activations of a layer for 1000 codes, and the directions of codes that cause them, by least squares; for a
    generator with a mapping network, those of the mapped latents (Härkönen et al. 2020, GANSpace, arXiv:2004.02546).

    Args:
        gan: The model.
        count: Number of directions.
        method: "sefa" or "pca".
        layer: For "pca", name of a module of the generator; default: the middle one.
        seed: Seed of the 1000 codes.

    Returns:
        The directions, strongest first.

    Raises:
        Incompatible: The model has no generator, or no such layer; or no layer receives the latent unchanged.
    """
    generator = gan.network("generator")
    if method not in METHODS:
        raise Incompatible(f"no method is called '{method}'{nearest(method, METHODS)} Methods: {', '.join(METHODS)}")
    if layer is not None and method != "pca":
        raise Incompatible(
            f"a layer can only be given for the method pca; {method} analyses the layers that receive the latent"
        )
    space, z, y = space_of(generator), gan.latents(SAMPLES, seed), gan.labels(SAMPLES)
    with torch.no_grad():
        labels = None if y is None else y.to(gan.device)
        codes = space.codes(z.to(gan.device), labels)
        if method == "sefa":
            vectors, strength, layers = sefa(generator, codes, labels)
        else:
            vectors, strength, layers = pca(generator, codes, labels, layer)
    strongest = vectors[:count].cpu()
    deviation = (codes.cpu() @ strongest.T).std(0)
    return Directions(strongest, (strength / strength.sum())[:count].cpu(), deviation, method, layers)


def sefa(generator: nn.Module, codes: Tensor, y: Tensor | None) -> tuple[Tensor, Tensor, str]:
    """Find directions from the weights of the modules that receive the code, or chunks of it.

    A module receives the code if its input contains the numbers of the code. This does not depend on class embeddings
    beside them, on chunks, shapes, or on how a layer stores its weights.

    Args:
        generator: The generator.
        codes: Codes `[N, D]`; the first one is used.
        y: Classes `[N]`, for a conditional generator.

    Returns:
        Directions `[D, D]`, their strengths `[D]`, and the names of the layers.

    Raises:
        Incompatible: No layer receives the code.
    """
    code, receivers = codes[:1], dict[str, tuple[nn.Module, Tensor]]()
    with record_inputs(generator) as calls:
        space_of(generator).images(code, None if y is None else y[:1])
    for name, module, x in calls:
        if x.is_floating_point() and any(True for _ in module.parameters()) and len(x) == 1:
            matches = (x.flatten()[:, None] == code.flatten()[None, :]).to(code)
            if matches.any():
                receivers[name] = module, torch.cat([x, x + matches.T.reshape(-1, *x.shape[1:])])
    inner = {n: v for n, v in receivers.items() if n and not any(o.startswith(f"{n}.") for o in receivers)}
    if not inner:
        raise Incompatible("no layer of this generator receives its latent unchanged; use --method pca")
    squares = torch.zeros(code.shape[1], code.shape[1], dtype=torch.float64, device=code.device)
    for module, x in inner.values():
        out = module(x).flatten(1).double()
        change = out[1:] - out[:1]
        squares += change @ change.T
    values, vectors = torch.linalg.eigh(squares)
    return vectors.T.flip(0).float(), values.flip(0).clamp_min(0).float(), ", ".join(inner)


def pca(generator: nn.Module, codes: Tensor, y: Tensor | None, layer: str | None) -> tuple[Tensor, Tensor, str]:
    """Find directions from the principal components of the activations of a layer.

    The components are computed from the N×N Gram matrix. Coordinates along different components are uncorrelated, so
    the least-squares solution for the codes is a matrix product too.

    Args:
        generator: The generator.
        codes: Codes `[N, D]`.
        y: Classes `[N]`, for a conditional generator.
        layer: Name of the layer; default: the mapped latents if there is a mapping network, else the middle layer.

    Returns:
        Directions `[K, D]`, their strengths `[K]`, and the name of the layer.

    Raises:
        Incompatible: The generator has no such layer.
    """
    mapped = layer is None and hasattr(generator, "map")
    activations, name = (codes, "w") if mapped else activations_of(generator, codes, y, layer)
    centred = (activations - activations.mean(0)).double()
    values, coordinates = torch.linalg.eigh(centred @ centred.T)
    count = min(codes.shape[1], len(codes) - 1)
    vectors = (coordinates.T.flip(0)[:count] @ (codes - codes.mean(0)).double()).float()
    return nn.functional.normalize(vectors), values.flip(0)[:count].clamp_min(0).float(), name


def activations_of(generator: nn.Module, codes: Tensor, y: Tensor | None, layer: str | None) -> tuple[Tensor, str]:
    """Compute the activations of a layer.

    Args:
        generator: The generator.
        codes: Codes `[N, D]`.
        y: Classes `[N]`, for a conditional generator.
        layer: Name of the layer; default: the middle one.

    Returns:
        Activations `[N, F]`, feature maps averaged to at most 8×8; and the name of the layer.

    Raises:
        Incompatible: The generator has no such layer, or the layer has not one output for each latent.
    """
    space, modules = space_of(generator), dict(generator.named_modules())
    known = [n for n, m in modules.items() if n and any(True for _ in m.parameters())]
    if layer is not None and layer not in known:
        raise Incompatible(f"this generator has no layer '{layer}'{nearest(layer, known)} Layers: {', '.join(known)}")
    with record_inputs(generator) as calls:
        space.images(codes[:1], None if y is None else y[:1])
    order = [n for n, m, _ in calls if n and any(True for _ in m.parameters(recurse=False))]
    name, outputs = layer or order[len(order) // 2], list[Tensor]()

    def record(module: nn.Module, args: object, out: object) -> None:
        if isinstance(out, Tensor) and out.ndim == 4:
            out = nn.functional.adaptive_avg_pool2d(out, (min(out.shape[2], 8), min(out.shape[3], 8)))
        if isinstance(out, Tensor):
            outputs.append(out.flatten(1))

    handle = modules[name].register_forward_hook(record)
    try:
        for i, chunk in enumerate(torch.split(codes, CHUNK)):
            space.images(chunk, None if y is None else y[i * CHUNK : (i + 1) * CHUNK])
    finally:
        handle.remove()
    if sum(map(len, outputs)) != len(codes):
        raise Incompatible(f"layer '{name}' does not have one output for each latent; choose another with --layer")
    return torch.cat(outputs), name


@contextmanager
def record_inputs(network: nn.Module) -> Iterator[list[tuple[str, nn.Module, Tensor]]]:
    """Record (name, module, first argument) of every call of a module while the context is open.

    Args:
        network: The network.

    Yields:
        The list of calls, in their order.
    """
    calls: list[tuple[str, nn.Module, Tensor]] = []

    def hook_for(name: str) -> Callable[[nn.Module, tuple[object, ...]], None]:
        def hook(module: nn.Module, args: tuple[object, ...]) -> None:
            if args and isinstance(args[0], Tensor):
                calls.append((name, module, args[0]))

        return hook

    handles = [m.register_forward_pre_hook(hook_for(name)) for name, m in network.named_modules()]
    try:
        yield calls
    finally:
        for handle in handles:
            handle.remove()
