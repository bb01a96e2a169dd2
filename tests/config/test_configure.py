"""Configurations: layers, exact round trips, and one sentence for what cannot be."""

from __future__ import annotations

from pathlib import Path

import pytest

from ganzoo import Config, configure
from ganzoo.config.files import differences, read_values
from ganzoo.config.resolve import choose_size, parse_setting
from ganzoo.errors import BadConfig, UnknownComponent
from ganzoo.registry.discovery import installed


@pytest.mark.parametrize("suffix", ["json", "yaml"])
def test_round_trip_is_exact(tmp_path: Path, suffix: str) -> None:
    config = configure(
        values={"optimizer.lr": 2.5e-4, "optimizer.eps": 1e-8, "penalties.r1.gamma": 0.1, "data.labels": "all"}
        | {"players.discriminator.lr": 1e-5, "augment": "diffaugment", "data.source": "a: b #c", "gen.width": 7}
    )
    path = tmp_path / f"c.{suffix}"
    config.save(path)
    assert Config.load(path) == config
    assert configure(file=path) == config


def test_components_are_qualified() -> None:
    config = configure(values={"penalties.r1.every": 4})
    names = (config.generator.name, config.discriminator.name, config.loss.name, config.ssl.name, *config.penalties)
    assert names == ("zoo/dcgan", "zoo/dcgan", "zoo/nonsaturating", "zoo/kplus1", "zoo/r1")


def test_naming_a_component_means_its_own_defaults(tmp_path: Path) -> None:
    assert configure().generator.options == {"width": 32}
    assert configure(values={"gen": "mlp"}).generator.options == {}
    assert configure(values={"gen.hidden": 9, "gen": "mlp"}).generator.options == {"hidden": 9}
    assert configure(values={"gen": "zoo/dcgan"}).generator.options == {}
    assert configure(values={"gen": "dcgan", "gen.width": 7}).generator.options == {"width": 7}
    assert configure(values={"gen.width": 7}).generator.options == {"width": 7}
    assert configure("wgan-gp-cifar10", values={"disc": "sngan"}).discriminator.options == {}
    (tmp_path / "c.yaml").write_text("generator: {name: dcgan, width: 5}")
    assert configure(file=tmp_path / "c.yaml").generator.options == {"width": 5}
    assert configure(file=tmp_path / "c.yaml", values={"gen": "dcgan"}).generator.options == {}


def test_the_recipe_of_the_digits_is_for_the_digits() -> None:
    digits = configure()
    assert (digits.data.source, digits.data.labels, digits.steps) == ("digits", 100, 1000)
    assert digits.discriminator.options == {"width": 32, "norm": "group"}
    assert configure(values={"data.source": "digits"}) == configure("digits") == digits
    photos = configure(values={"data.source": "photos"})
    assert (photos.generator.options, photos.discriminator.options) == ({}, {})
    assert (photos.data.labels, photos.data.size, photos.steps) == ("all", None, 10_000)
    assert configure("default", values={"data.source": "digits"}).generator.options == {}


def test_what_a_recipe_says_of_its_data_is_not_about_other_data(tmp_path: Path) -> None:
    assert configure().data.labels == 100
    (tmp_path / "c.yaml").write_text("data: {flip: true, labels: 50}")
    mine = configure(file=tmp_path / "c.yaml", values={"data.source": "folder"}).data
    assert (mine.flip, mine.labels, mine.size) == (True, 50, None), "what a file says is kept"
    assert configure(values={"data.source": "folder", "data.flip": True}).data.labels == "all"
    assert configure(values={"data.source": "digits"}).data.labels == 100


def test_file_lies_over_preset_and_values_over_file(tmp_path: Path) -> None:
    path = tmp_path / "c.yaml"
    path.write_text("steps: 5\nbatch_size: 6\nloss: hinge\n")
    config = configure(file=path, values={"batch_size": 7})
    assert (config.steps, config.batch_size, config.loss.name) == (5, 7, "zoo/hinge")


@pytest.mark.parametrize(
    ("values", "said"),
    [
        ({"stepz": 3}, "no configuration key is called 'stepz'; did you mean 'steps'?"),
        ({"data.lables": 3}, "no configuration key is called 'data.lables'; did you mean 'labels'?"),
        ({"steps": 0}, "configuration key 'steps' cannot be 0 (input should be greater than or equal to 1)"),
        ({"data.labels": "many"}, "configuration key 'data.labels' cannot be 'many'"),
        ({"players.generator.lrr": 1}, "lrr"),
        ({"precision": "fp8"}, "configuration key 'precision' cannot be 'fp8'"),
        ({"batch": 8}, "configuration key 'batch' is now called 'batch_size'"),
        ({"optimizer.moves": 2}, "configuration key 'optimizer.moves' is now called 'optimizer.updates_per_step'"),
        (
            {"players.discriminator.until": 0.5},
            "configuration key 'players.discriminator.until' is now called 'players.discriminator.decay_end'",
        ),
        ({"data.size": "64x"}, "configuration key 'data.size' cannot be '64x'"),
    ],
)
def test_what_cannot_be_is_one_sentence(values: dict[str, object], said: str) -> None:
    with pytest.raises(BadConfig) as caught:
        configure(values=values)
    assert said in str(caught.value)
    assert "constrained" not in str(caught.value)
    assert "\n" not in str(caught.value)


def test_unknown_component_in_a_config() -> None:
    with pytest.raises(UnknownComponent, match="did you mean 'hinge'"):
        configure(values={"loss": "hinje"})


def test_a_penalty_can_be_left_out_again() -> None:
    assert configure(values={"penalties": {"r1": {}}, "penalties.r1": None}).penalties == {}
    assert list(configure(values={"penalties": {"r1": {}}, "penalties.r1.gamma": 2}).penalties.values()) == [
        {"gamma": 2}
    ]


def test_settings_are_yaml() -> None:
    assert parse_setting("a.b=2") == ("a.b", 2)
    assert parse_setting("ssl.gan=off") == ("ssl.gan", False)
    assert parse_setting("x=[1, two]") == ("x", [1, "two"])
    with pytest.raises(BadConfig, match="write key=value"):
        parse_setting("gen.width")
    with pytest.raises(BadConfig, match="not YAML"):
        parse_setting("x=[1")


@pytest.mark.parametrize(
    ("content", "said"), [("[1]", "no keys"), ("a: [", "neither JSON nor YAML"), (None, "cannot be read")]
)
def test_unreadable_files(tmp_path: Path, content: str | None, said: str) -> None:
    path = tmp_path / "c.yaml"
    if content is not None:
        path.write_text(content)
    with pytest.raises(BadConfig, match=said):
        Config.load(path)


def test_differences_name_the_keys() -> None:
    old, new = configure().to_dict(), configure(values={"gen.width": 9, "steps": 3}).to_dict()
    assert differences(old, new) == ["generator.width: 32 → 9", "steps: 1000 → 3"]
    assert differences(old, old) == []


@pytest.mark.parametrize(
    ("values", "native", "size"),
    [
        ({}, 28, (32, 32)),
        ({"gen": "mlp"}, 28, (32, 32)),
        ({"gen": "mlp", "disc": "mlp"}, 28, (28, 28)),
        ({"gen": "mlp", "disc": "mlp"}, 500, (64, 64)),
        ({}, 3000, (64, 64)),
        ({"data.size": 48}, 28, (48, 48)),
        ({"data.size": "64x96"}, 28, (64, 96)),
        ({"data.size": "48x48"}, 28, (48, 48)),
        ({"data.size": "48"}, 28, (48, 48)),
    ],
)
def test_size_fits_images_and_networks(values: dict[str, object], native: int, size: tuple[int, int]) -> None:
    config = configure(values={"data.source": "x", **values})
    assert choose_size(config, native, installed()) == size
    assert Config.parse(config.to_dict()) == config


@pytest.mark.parametrize(
    ("text", "key"),
    [
        ("steps: 1\noptimizer: {lr: 1e-3}\noptimizer: {beta1: 0.0}\n", "optimizer"),
        ('{"steps": 1, "steps": 2}', "steps"),
        ("optimizer: {lr: 1e-3, beta1: 0, lr: 1e-4}", "lr"),
    ],
)
def test_a_key_that_stands_twice_is_refused(tmp_path: Path, text: str, key: str) -> None:
    (tmp_path / "c.yaml").write_text(text)
    with pytest.raises(BadConfig, match=f"c.yaml: the key '{key}' stands twice"):
        configure(file=tmp_path / "c.yaml")


def test_a_key_that_stands_twice_in_a_setting_is_refused() -> None:
    with pytest.raises(BadConfig, match="the key 'a' stands twice"):
        parse_setting("gen={a: 1, a: 2}")


def test_yaml_anchors_may_be_overridden(tmp_path: Path) -> None:
    (tmp_path / "c.yaml").write_text("optimizer: &base {lr: 1e-3, beta1: 0.0}\nd_optimizer: {<<: *base, lr: 1e-4}\n")
    assert read_values(tmp_path / "c.yaml")["d_optimizer"] == {"lr": 1e-4, "beta1": 0.0}
