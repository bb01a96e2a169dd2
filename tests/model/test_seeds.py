"""Image i of a seed is one image, whatever it is asked for with."""

from __future__ import annotations

import copy
from pathlib import Path

import numpy as np
import pytest
import torch
from PIL import Image
from torch import Tensor, nn

import ganzoo
from ganzoo import GAN
from ganzoo.base.pictures import to_uint8
from ganzoo.config.schema import DataConfig
from ganzoo.data import open_source
from ganzoo.errors import Incompatible
from ganzoo.metrics.evidence import Evidence
from ganzoo.registry.discovery import installed
from ganzoo.sampling import by_class
from tests.conftest import SMALL
from tests.sampling.test_sampling import GENERATORS, SLIM, Cli, built


class Prior(nn.Module):
    """A stranger's generator, whose latents are drawn in two calls."""

    z_dim = 3

    def latent(self, n: int, rng: torch.Generator | None = None) -> Tensor:
        return torch.cat([torch.rand(n, 2, generator=rng), torch.randint(9, (n, 1), generator=rng).float()], 1)


def with_prior(name: str) -> GAN:
    gan = built("zoo/dcgan")
    return gan if name == "normal" else GAN(gan.components, {"generator": Prior()}, gan.strategy, gan.shape)


@pytest.mark.parametrize("name", ["normal", "of its own"])
def test_a_latent_depends_on_seed_and_number_alone(name: str) -> None:
    gan = with_prior(name)
    all_of_them = gan.latents(300, seed=5)
    for n in (0, 1, 10, 63, 64, 65, 128, 299):
        assert torch.equal(gan.latents(n, seed=5), all_of_them[:n])
    for numbers in (range(1, 2), range(60, 70), range(290, 300), range(20, 0, -3)):
        assert torch.equal(gan.latents(numbers, seed=5), all_of_them[[*numbers]])
    some = torch.tensor([299, 3, 64, 3, 0, 130])
    assert torch.equal(gan.latents(some, seed=5), all_of_them[some])
    assert torch.equal(gan.latents([7], seed=5), gan.latents(np.array([7]), seed=5))
    far = gan.latents(range(10**12, 10**12 + 2), seed=5)
    assert torch.equal(far[1:], gan.latents([10**12 + 1], seed=5))


def test_latents_of_other_numbers_and_seeds_are_others() -> None:
    gan = built("zoo/dcgan")
    z = torch.cat([gan.latents(5000, seed) for seed in (0, 1, 2**32, 2**63 - 1)])
    assert len(z.unique(dim=0)) == len(z)
    assert abs(float(z.mean())) < 0.005
    assert float(z.std()) == pytest.approx(1, abs=0.005)
    assert float(z.T.corrcoef().fill_diagonal_(0).abs().max()) < 0.05
    assert not torch.equal(gan.latents(2), gan.latents(2))


def test_the_images_of_a_seed_stay_from_version_to_version() -> None:
    z = built("zoo/dcgan").latents([0, 1, 100_000], seed=7)
    known = [[0.257311, 1.253101, -1.144782], [1.060426, -0.705952, -0.034692], [-0.178054, -0.081733, 0.229959]]
    assert torch.allclose(z[:, :3], torch.tensor(known), atol=1e-5)


@pytest.mark.parametrize(
    ("n", "seed", "wrong"),
    [
        (-1, 0, "the number of images cannot be -1"),
        ([3, -2], 0, "there is no image -2: images are numbered from 0"),
        (1, -4, "a seed cannot be negative, as -4 is"),
    ],
)
def test_numbers_and_seeds_are_not_negative(n: int | list[int], seed: int, wrong: str) -> None:
    gan = built("zoo/dcgan")
    for ask in (gan.latents, lambda n, seed: gan.sample(n, seed=seed)):
        with pytest.raises(Incompatible, match=wrong):
            ask(n, seed)


def assert_same(found: Tensor, wanted: Tensor) -> None:
    """Assert that 8-bit images are equal, but for a rare difference of 1."""
    difference = (found.int() - wanted.int()).abs()
    assert int(difference.max()) <= 1
    assert int((difference > 0).sum()) <= 1 + found.numel() // 500


@pytest.mark.parametrize("conditional", [False, True])
@pytest.mark.parametrize("name", GENERATORS)
def test_an_image_does_not_depend_on_its_batch(name: str, conditional: bool, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setitem(SLIM, "progan", {"width": 8})
    gan = built(name, conditional)
    for weight in gan.networks["generator"].parameters():
        weight.add_(torch.randn_like(weight) / 10)  # at first, weights of noise are 0
    wanted = to_uint8(gan.sample(16, seed=3))
    assert float(wanted.float().std(0).mean()) > 1  # images differ
    for numbers in (range(1), range(5), range(6, 16), [15, 5]):
        assert_same(to_uint8(gan.sample(numbers, seed=3)), wanted[[*numbers]])
    for size in (1, 7):
        monkeypatch.setattr("ganzoo.model.gan.CHUNK", size)
        assert_same(to_uint8(gan.sample(16, seed=3)), wanted)


@pytest.fixture(scope="module")
def run(tmp_path_factory: pytest.TempPathFactory) -> Path:
    folder = tmp_path_factory.mktemp("seeds") / "run"
    ganzoo.train({**SMALL, "gen.conditional": True, "gen.width": 8}, folder)
    return folder


def tiles(path: Path, count: int) -> Tensor:
    """Cut the images out of a grid of images of 16×16 pixels."""
    picture = Image.open(path)
    sheet = torch.from_numpy(np.array(picture.resize((picture.width // 4, picture.height // 4), 0)))
    columns = (sheet.shape[1] - 2) // 18
    corners = [(2 + i // columns * 18, 2 + i % columns * 18) for i in range(count)]
    return torch.stack([sheet[None, top : top + 16, left : left + 16] for top, left in corners])


def pictures(paths: list[Path]) -> Tensor:
    return torch.stack([torch.from_numpy(np.array(Image.open(path)))[None] for path in paths])


def test_sheets_and_folders_of_any_size(run: Path, cli: Cli, tmp_path: Path) -> None:
    wanted = to_uint8(GAN.from_pretrained(run).sample(80, seed=4))
    for n in (1, 10, 64):
        assert cli("sample", run, "--seed", 4, "-n", n, "--out", "sheet.png").exit_code == 0
        assert_same(tiles(tmp_path / "sheet.png", n), wanted[:n])
    said = cli("sample", run, "--seed", 4, "-n", "60-69", "--out", "some").output
    assert said == "images 60-69 of seed 4: some\n"
    names = [tmp_path / "some" / f"{i:06d}.png" for i in range(60, 70)]
    assert sorted((tmp_path / "some").iterdir()) == names
    assert_same(pictures(names), wanted[60:70])
    assert cli("sample", run, "--seed", 4, "-n", "61-66", "--format", "parquet", "--out", "made").exit_code == 0
    made = open_source(DataConfig(source="made"), installed()).train
    assert made.labels.tolist() == [1, 2, 3, 4, 5, 6]  # of the numbers, as in a sheet of all
    assert_same(to_uint8(GAN.from_pretrained(run).prepare([made.image(i) for i in range(6)])), wanted[61:67])
    assert '"seed": 4, "images": "61-66"' in (tmp_path / "made" / "README.md").read_text()
    between = ["--interpolate", 0, 1]
    for more in (["--per-class"], between, ["--latents", "l"], [*between, "--latents", "l"]):
        refused = cli("sample", run, "-n", "3-5", *more)
        assert refused.exit_code == 1
        assert "cannot be combined" in refused.stderr


def test_the_grids_of_a_run_begin_as_a_sheet_does(run: Path) -> None:
    gan = GAN.from_pretrained(run)
    assert_same(tiles(run / "model" / "samples.png", 100)[:64], to_uint8(gan.sample(64, seed=0)))
    last = max((run / "samples").glob("*.png"))
    assert_same(tiles(last, 64)[:10], to_uint8(gan.sample(10, seed=0)))


def test_metrics_see_the_images_of_the_seed(run: Path) -> None:
    gan = GAN.from_pretrained(run)
    evidence = Evidence(gan, None, None, 50, seed=2)  # type: ignore[arg-type]
    for batches in ([torch.arange(50)], [torch.arange(30), torch.arange(30, 50)], [torch.arange(40, 44)]):
        found = torch.cat([*evidence.generated(batches)])
        assert_same(found, to_uint8(gan.sample(50, seed=2))[torch.cat(batches)])


def test_rows_of_classes_hold_images_of_the_seed() -> None:
    told = built("zoo/dcgan", conditional=True)
    for each in (1, 5):
        for k, row in enumerate(by_class(told, each, seed=3)):
            assert_same(to_uint8(row), to_uint8(told.sample(each, k, seed=3)))
    sorts = built("zoo/dcgan", ssl="kplus1")
    images = sorts.sample(360, seed=3)
    found, classes = by_class(sorts, 30, seed=3, tries=4), sorts.classify(images).argmax(1)
    assert sum(map(len, found)) > 64  # more than are made at a time
    for k, row in enumerate(found):
        assert torch.allclose(row, images[classes == k][:30], atol=1e-5)


def test_sampling_draws_nothing_from_the_generators_of_the_program() -> None:
    gan, state = built("zoo/stylegan2"), copy.copy(torch.get_rng_state())
    gan.sample(3, seed=0)
    gan.sample(3)
    assert torch.equal(state, torch.get_rng_state())
