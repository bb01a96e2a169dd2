"""The benchmark for machines with a GPU, rehearsed on the CPU: what it records, and that stages fail on their own."""

from __future__ import annotations

import json
import os
import time
from pathlib import Path
from typing import Any

import pytest

import ganzoo
from benchmarks import gpu
from benchmarks.gpu import Stage
from benchmarks.gpu_stages import Job, compare, restart

HERE = {"machine": {"processor": "p", "gpu": "Some GPU"}, "versions": {"python": "3"}, "commit": "abc"}
PLANTED = {
    name: Stage(f"tests.benchmarks.test_gpu:{name}", limit)
    for name, limit in {"environment": 60, "fails": 60, "hangs": 2, "dies": 60, "restarts": 60}.items()
}


def environment(job: Job) -> None:
    job.report(**HERE)


def fails(job: Job) -> None:
    job.report(before=1)
    raise ValueError("planted\nin two lines")


def hangs(job: Job) -> None:
    time.sleep(600)


def dies(job: Job) -> None:
    print("last words", flush=True)
    os.abort()


def restarts(job: Job) -> None:
    times = job.found.get("times", 0) + 1
    job.report(times=times)
    if times < 2:
        restart()


def measured(folder: Path) -> dict[str, Any]:
    """Return the one file that was written."""
    (path,) = folder.iterdir()
    content: dict[str, Any] = json.loads(path.read_text())
    return content | {"file": path.name}


@pytest.fixture
def planted(monkeypatch: pytest.MonkeyPatch) -> None:
    """Stages that take no time, each with a fault of its own."""
    monkeypatch.setattr(gpu, "STAGES", PLANTED)


def test_a_rehearsal_on_the_cpu_records_every_stage(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    patient = {name: stage._replace(limit=250) for name, stage in gpu.STAGES.items()}  # other tests may be running
    monkeypatch.setattr(gpu, "STAGES", patient)
    gpu.main(["--device", "cpu", "--rehearse", "--limit", "280", "--out", str(tmp_path)])
    content = measured(tmp_path)
    assert content["file"] == "cpu-rehearsal.json"
    assert {"machine", "versions", "commit"} < content.keys()
    result, stages = content["result"], content["result"]["stages"]
    assert (result["device"], result["rehearsal"]) == ("cpu", True)
    assert [*stages] == ["environment", "tests", "default", "strategies", "throughput"]
    assert {stage["status"] for stage in stages.values()} == {"done"}
    assert all(
        stage["commit"] == content["commit"] and 0 < stage["seconds"] <= stage["limit"] for stage in stages.values()
    )

    found = {name: stage["result"] for name, stage in stages.items()}
    assert found["environment"]["torch"]["version"]
    assert any(line.startswith("device cpu") for line in found["environment"]["doctor"])
    assert found["tests"]["files"] or found["tests"]["summary"] == "no test is marked gpu"
    assert found["default"]["step"] == 4
    assert found["default"]["images_per_second"] > 0
    assert 0 <= found["default"]["error"] <= 1

    runs = found["strategies"]["runs"]
    names = [component.qualified for component in ganzoo.list_components("ssl")]
    assert [*runs] == [f"{name} {precision}" for name in names for precision in ("fp32", "bf16")]  # fp16 needs a GPU
    assert {run["status"] for run in runs.values()} == {"agrees"}, runs
    assert found["strategies"]["counts"] == {precision: {"agrees": len(names)} for precision in ("fp32", "bf16")}

    for model, generator in {"dcgan": 3_576_704, "sngan": 4_276_739}.items():
        assert found["throughput"][model]["parameters"]["generator"] == generator
        assert found["throughput"][model]["trainer_over_bare_auto"] > 0


@pytest.mark.usefixtures("planted")
def test_a_stage_that_fails_hangs_or_dies_is_recorded_and_the_others_go_on(
    tmp_path: Path, capsys: pytest.CaptureFixture[str]
) -> None:
    words = ["--device", "cuda", "--out", str(tmp_path)]
    with pytest.raises(SystemExit) as end:
        gpu.main(words)
    content = measured(tmp_path)
    assert end.value.code == 1
    assert (content["file"], content["commit"]) == ("some-gpu.json", "abc")
    stages = content["result"]["stages"]
    told = {name: (stage["status"], stage.get("error")) for name, stage in stages.items()}
    assert told == {
        "environment": ("done", None),
        "fails": ("failed", "ValueError: planted"),
        "hangs": ("stopped", "stopped at its limit of 2 seconds"),
        "dies": ("failed", "SIGABRT; last output: last words"),
        "restarts": ("done", None),
    }
    assert stages["fails"]["result"] == {"before": 1}
    assert stages["restarts"]["result"] == {"times": 2}
    assert stages["hangs"]["seconds"] < 30

    capsys.readouterr()
    gpu.main([*words, "--stages", "restarts"])  # done: not repeated
    assert "restarts     is done; --again repeats it" in capsys.readouterr().out
    assert measured(tmp_path)["result"]["stages"] == stages | {"environment": measured_environment(tmp_path)}
    gpu.main([*words, "--stages", "restarts", "--again"])
    assert "is done;" not in capsys.readouterr().out


def measured_environment(folder: Path) -> dict[str, Any]:
    """Return what is recorded of the stage that every call repeats."""
    entry: dict[str, Any] = measured(folder)["result"]["stages"]["environment"]
    return entry


@pytest.mark.usefixtures("planted")
def test_stages_for_which_no_time_is_left_are_recorded_as_left_out(tmp_path: Path) -> None:
    with pytest.raises(SystemExit):
        gpu.main(["--device", "cpu", "--limit", "1", "--stages", "fails", "--out", str(tmp_path)])
    assert measured(tmp_path)["result"]["stages"]["fails"]["status"] == "left out"


def test_an_unknown_stage_is_refused(capsys: pytest.CaptureFixture[str]) -> None:
    with pytest.raises(SystemExit):
        gpu.main(["--stages", "default,speed"])
    assert "no stage is called 'speed'; there are: environment, tests, " in capsys.readouterr().err


@pytest.mark.parametrize(
    ("term", "random", "status"),
    [
        (2.1, False, "agrees"),
        (2.2, False, "differs"),
        (2.2, True, "finite, and random on the device"),
        (float("nan"), True, "not finite"),
    ],
)
def test_terms_are_compared_with_their_references(term: float, random: bool, status: str) -> None:
    rows = [{"a/b": term, "a/c": 0.0}, {"a/b": 9.0, "a/c": 9.0}]
    assert compare(rows, {"a/b": 2.0, "a/c": 0.0}, 0.05, random)["status"] == status
