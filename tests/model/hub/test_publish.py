"""Models are published: the card, scores, licences, branches; and training starts from them."""

from __future__ import annotations

import json
import shutil
from dataclasses import asdict
from pathlib import Path
from typing import Any

import pytest
import torch
import yaml
from click.testing import Result
from huggingface_hub import ModelCard

import ganzoo
from ganzoo import GAN, Config
from ganzoo.errors import HubError
from ganzoo.metrics import Score
from tests.hub import Hub
from tests.model.hub.support import NETWORKS, Cli, X, check_refused, good, put, same


def test_the_card(hub: Hub, runs: Path, cli: Cli) -> None:
    good(cli("publish", runs / "first", "alice/digits"))
    config = json.loads((runs / "first" / "model" / "config.json").read_text())
    files = hub.repos["alice/digits"].commits[hub.repos["alice/digits"].branches["main"]]
    text = files["README.md"].decode()
    card = ModelCard(text)
    assert (card.data.library_name, card.data.model_name) == ("ganzoo", "alice/digits")
    metrics, results = config["metrics"], {r.metric_type: r for r in card.data.eval_results}
    assert {kind: r.metric_value for kind, r in results.items()} == {
        "accuracy": pytest.approx(1 - metrics["error"], abs=1e-6),
        "balanced_accuracy": pytest.approx(1 - metrics["balanced_error"], abs=1e-6),
        "f1": pytest.approx(metrics["macro_f1"], abs=1e-6),
    }
    assert all(config["split"][:8] in r.metric_name for r in results.values())
    assert f"**{100 * metrics['balanced_error']:.2f} %**" in text
    assert f"| 3 | {metrics['support'][3]} | {100 * metrics['recall'][3]:.1f} % |" in text
    assert {"ganzoo", "gan", "dcgan"} <= set(card.data.tags)
    wanted = (
        "# alice/digits",
        'from_pretrained("alice/digits")',
        f"sha256 `{config['split']}`",
        f"labels used | {config['data']['labelled']:,}",
        "ganzoo train --config run.yaml",
        "arXiv:1511.06434",
        "arXiv:1606.03498",
        "![A grid of generated images](samples.png)",
    )
    assert not [words for words in wanted if words not in text]
    assert "ORG/NAME" not in text
    recipe = text.partition("```yaml\n")[2].partition("```")[0]
    assert Config.parse(yaml.safe_load(recipe)) == Config.load(runs / "first" / "config.json")
    assert str(runs) not in text + files["config.json"].decode()


def test_scores_are_in_the_card_with_their_stamps(hub: Hub, runs: Path, cli: Cli, tmp_path: Path) -> None:
    shutil.copytree(runs / "first", tmp_path / "run")
    card = tmp_path / "run" / "model" / "README.md"
    card.write_text(card.read_text() + "by hand\n")
    before = card.read_text()
    score = ("evaluate", "run", "--metrics", "memorization", "--extractor", "classifier", "--set", "extractor.steps=4")
    for number in (40, 40, 30):  # the second takes the place of the first
        good(cli(*score, "-n", number))
    kept = [Score.of(values) for values in json.loads((tmp_path / "run" / "scores.json").read_text())]
    good(cli("publish", "run", "alice/digits"))
    text = hub.repos["alice/digits"].commits[hub.repos["alice/digits"].branches["main"]]["README.md"].decode()
    accuracy, balanced, f1, *results = ModelCard(text).data.eval_results
    assert accuracy.metric_args is balanced.metric_args is f1.metric_args is None
    wanted = [(name, value, asdict(one.stamp)) for one in kept for name, value in one.values.items()]
    assert len(wanted) == 4
    assert [(r.metric_type, r.metric_value, r.metric_args) for r in results] == [
        (name, pytest.approx(value, abs=1e-6), stamp) for name, value, stamp in wanted
    ]
    assert card.read_text().partition("\n---\n")[2] == before.partition("\n---\n")[2]
    card.write_text("---\n[\n---\n# by hand\n")
    check_refused(cli(*score, "-n", 20), "correct it by hand")
    assert card.read_text() == "---\n[\n---\n# by hand\n"


def test_a_licence_is_said_by_who_publishes(hub: Hub, runs: Path, cli: Cli, tmp_path: Path) -> None:
    shutil.copytree(runs / "first", tmp_path / "run")
    card = tmp_path / "run" / "model" / "README.md"
    card.write_text(card.read_text() + "by hand\n")
    mine = card.read_text()
    check_refused(cli("publish", "run", "alice/digits", "--license", "no\nname"), "is not the name of a licence")
    good(cli("publish", "run", "alice/digits", "--license", "cc-by-4.0"))
    GAN.from_pretrained("alice/digits").push_to_hub("alice/again", license="mit")
    for repo, licence in (("alice/digits", "cc-by-4.0"), ("alice/again", "mit")):
        files = hub.repos[repo].commits[hub.repos[repo].branches["main"]]
        text = files["README.md"].decode()
        assert ModelCard(text).data.license == licence
        assert f"## Licence\n\n{licence}. The data may have" in text
        assert json.loads(files["config.json"])["license"] == licence
        assert text.endswith("by hand\n") == (repo == "alice/digits")
    assert card.read_text() == mine


def test_a_revision_is_named_in_what_to_do_next(hub: Hub, runs: Path, cli: Cli) -> None:
    said = good(cli("publish", runs / "first", "alice/digits", "--revision", "draft"))
    assert said.endswith("/alice/digits/tree/draft\nnext      ganzoo sample alice/digits@draft\n")
    good(cli("pull", "alice/digits@draft", "--out", "here"))
    check_refused(cli("pull", "alice/digits@main"), "'alice/digits'")  # there is nothing on main yet


def test_a_card_is_published_as_its_user_left_it(hub: Hub, runs: Path, cli: Cli, tmp_path: Path) -> None:
    shutil.copytree(runs / "first", tmp_path / "run")
    card = tmp_path / "run" / "model" / "README.md"
    card.write_text("---\nlibrary_name: ganzoo\n---\n# ORG/NAME\nby hand\n")
    assert good(cli("card", "run")) == card.read_text()
    good(cli("publish", "run", "alice/digits"))
    assert card.read_text().endswith("# ORG/NAME\nby hand\n")
    assert good(cli("card", "alice/digits")).endswith("# alice/digits\nby hand\n")


def test_a_card_cannot_command_a_terminal(hub: Hub, runs: Path, cli: Cli) -> None:
    put(hub, runs / "first")
    hub.repos["bob/gan"].commit({"README.md": "# a\x1b[2J\x07\x9b31m\tb\r\n\xa0ü".encode()})
    assert good(cli("card", "bob/gan")) == "# a\ufffd[2J\ufffd\ufffd31m\tb\n\xa0ü\n"


def test_private_models(hub: Hub, runs: Path, cli: Cli, monkeypatch: pytest.MonkeyPatch, tmp_path: Path) -> None:
    good(cli("publish", runs / "first", "alice/secret", "--private"))
    assert hub.repos["alice/secret"].private
    hub.adopt(monkeypatch, tmp_path / "anonymous")
    with pytest.raises(HubError, match="that you can access"):
        GAN.from_pretrained("alice/secret")
    assert same(GAN.from_pretrained("alice/secret", token="hf_alice"), GAN.from_pretrained(runs / "first"))
    with pytest.raises(HubError, match="that you can access"):
        GAN.inspect("alice/secret", token="hf_bob")
    GAN.from_pretrained(runs / "first").push_to_hub("bob/open", token="hf_bob")
    assert not hub.repos["bob/open"].private


def test_networks_that_are_no_more_are_deleted(hub: Hub, runs: Path, cli: Cli) -> None:
    good(cli("publish", runs / "first", "alice/gan"))
    repo = hub.repos["alice/gan"]
    repo.commit({"NOTES.md": b"mine", "other.safetensors": b"mine too", "data/generator.safetensors": b"mine"})
    good(cli("publish", runs / "supervised", "alice/gan"))
    files = repo.commits[repo.branches["main"]]
    assert "generator.safetensors" not in files
    assert {"NOTES.md", "other.safetensors", "data/generator.safetensors", "discriminator.safetensors"} <= set(files)
    assert torch.equal(
        GAN.from_pretrained("alice/gan").classify(X), GAN.from_pretrained(runs / "supervised").classify(X)
    )


@pytest.mark.parametrize("config", [b'{"architectures": ["BertModel"]}', b"[]", b"{", b"\xff"])
def test_the_model_of_another_library_is_not_overwritten(hub: Hub, runs: Path, cli: Cli, config: bytes) -> None:
    repo = hub.add("alice/bert", {"config.json": config, "model.safetensors": b"weights"})
    before = dict(repo.commits)
    result = cli("publish", runs / "first", "alice/bert")
    check_refused(
        result, "config.json" if config != b'{"architectures": ["BertModel"]}' else "which would be overwritten,"
    )
    assert repo.commits == before


def train(cli: Cli, small: list[str], *words: object) -> Result:
    return cli("train", *small, *words)


def test_training_starts_where_a_model_stands(hub: Hub, runs: Path, tmp_path: Path) -> None:
    sha = put(hub, runs / "first")
    given = GAN.from_pretrained(runs / "first")
    seen: list[bool] = []

    def started(experiment: Any, _: object) -> None:
        ours, theirs = ([n.state_dict() for n in g.networks.values()] for g in (experiment.gan, given))
        pairs = [(a[k], b[k]) for a, b in zip(ours, theirs, strict=True) for k in a]
        seen.append(all(torch.equal(a, b) for a, b in pairs if a.is_floating_point()))

    gan = ganzoo.train(
        {"steps": 2, "batch_size": 8, "precision": "fp32", "init_from": "bob/gan"}, tmp_path / "r", on_start=started
    )
    assert seen == [True]
    assert gan.shape.height == 16  # of the model, as are its parts
    kept = Config.load(tmp_path / "r" / "config.json")
    assert kept.init_from == f"bob/gan@{sha}"
    assert kept.generator.options["width"] == 4
    counts = {name: len(n.state_dict()) for name, n in given.networks.items()}
    taken = {name: f"{n} of {n} tensors" for name, n in counts.items()}
    assert gan.metadata["start"] == {"model": f"bob/gan@{sha}", "taken": taken}


def test_a_model_that_fits_in_part_says_what_was_left(
    hub: Hub, runs: Path, cli: Cli, small: list[str], tmp_path: Path
) -> None:
    sha = put(hub, runs / "first")
    said = good(train(cli, small, "--from", "bob/gan", "--out", "r", "--set", "gen.z_dim=50"))
    count = len(GAN.from_pretrained(runs / "first").networks["generator"].state_dict())
    assert f"generator: {count - 1} of {count} tensors, not layers.0.weight of bob/gan@{sha}" in said
    assert Config.load(tmp_path / "r" / "config.json").generator.options["z_dim"] == 50
    result = train(cli, small[6:], "--from", "bob/gan", "--out", "q", "--size", "32", "--gen", "mlp", "--disc", "mlp")
    check_refused(result, f"no weights of bob/gan@{sha} fit these networks")
    assert not (tmp_path / "q").exists()
    check_refused(train(cli, small, "--from", "bob/nothing", "--out", "q"), "nor a repository of the Hub")
    assert not (tmp_path / "q").exists()


def test_going_on_needs_no_hub(hub: Hub, runs: Path, cli: Cli, small: list[str], tmp_path: Path) -> None:
    put(hub, runs / "first")
    words = ("--from", "bob/gan", "--steps", 4, "--set", "checkpoint_every=2")
    good(train(cli, small, *words, "--out", "whole"))
    shutil.copytree(tmp_path / "whole", tmp_path / "cut")
    shutil.rmtree(tmp_path / "cut" / "checkpoints" / "000004")
    shutil.rmtree(tmp_path / "cut" / "model")
    hub.stop()
    shutil.rmtree(tmp_path / "cache")
    good(cli("train", "--out", "cut"))
    for name in NETWORKS:
        assert (tmp_path / "cut" / "model" / name).read_bytes() == (tmp_path / "whole" / "model" / name).read_bytes()


def test_the_same_command_goes_on_though_the_model_has_moved_on(
    hub: Hub, runs: Path, cli: Cli, small: list[str], tmp_path: Path
) -> None:
    put(hub, runs / "first")
    good(train(cli, small, "--from", "bob/gan", "--out", "r"))
    start = Config.load(tmp_path / "r" / "config.json").init_from
    hub.repos["bob/gan"].commit({"NOTES.md": b"news"})
    good(train(cli, small, "--from", "bob/gan", "--out", "r"))
    assert Config.load(tmp_path / "r" / "config.json").init_from == start
    hub.stop()
    shutil.rmtree(tmp_path / "cache")
    good(train(cli, small, "--from", "bob/gan", "--out", "r"))


def test_a_folder_is_a_start_too(runs: Path, cli: Cli, small: list[str], tmp_path: Path) -> None:
    for path in (runs / "first", runs / "first" / "model"):
        good(train(cli, small, "--from", path, "--out", path.name))
        assert Config.load(tmp_path / path.name / "config.json").init_from == str(runs / "first" / "model")
        told = json.loads((tmp_path / path.name / "model" / "config.json").read_text())
        assert told["start"]["model"] == "model"
        assert str(runs) not in json.dumps(told)
    check_refused(train(cli, small, "--from", "nowhere", "--out", "q"), "there is no run or model folder nowhere")
