"""The same features in, the same scores out: torch-fidelity's functions here, torchmetrics and prdc in a fixture.

A fixture says under `provenance` whose code ran. `record` below is what it was made with: PYTHONPATH=. python
tests/test_metrics_parity.py where both packages are installed.
"""

from __future__ import annotations

import json
import math
from pathlib import Path
from typing import Any

import numpy as np
import pytest
import torch
from torch import Tensor

import ganzoo
from ganzoo.metrics import Features
from tests.metrics.test_metrics import Given

FIXTURE = Path(__file__).parents[1] / "fixtures" / "scores.json"
CASES = {"plain": (600, 500, 32), "few": (90, 80, 128), "wide": (400, 400, 64)}
K = {"plain": 5, "few": 3, "wide": 10}
SEED, SPLITS = 0, 10


def sides(case: str) -> tuple[Tensor, Tensor]:
    """Return features of real and of generated images: not negative, as those behind a ReLU, unequal, correlated.

    `few` are fewer than their dimensions. RandomState, unlike numpy's newer generators, never changes its numbers.
    """
    real, fake, width = CASES[case]
    rng = np.random.RandomState(width)
    mix = rng.randn(width, width) / math.sqrt(width)
    one, two = rng.randn(real, width) @ mix, rng.randn(fake, width) @ (0.8 * mix + 0.2 * np.eye(width)) + 0.2
    return torch.from_numpy(np.abs(one)).float(), torch.from_numpy(np.abs(two)).float()


def found(metric: str, case: str, **options: Any) -> dict[str, float]:
    """Return what our metric says; class scores are the features, made larger."""
    real, fake = sides(case)
    given = Given(Features(real, 4 * real), Features(fake, 4 * fake), seed=SEED)
    values: dict[str, float] = ganzoo.create("metric", metric, **options)(given)
    return values


@pytest.mark.parametrize("case", CASES)
def test_scores_are_those_of_torch_fidelity(case: str) -> None:
    from torch_fidelity.metric_fid import fid_features_to_statistics, fid_statistics_to_metric
    from torch_fidelity.metric_isc import isc_features_to_metric
    from torch_fidelity.metric_kid import kid_features_to_metric
    from torch_fidelity.metric_prc import prc_features_to_metric

    real, fake = sides(case)
    size = min(len(real), len(fake))
    moments = [fid_features_to_statistics(x.double()) for x in (real, fake)]
    fid = fid_statistics_to_metric(*moments, verbose=False)["frechet_inception_distance"]
    assert found("fid", case)["fid"] == pytest.approx(fid, rel=1e-5)
    alike = {"kid_subsets": 1, "kid_subset_size": size, "verbose": False}
    kid = kid_features_to_metric(real[:size].double(), fake[:size].double(), **alike)["kernel_inception_distance_mean"]
    few = Given(Features(real[:size]), Features(fake[:size]))
    assert ganzoo.create("metric", "kid", subsets=1, size=size)(few)["kid"] == pytest.approx(kid, rel=1e-6)
    order = torch.randperm(len(fake), generator=torch.Generator().manual_seed(SEED))  # which parts are made of
    score = isc_features_to_metric(4 * fake[order], SPLITS, shuffle=False)
    ours = found("is", case, splits=SPLITS)
    assert ours["is"] == pytest.approx(score["inception_score_mean"], rel=1e-6)
    population = ours["is_std"] * math.sqrt((SPLITS - 1) / SPLITS)  # ours is the sample's
    assert population == pytest.approx(score["inception_score_std"], rel=1e-5)
    settings = {"prc_neighborhood": K[case], "prc_batch_size": 100, "save_cpu_ram": True, "verbose": False}
    theirs = prc_features_to_metric(fake, real, **settings)
    ours = found("prdc", case, k=K[case])
    assert 0 < ours["precision"] + ours["recall"] < 2
    assert {name: ours[name] for name in ("precision", "recall")} == pytest.approx(
        {name: theirs[name] for name in ("precision", "recall")}, rel=1e-6
    )


@pytest.mark.parametrize("case", CASES)
def test_scores_are_those_of_torchmetrics_and_prdc(case: str) -> None:
    wanted = json.loads(FIXTURE.read_text(encoding="utf-8"))[case]
    assert found("fid", case)["fid"] == pytest.approx(wanted["fid"], rel=1e-5)
    size = min(CASES[case][:2])
    real, fake = (Features(x[:size]) for x in sides(case))
    kid = ganzoo.create("metric", "kid", subsets=1, size=size)(Given(real, fake))["kid"]
    assert kid == pytest.approx(wanted["kid"], rel=1e-4)  # theirs is in fp32
    assert found("prdc", case, k=K[case]) == pytest.approx(wanted["prdc"], rel=1e-6)


def record() -> None:
    """Write the fixture."""
    import importlib.metadata as packages

    import prdc
    from torchmetrics.image.fid import FrechetInceptionDistance
    from torchmetrics.image.kid import KernelInceptionDistance

    class Same(torch.nn.Identity):
        num_features = 0

    def theirs(case: str) -> dict[str, Any]:
        real, fake = sides(case)
        size, same = min(len(real), len(fake)), Same()
        same.num_features = real.shape[1]
        fid = FrechetInceptionDistance(same).set_dtype(torch.float64)
        kid = KernelInceptionDistance(same, subsets=1, subset_size=size)
        for x, is_real in ((real, True), (fake, False)):
            fid.update(x.double(), is_real)
            kid.update(x[:size], is_real)
        values = prdc.compute_prdc(real.numpy(), fake.numpy(), K[case])
        values = {name: float(value) for name, value in values.items()}
        return {"fid": float(fid.compute()), "kid": float(kid.compute()[0]), "prdc": values}

    known = {name: f"{name} {packages.version(name)}" for name in ("torchmetrics", "prdc")}
    provenance = {
        "fid": f"{known['torchmetrics']}, FrechetInceptionDistance in float64, features given",
        "kid": f"{known['torchmetrics']}, KernelInceptionDistance, one subset of all, features given",
        "prdc": f"{known['prdc']}, compute_prdc",
        "all": f"of the features in tests/test_metrics_parity.py; torch {torch.__version__} on a CPU",
    }
    FIXTURE.write_text(
        json.dumps({"provenance": provenance, **{case: theirs(case) for case in CASES}}, indent=1) + "\n"
    )


if __name__ == "__main__":
    record()
