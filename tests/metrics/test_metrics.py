"""Metrics against closed forms and slow definitions, on features made here; and `ganzoo evaluate` on a tiny run."""

import dataclasses
import json
import math
import shutil
from collections.abc import Callable
from pathlib import Path
from typing import Any

import numpy as np
import pytest
import torch
from click.testing import Result
from PIL import Image
from torch import Tensor

import ganzoo
from ganzoo import GAN
from ganzoo.errors import Incompatible
from ganzoo.metrics import Features, Moments, Score, Stamp, frechet_distance
from ganzoo.metrics.score import rank

Cli = Callable[..., Result]


def normal(seed: int, n: int, d: int) -> Tensor:
    return torch.randn(n, d, generator=torch.Generator().manual_seed(seed), dtype=torch.float64)


@dataclasses.dataclass
class Given:
    """Evidence whose features are given."""

    real: Features
    fake: Features
    seed: int = 0
    warnings: list[str] = dataclasses.field(default_factory=list)


def given(real: Tensor, fake: Tensor, logits: Tensor | None = None) -> Any:
    sides = (Features(x.float(), logits) for x in (real, fake))
    return Given(*sides)


def test_moments_of_parts_make_those_of_the_whole() -> None:
    x = normal(0, 301, 7) * 3 + 1000  # a large mean: sums of squares would cancel
    parts = [Moments.of(p) for p in (x[:100], x[100:103], x[103:])]
    whole = parts[2] + (parts[0] + parts[1])
    assert whole.count == 301
    torch.testing.assert_close(whole.mean, x.mean(0))
    torch.testing.assert_close(whole.covariance, x.T.cov(), rtol=1e-10, atol=1e-10)


def test_frechet_distance_of_gaussians_has_its_closed_form() -> None:
    one, two = (
        Moments.of(normal(0, 400, 5)),
        Moments.of(normal(1, 300, 5) @ torch.diag(torch.arange(1.0, 6.0).double()) + 2),
    )
    values = torch.linalg.eigvals(one.covariance @ two.covariance).real.sqrt().sum()
    wanted = (one.mean - two.mean).square().sum() + one.covariance.trace() + two.covariance.trace() - 2 * values
    assert frechet_distance(one, two) == pytest.approx(float(wanted), rel=1e-9)
    commuting = dataclasses.replace(one, scatter=one.scatter * 4)
    assert frechet_distance(one, commuting) == pytest.approx(float(one.covariance.trace()), rel=1e-9)


@pytest.mark.parametrize("count", [600, 40])  # of 64 features: full rank, and not
def test_frechet_distance_of_a_set_to_itself_is_nothing(count: int) -> None:
    some = Moments.of(normal(0, count, 64) * 10)
    assert some.full_rank is (count > 64)
    assert frechet_distance(some, some) == pytest.approx(0, abs=1e-6)


def test_too_few_images_for_a_covariance_are_said() -> None:
    evidence = given(normal(0, 40, 64), normal(1, 80, 64))
    ganzoo.create("metric", "fid")(evidence)
    assert [w.split(":")[0] for w in evidence.warnings] == ["40 real images for 64 features"]


def test_kernel_distance_is_the_double_sum() -> None:
    x, y = normal(0, 12, 3), normal(1, 12, 3) + 1

    def kernel(a: Tensor, b: Tensor) -> float:
        return float((a @ b / 3 + 1) ** 3)

    within = sum(kernel(s[i], s[j]) for s in (x, y) for i in range(12) for j in range(12) if i != j) / (12 * 11)
    between = sum(kernel(a, b) for a in x for b in y) / 144
    found = ganzoo.create("metric", "kid", subsets=1, size=12)(given(x, y))
    assert found["kid"] == pytest.approx(within - 2 * between, rel=1e-5)
    assert "kid_std" not in found


def test_kernel_distance_of_equal_distributions_is_about_nothing() -> None:
    evidence = given(normal(0, 500, 4), normal(1, 500, 4))
    found = ganzoo.create("metric", "kid", subsets=20, size=200)(evidence)
    assert abs(found["kid"]) < 3 * found["kid_std"]


def test_inception_score_of_certain_and_of_undecided_classes() -> None:
    classes = torch.arange(100) % 4
    sure = torch.nn.functional.one_hot(classes, 4).double() * 200
    x = normal(0, 100, 2)
    score = ganzoo.create("metric", "is", splits=1)
    assert score(given(x, x, sure))["is"] == pytest.approx(4)
    assert score(given(x, x, torch.zeros(100, 4)))["is"] == pytest.approx(1)
    with pytest.raises(Incompatible, match="needs an extractor with class logits"):
        score(given(x, x))


def test_precision_recall_density_and_coverage_are_their_definitions() -> None:
    k, real, fake = 3, normal(0, 60, 2).float(), (normal(1, 50, 2) * 0.7 + 0.3).float()

    def radii(x: Tensor) -> list[float]:
        return [sorted(math.dist(a, b) for b in x.tolist())[k] for a in x.tolist()]

    r, f = radii(real), radii(fake)
    near = [[math.dist(a, b) for b in fake.tolist()] for a in real.tolist()]
    wanted = {
        "precision": sum(any(near[i][j] <= r[i] for i in range(60)) for j in range(50)) / 50,
        "recall": sum(any(near[i][j] <= f[j] for j in range(50)) for i in range(60)) / 60,
        "density": sum(near[i][j] <= r[i] for i in range(60) for j in range(50)) / (k * 50),
        "coverage": sum(any(near[i][j] <= r[i] for j in range(50)) for i in range(60)) / 60,
    }
    assert ganzoo.create("metric", "prdc", k=k)(given(real, fake)) == pytest.approx(wanted, abs=1e-6)


def test_copies_are_seen() -> None:
    train, fresh = normal(0, 200, 8).float(), normal(1, 100, 8).float()
    memorized = ganzoo.create("metric", "memorization")

    def authenticity(fake: Tensor) -> float:
        evidence = given(train.double(), fake.double())
        evidence.train, evidence.data = evidence.real, type("Data", (), {"test": ()})
        evidence.number = 50
        return float(memorized(evidence)["authenticity"])

    assert authenticity(train[:50] + 1e-4) == 0
    assert authenticity(fresh) > 0.3


def test_calibration() -> None:
    from ganzoo_zoo.metrics.classifier import calibration_error

    said = torch.tensor([[0.95, 0.05], [0.95, 0.05], [0.35, 0.65], [0.15, 0.85]])
    truth = torch.tensor([0, 1, 1, 1])
    gaps = [abs(0.95 - 0.5) * 2, abs(0.65 - 1), abs(0.85 - 1)]  # of bins with 2, 1 and 1 images
    assert calibration_error(said, truth, 10) == pytest.approx(sum(gaps) / 4, rel=1e-6)


def test_scores_with_different_stamps_are_not_ranked() -> None:
    one = Score({"fid": 3.0}, Stamp("zoo/fid", real_count=10))
    two, other = Score({"fid": 2.0}, one.stamp), Score({"fid": 1.0}, Stamp("zoo/fid", real_count=20))
    assert rank({"a": one, "b": two}, "fid") == ["b", "a"]
    with pytest.raises(Incompatible, match="real_count: 10 and 20"):
        rank({"a": one, "c": other}, "fid")
    assert Score.of(json.loads(json.dumps(one.to_dict()))) == one


@pytest.fixture(scope="module")
def run(tmp_path_factory: pytest.TempPathFactory) -> Path:
    root = tmp_path_factory.mktemp("judged")
    values = {"gen.width": 4, "disc.width": 4, "data.size": 16, "batch_size": 16, "steps": 4, "gen.conditional": True}
    ganzoo.train(values, root / "r")
    return root / "r"


def test_evaluate_a_run(run: Path, cli: Cli) -> None:
    words = ["evaluate", run, "-n", 60, "--extractor", "classifier", "--set", "extractor.steps=4"]
    words += ["--metrics", "fid,kid,is,prdc,memorization,accuracy,class-fid,cas"]
    words += ["--set", "kid.subsets=3", "--set", "class-fid.fewest=2", "--set", "cas.steps=3", "--json"]
    done = cli(*words)
    assert done.exit_code == 0, done.output
    scores = json.loads(done.stdout)
    assert {value for score in scores.values() for value in score["values"]} >= {
        "fid", "kid", "is", "precision", "recall", "density", "coverage", "authenticity", "copied", "accuracy",
        "balanced_error", "macro_f1", "calibration_error", "class_fid", "class_fid/3", "cas", "cas_real",
    }  # fmt: skip
    assert all(math.isfinite(value) for score in scores.values() for value in score["values"].values())
    stamp = scores["fid"]["stamp"]
    assert (stamp["real"], stamp["real_count"], stamp["fake_count"]) == ("digits, train", 60, 60)
    assert len(stamp["extractor_sha256"]) == 64
    metrics = json.loads((run / "model" / "config.json").read_text())["metrics"]  # measured during training
    values = scores["accuracy"]["values"]
    assert values["accuracy"] == pytest.approx(1 - metrics["error"])
    assert values["balanced_error"] == pytest.approx(metrics["balanced_error"])
    assert values["macro_f1"] == pytest.approx(metrics["macro_f1"])
    assert [values[f"recall/{k}"] for k in range(10)] == pytest.approx(metrics["recall"])
    assert sum(metrics["support"]) == metrics["held_out"]
    kept = (run / "scores.json").read_text()
    assert json.loads(cli(*words).stdout) == scores  # the same again, by the extractor that was kept
    assert (run / "scores.json").read_text() == kept


def test_scores_of_earlier_weights_are_not_those_of_a_run_that_went_on(run: Path, cli: Cli, tmp_path: Path) -> None:
    shutil.copytree(run, tmp_path / "r", ignore=shutil.ignore_patterns("scores.json"))
    words = ["evaluate", "r", "-n", 40, "--metrics", "accuracy"]
    assert cli(*words).exit_code == 0
    shutil.copytree("r", tmp_path / "other")
    assert "accuracy" in cli("compare", "r", "other").output
    gan = GAN.from_pretrained("r")
    with torch.no_grad():
        next(gan.networks["discriminator"].parameters()).mul_(0.5)
    gan.save("r/model")
    assert "accuracy" not in cli("compare", "r", "other").output
    assert cli(*words).exit_code == 0
    assert len(json.loads(Path("r", "scores.json").read_text())) == 1


def pictures(folder: Path, count: int, size: int = 24, mode: str = "RGB") -> Path:
    """Make a folder of images of noise, without classes."""
    folder.mkdir()
    for number in range(count):
        pixels = np.random.RandomState(number).randint(0, 256, (size, size, len(mode)), np.uint8)
        Image.fromarray(pixels.squeeze()).save(folder / f"{number:03}.png")
    return folder


FAST = ("--extractor", "timm/resnet10t", "--set", "extractor.pretrained=false", "--metrics")


def test_images_of_another_shape_are_said(run: Path, cli: Cli, tmp_path: Path) -> None:
    pictures(tmp_path / "colour", 12)
    done = cli("evaluate", run, "--data", "colour", "-n", 12, *FAST, "fid,kid", "--set", "kid.subsets=2")
    assert done.exit_code == 0, done.output
    assert "are converted to the shape of the model: 16×16 pixels, 1 channels" in done.stderr
    assert "warning: 12 generated images for 512 features: the covariance does not have full rank" in done.stderr
    assert "warning: subsets have 12 images instead of 1000: there are no more" in done.stderr
    kept = [s for s in json.loads((run / "scores.json").read_text()) if s["stamp"]["real"].startswith("colour")]
    assert [len(s["warnings"]) for s in kept] == [3, 2]  # they stay with the scores


def test_a_damaged_image_among_many_is_named_and_counted(run: Path, cli: Cli, tmp_path: Path) -> None:
    folder = pictures(tmp_path / "many", 40, 16, "L")
    for name in ("007.png", "031.png"):
        (folder / name).write_bytes((folder / name).read_bytes()[:60])
    words = ["evaluate", run, "--data", "many", "-n", 20, *FAST, "kid", "--set", "kid.subsets=2"]
    refused = cli(*words)
    assert refused.exit_code == 1
    assert "error: image many/007.png cannot be read" in refused.stderr
    assert "skip such images with --skip-corrupt" in refused.stderr
    done = cli(*words, "--skip-corrupt")
    assert done.exit_code == 0, done.output
    assert "warning: 2 of 40 images cannot be read and are left out: many/007.png, many/031.png" in done.stderr


def test_a_model_without_classes_is_asked_for_accuracy(run: Path, cli: Cli, tmp_path: Path) -> None:
    pictures(tmp_path / "plain", 30, 16, "L")
    values = {"gen.width": 4, "disc.width": 4, "batch_size": 8, "steps": 1, "ssl": "none"}
    ganzoo.train({**values, "data.source": "plain", "data.size": 16}, tmp_path / "none")
    ganzoo.train({**values, "data.size": 16}, tmp_path / "gan")
    for model, more, said in (
        ("none", [], "no labelled image of 'plain' is held out"),
        ("none", ["--data", "digits"], "this model was trained on images without classes; it cannot classify"),
        ("gan", [], "trains no classifier; others do: ganzoo list ssl"),
        (run, ["--data", "plain"], "no labelled image of 'plain' is held out"),
    ):
        done = cli("evaluate", model, "--metrics", "accuracy", *more)
        assert (done.exit_code, said in done.stderr) == (1, True), done.output


def test_a_refused_metric_leaves_the_scores_before_it(cli: Cli, tmp_path: Path) -> None:
    values = {"gen.width": 4, "disc.width": 4, "batch_size": 8, "steps": 1, "ssl": "none"}
    pictures(tmp_path / "plain", 30, 16, "L")
    ganzoo.train({**values, "data.source": "plain", "data.size": 16}, tmp_path / "none")
    done = cli("evaluate", "none", "-n", 12, *FAST, "fid,class-fid,kid")
    assert (done.exit_code, "metric 'class-fid': it needs a class-conditional" in done.stderr) == (1, True), done.output
    (kept,) = json.loads(Path("none", "scores.json").read_text())
    assert kept["stamp"]["metric"] == "zoo/fid"


FID = Stamp("zoo/fid", real_count=10)
OTHER = dataclasses.replace(FID, real_count=20)


def scored(**runs: list[tuple[float, Stamp]]) -> None:
    """Make folders with scores, kept one after the other."""
    from ganzoo.metrics.scores_file import save_scores

    for name, scores in runs.items():
        Path(name).mkdir()
        for value, stamp in scores:
            save_scores(Path(name), {"fid": Score({"fid": value, "fid/0": 9.0}, stamp)})


def test_compare_shows_values_that_earlier_versions_did_not_compute(cli: Cli) -> None:
    from ganzoo.metrics.scores_file import save_scores

    stamp, later = Stamp("zoo/accuracy"), {"balanced_error": 0.25, "calibration_error": 0.125, "recall/a": 0.5}
    for name, values in (("old", {"accuracy": 0.9}), ("new", {"accuracy": 0.8, **later})):
        Path(name).mkdir()
        save_scores(Path(name), {"accuracy": Score(values, stamp)})
    head, *rows = cli("compare", "old", "new").output.splitlines()[1:4]
    assert head.split() == ["accuracy", "balanced_error", "calibration_error"]
    assert [row.split() for row in rows] == [["old", "0.9", "–", "–"], ["new", "0.8", "0.25", "0.125"]]
    assert len({len(line) for line in (head, *rows)}) == 1  # columns are aligned


def test_compare_ranks_equal_stamps_alone(cli: Cli) -> None:
    scored(a=[(3.0, FID), (7.0, OTHER)], b=[(2.0, FID)], c=[(1.0, OTHER)], d=[])
    (ranked,) = json.loads(cli("compare", "a", "b", "--json").stdout)["scores"]
    assert (ranked["ranked"], [(r["run"], r["values"]["fid"]) for r in ranked["runs"]]) == (True, [("b", 2), ("a", 3)])
    (row,) = json.loads(cli("compare", "b", "c", "--json").stdout)["scores"]
    assert (row["ranked"], [r["run"] for r in row["runs"]]) == (False, ["b", "c"])
    assert "real_count: 10 and 20" in row["differences"][0]
    shown = cli("compare", "b", "c").stdout.split()
    assert shown[:8] == ["zoo/fid", "fid", "b", "2", "c", "1", "not", "ranked:"]
    higher = dataclasses.replace(FID, metric="zoo/prdc")
    scored(e=[(1.0, higher)], f=[(2.0, higher), (3.0, dataclasses.replace(FID, metric="gone/metric"))])
    best, gone = json.loads(cli("compare", "e", "f", "--json").stdout)["scores"]
    assert [r["run"] for r in best["runs"]] == ["f", "e"]
    assert "gone" in gone["differences"][0]


def test_compare_refuses(cli: Cli) -> None:
    scored(a=[(3.0, FID)], d=[])
    for words, said in (
        (["a", "d"], "d has no scores; compute them with: ganzoo evaluate d"),
        (["a", "a"], "give at least two different runs to compare"),
        (["a", "nowhere"], "there is no run folder nowhere"),
        (["a", "d", "--out", "x"], "a has no finished model"),
    ):
        done = cli("compare", *words)
        assert (done.exit_code, said in done.stderr, done.stderr.count("\n")) == (1, True, 1), done.stderr
    Path("d", "scores.json").write_text("[{]")
    assert "cannot be read as scores" in cli("compare", "a", "d").stderr


def test_compare_draws_samples_of_the_same_latents_and_curves(run: Path, cli: Cli, tmp_path: Path) -> None:
    values = {"gen.width": 4, "disc.width": 4, "data.size": 16, "batch_size": 16, "steps": 2, "gen.z_dim": 12}
    ganzoo.train(values, tmp_path / "other")
    shutil.copytree(run, "same")
    done = cli("compare", run, "same", "other", "--out", "drawn")
    assert done.exit_code == 0, done.output
    assert "other has no scores; compute them with: ganzoo evaluate other" in done.stderr
    assert "samples are not of the same latents" in done.stderr
    samples, curves = (Image.open(f"drawn/{name}.png").convert("RGB") for name in ("samples", "curves"))
    height = samples.height // 3
    rows = [samples.crop((0, n * height + 24, samples.width, (n + 1) * height)) for n in range(3)]
    assert rows[0].tobytes() == rows[1].tobytes() != rows[2].tobytes()
    colours = {colour for _, colour in curves.getcolors(2**24) or []}
    assert {(255, 127, 14), (44, 160, 44)} <= colours  # the first line lies under the second
    (tmp_path / "other" / "metrics.jsonl").write_text('{"step": 1, "a/b')
    cut = cli("compare", run, "other", "--out", "again")
    assert cut.exit_code == 0, cut.output  # a row that was cut short is left out
    assert Path("again/curves.png").is_file()


@pytest.mark.parametrize(
    ("words", "said"),
    [
        (["--metrics", "fidd"], "no metric is called 'fidd'; did you mean 'fid'?"),
        (["--extractor", "clasifier"], "no extractor is called 'clasifier'; did you mean 'classifier'?"),
        (["--set", "fid.k=3"], "--set fid.… needs --metrics fid"),
        (["--metrics", "prdc", "--set", "prdc.kk=3"], "metric 'prdc' has no option 'kk'; did you mean 'k'?"),
        (["--metrics", "prdc", "-n", "3"], "neighbour 5 of an image needs more than 3 images"),
        (["--metrics", "is", "-n", "9"], "9 generated images cannot be divided into 10 splits"),
        (
            ["--metrics", "class-fid", "-n", "20"],
            "class '0' has 1 real and 2 generated images, but 10 of each are needed",
        ),
        (["--metrics", "cas", "-n", "9"], "9 generated images are fewer than one for each of 10 classes"),
        (["--data", "nowhere"], "there is no folder or file nowhere"),
    ],
)
def test_evaluate_refuses(run: Path, cli: Cli, words: list[str], said: str) -> None:
    fast = [] if "--extractor" in words else ["--extractor", "classifier", "--set", "extractor.steps=2"]
    done = cli("evaluate", run, *fast, *words)
    assert done.exit_code == 1
    assert said in done.stderr
