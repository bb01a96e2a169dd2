"""Directions of a latent space along which images change most."""

from __future__ import annotations

from collections.abc import Callable, Iterator
from contextlib import contextmanager
from dataclasses import dataclass

import torch
from torch import Tensor, nn

from ganzoo.errors import Incompatible, nearest
from ganzoo.latents import CHUNK, images_at, space_of
from ganzoo.model import GAN
from ganzoo.sampling.codes import Codes

METHODS = ("sefa", "pca")
SEEN = 1000


@dataclass(frozen=True)
class Directions:
    """Directions `[K, D]` of length 1 in a generator's space of codes, the strongest first.

    strength `[K]`: the part that each has in the change of all. deviation `[K]`: the standard deviation of codes along
    each, which is the unit of a step. method and layer: how they were found, and where.
    """

    vectors: Tensor
    strength: Tensor
    deviation: Tensor
    method: str
    layer: str

    def walk(self, gan: GAN, number: int, steps: Tensor, seed: int = 0, y: int | None = None) -> Tensor:
        """Return the images `[len(steps), C, H, W]` of a seed's code moved along a direction, in deviations."""
        moves = torch.zeros(len(steps), len(self.vectors))
        moves[:, number] = steps
        return self.moved(gan, moves, seed, y)

    @torch.no_grad()
    def moved(self, gan: GAN, moves: Tensor, seed: int = 0, y: int | None = None, truncation: float = 1.0) -> Tensor:
        """Return the images `[N, C, H, W]` of a seed's code moved along all directions, by `[N, K]` deviations each."""
        start, generator = Codes.of_seeds(gan, [seed], y), gan.network("generator")
        codes = space_of(generator).truncate(start.codes, truncation) + moves * self.deviation @ self.vectors
        labels = None if start.labels is None else start.labels.expand(len(codes))
        return torch.cat([*images_at(generator, codes, labels)])


def find_directions(
    gan: GAN, count: int = 8, method: str = "sefa", layer: str | None = None, seed: int = 0
) -> Directions:
    """Return the `count` strongest directions of a model's latent space.

    sefa: eigenvectors of AᵀA, where A is what the layers that are given the code do with it; nothing is sampled.
    Shen and Zhou 2021, arXiv:2007.06600. pca: principal components of what a layer makes of 1000 codes,
    and the directions of codes that cause them, by least squares. Härkönen et al. 2020 (GANSpace), arXiv:2004.02546;
    for a generator that maps its latents, of what it maps them to.

    layer: for pca, a module of the generator by name; default: the one in the middle.
    Raises Incompatible when the model has no generator or no such layer.
    """
    generator = gan.network("generator")
    if method not in METHODS:
        raise Incompatible(f"no method is called '{method}'{nearest(method, METHODS)} There are: {', '.join(METHODS)}")
    if layer is not None and method != "pca":
        raise Incompatible(f"a layer is for the method pca; {method} looks at those that are given the latent")
    space, z, y = space_of(generator), gan.latents(SEEN, seed), gan.labels(SEEN)
    with torch.no_grad():
        told = None if y is None else y.to(gan.device)
        codes = space.codes(z.to(gan.device), told)
        if method == "sefa":
            vectors, strength, where = sefa(generator, codes, told)
        else:
            vectors, strength, where = pca(generator, codes, told, layer)
    some = vectors[:count].cpu()
    deviation = (codes.cpu() @ some.T).std(0)
    return Directions(some, (strength / strength.sum())[:count].cpu(), deviation, method, where)


def sefa(generator: nn.Module, codes: Tensor, y: Tensor | None) -> tuple[Tensor, Tensor, str]:
    """Return directions `[D, D]`, strengths and layers: of the modules that are given the code itself, or parts of it.

    Which they are is seen by their input: it has the code's own numbers in it. So a class's vector beside them, a
    split into chunks, another shape or the way in which a layer keeps its weights make no difference.
    """
    code, given = codes[:1], dict[str, tuple[nn.Module, Tensor]]()
    with inputs(generator) as seen:
        space_of(generator).images(code, None if y is None else y[:1])
    for name, module, x in seen:
        if x.is_floating_point() and any(True for _ in module.parameters()) and len(x) == 1:
            takes = (x.flatten()[:, None] == code.flatten()[None, :]).to(code)
            if takes.any():
                given[name] = module, torch.cat([x, x + takes.T.reshape(-1, *x.shape[1:])])
    inner = {n: v for n, v in given.items() if n and not any(o.startswith(f"{n}.") for o in given)}
    if not inner:
        raise Incompatible("no layer of this generator is given its latent as it is; use --method pca")
    squares = torch.zeros(code.shape[1], code.shape[1], dtype=torch.float64, device=code.device)
    for module, x in inner.values():
        out = module(x).flatten(1).double()
        change = out[1:] - out[:1]
        squares += change @ change.T
    values, vectors = torch.linalg.eigh(squares)
    return vectors.T.flip(0).float(), values.flip(0).clamp_min(0).float(), ", ".join(inner)


def pca(generator: nn.Module, codes: Tensor, y: Tensor | None, layer: str | None) -> tuple[Tensor, Tensor, str]:
    """Return directions `[K, D]`, strengths and the layer.

    Components of N things come from their N×N products, and so do the directions: the places of the N along different
    components are uncorrelated, so that the least squares for codes are a product too.
    """
    seen, where = (codes, "w") if layer is None and hasattr(generator, "map") else seen_by(generator, codes, y, layer)
    centred = (seen - seen.mean(0)).double()
    values, places = torch.linalg.eigh(centred @ centred.T)
    kept = min(codes.shape[1], len(codes) - 1)
    caused = (places.T.flip(0)[:kept] @ (codes - codes.mean(0)).double()).float()
    return nn.functional.normalize(caused), values.flip(0)[:kept].clamp_min(0).float(), where


def seen_by(generator: nn.Module, codes: Tensor, y: Tensor | None, layer: str | None) -> tuple[Tensor, str]:
    """Return what a layer makes of codes, `[N, F]`, maps as averages over at most 8×8 places; and its name."""
    space, modules = space_of(generator), dict(generator.named_modules())
    known = [n for n, m in modules.items() if n and any(True for _ in m.parameters())]
    if layer is not None and layer not in known:
        raise Incompatible(f"this generator has no layer '{layer}'{nearest(layer, known)} It has: {', '.join(known)}")
    with inputs(generator) as calls:
        space.images(codes[:1], None if y is None else y[:1])
    order = [n for n, m, _ in calls if n and any(True for _ in m.parameters(recurse=False))]
    where, made = layer or order[len(order) // 2], list[Tensor]()

    def keep(module: nn.Module, given: object, out: object) -> None:
        if isinstance(out, Tensor) and out.ndim == 4:
            out = nn.functional.adaptive_avg_pool2d(out, (min(out.shape[2], 8), min(out.shape[3], 8)))
        if isinstance(out, Tensor):
            made.append(out.flatten(1))

    handle = modules[where].register_forward_hook(keep)
    try:
        for i, some in enumerate(torch.split(codes, CHUNK)):
            space.images(some, None if y is None else y[i * CHUNK : (i + 1) * CHUNK])
    finally:
        handle.remove()
    if sum(map(len, made)) != len(codes):
        raise Incompatible(f"layer '{where}' does not make one thing of each latent; choose another")
    return torch.cat(made), where


@contextmanager
def inputs(network: nn.Module) -> Iterator[list[tuple[str, nn.Module, Tensor]]]:
    """Collect the first input of every module, in the order of their calls."""
    seen: list[tuple[str, nn.Module, Tensor]] = []

    def note(name: str) -> Callable[[nn.Module, tuple[object, ...]], None]:
        def hook(module: nn.Module, given: tuple[object, ...]) -> None:
            if given and isinstance(given[0], Tensor):
                seen.append((name, module, given[0]))

        return hook

    handles = [m.register_forward_pre_hook(note(name)) for name, m in network.named_modules()]
    try:
        yield seen
    finally:
        for handle in handles:
            handle.remove()
