"""Backbones of timm as discriminators: a family of components."""

from __future__ import annotations

import json
from collections.abc import Callable
from pathlib import Path

import pytest
import timm
import torch
from click.testing import Result
from safetensors.torch import save_file
from torch import Tensor

import ganzoo
from ganzoo import GAN, ImageShape, configure, create
from ganzoo.errors import BadOption, UnknownComponent
from ganzoo.registry.discovery import installed
from ganzoo.strategy.heads import RealnessHead
from ganzoo.strategy.networks import HeadedNetwork
from ganzoo.training.assemble import assemble
from ganzoo.training.trainer import Trainer
from tests.conftest import python

SHAPE = ImageShape(3, 32, 32, 10)
SMALL = {"disc": "timm/test_resnet", "gen": "mlp", "gen.hidden": 8, "data.size": 32, "batch_size": 8, "steps": 3}
Cli = Callable[..., Result]


@pytest.mark.parametrize("channels", [1, 3, 4])
@pytest.mark.parametrize("projected", [False, True])
def test_any_model_is_a_trunk(channels: int, projected: bool) -> None:
    trunk = create("discriminator", "timm/test_resnet", ImageShape(channels, 32, 32, 10), projected=projected)
    features = trunk(torch.rand(4, channels, 32, 32) * 2 - 1)
    assert features.shape == (4, trunk.num_features)
    assert trunk.training


POISONED = """
import torch
from ganzoo import ImageShape, create
torch.manual_seed(0)
trunk = create("discriminator", "timm/test_resnet", ImageShape(1, 16, 16, 10))
trunk.backbone.layer4[0].bn2.weight.data.fill_(1)
with torch.autocast("cpu", torch.bfloat16):
    trunk(torch.randn(4, 1, 16, 16)).float().pow(3).sum().backward()
last = trunk.backbone.layer4[0].conv1.weight.grad
print(last[:, :, 1, 1].abs().sum().item() > 0, last[:, :, 0].abs().sum().item(), last[:, :, :, 2].abs().sum().item())
"""


@pytest.mark.parametrize("poison", ["0", "1", "200"])
def test_weights_that_see_only_padding_have_no_gradient(poison: str) -> None:
    done = python("-c", POISONED, MALLOC_PERTURB_=poison)  # glibc fills memory with it before it is used
    assert done.stdout == "True 0.0 0.0\n", done.stderr


def test_padding_before_is_the_same() -> None:
    torch.manual_seed(0)
    trunk = create("discriminator", "timm/test_resnet", ImageShape(1, 16, 16, 10)).eval()
    plain = timm.create_model("test_resnet", num_classes=0, in_chans=1).eval()
    plain.load_state_dict(trunk.backbone.state_dict())
    x = torch.randn(4, 1, 16, 16)
    wanted = plain(((x + 1) / 2 - trunk.mean) / trunk.deviation)
    assert torch.equal(trunk(x), wanted)
    assert any(m._forward_pre_hooks for m in trunk.modules())


def test_a_transformer_is_told_the_size() -> None:
    trunk = create("discriminator", "zoo/timm/test_vit", SHAPE)
    assert trunk(torch.zeros(2, 3, 32, 32)).shape == (2, trunk.num_features)


def test_pixels_are_normalised_as_the_model_was_trained() -> None:
    seen: list[Tensor] = []
    trunk = create("discriminator", "timm", SHAPE, backbone="test_resnet")
    trunk.backbone.register_forward_pre_hook(lambda module, args: seen.append(args[0]))
    trunk(torch.stack([torch.full((3, 32, 32), -1.0), torch.ones(3, 32, 32)]))
    known = timm.get_pretrained_cfg("test_resnet")
    for image, value in zip(seen[0], (0.0, 1.0), strict=True):
        wanted = [(value - m) / d for m, d in zip(known.mean, known.std, strict=True)]
        assert image[:, 0, 0].tolist() == pytest.approx(wanted)


@pytest.mark.parametrize("how", ["frozen", "projected"])
def test_a_backbone_that_stands_still_does_not_move(how: str) -> None:
    trainer = Trainer(assemble(configure(values={**SMALL, f"disc.{how}": True, "penalties": {"r1": {"every": 1}}})))
    critic = trainer.gan.networks["discriminator"]
    assert not critic.batch_statistics  # so that a penalty of single images is allowed
    before = {name: tensor.clone() for name, tensor in critic.state_dict().items()}
    for _ in range(3):
        trainer.train_step()
    moved = {name for name, tensor in critic.state_dict().items() if not torch.equal(tensor, before[name])}
    still = ("trunk.backbone.", "trunk.scales.channels.", "trunk.scales.mix.")
    assert moved
    assert not [name for name in moved if name.startswith(still)]
    assert any(name.startswith("trunk.scales.own") for name in moved) == (how == "projected")


def test_a_tuned_backbone_moves() -> None:
    trainer = Trainer(assemble(configure(values=SMALL)))
    critic = trainer.gan.networks["discriminator"]
    before = [p.clone() for p in critic.trunk.parameters()]
    for _ in range(2):
        trainer.train_step()
    assert not any(torch.equal(p, old) for p, old in zip(critic.trunk.parameters(), before, strict=True))
    assert critic.batch_norm


def test_realness_is_a_sum_over_scales() -> None:
    critic = HeadedNetwork(
        trunk := create("discriminator", "timm/test_resnet", SHAPE, projected=True), RealnessHead(trunk)
    )
    x = torch.rand(2, 3, 32, 32)
    maps: list[Tensor] = []
    for layers in trunk.scales.own:
        layers.register_forward_hook(lambda module, args, out: maps.append(out.flatten(1)))
    said = critic.eval()(x).adv
    weight, bias = critic.head.adv.weight[0], critic.head.adv.bias
    parts = [part @ w for part, w in zip(maps, weight.split([m.shape[1] for m in maps]), strict=True)]
    assert len(parts) == 4
    torch.testing.assert_close(sum(parts) + bias, said)


def test_a_run_keeps_which_member_it_was(tmp_path: Path) -> None:
    made = ganzoo.train(configure(values=SMALL), tmp_path / "r")
    facts = json.loads((tmp_path / "r" / "model" / "config.json").read_text())["components"]["discriminator"]
    assert facts["name"] == "zoo/timm/test_resnet"
    loaded = GAN.from_pretrained(tmp_path / "r" / "model")
    x = torch.rand(4, 3 if made.shape.channels == 3 else 1, 32, 32)
    torch.testing.assert_close(made.classify(x), loaded.classify(x))


def test_unknown_members_name_the_nearest() -> None:
    with pytest.raises(BadOption, match=r"no model 'resnet1000'; did you mean 'resnet.*ganzoo list --timm"):
        create("discriminator", "timm/resnet1000", SHAPE)
    with pytest.raises(BadOption, match="needs the option 'backbone'"):
        create("discriminator", "timm", SHAPE)
    with pytest.raises(UnknownComponent):
        create("discriminator", "dcgan/resnet18", SHAPE)
    with pytest.raises(BadOption, match="cannot be created with"):
        create("discriminator", "timm/test_vit", ImageShape(3, 33, 33, 10))


def test_weights_that_cannot_be_fetched_are_one_sentence(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr("huggingface_hub.constants.HF_HUB_OFFLINE", True)
    with pytest.raises(BadOption, match="weights of timm's 'test_resnet' cannot be fetched from timm/test_resnet"):
        create("discriminator", "timm/test_resnet", SHAPE, pretrained=True)


def test_a_trained_model_needs_no_published_weights(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    published = tmp_path / "model.safetensors"
    save_file(timm.create_model("test_resnet").state_dict(), published)
    fetched = "ganzoo_zoo.discriminators.backbone.hf_hub_download"
    monkeypatch.setattr(fetched, lambda name, file: str(published))
    made = ganzoo.train({**SMALL, "disc.pretrained": True}, tmp_path / "r")
    monkeypatch.setattr(fetched, lambda name, file: pytest.fail("weights were fetched"))
    loaded = GAN.from_pretrained(tmp_path / "r")
    x = torch.rand(4, 1, 32, 32)
    torch.testing.assert_close(made.classify(x), loaded.classify(x))
    assert loaded.components.discriminator.options == {}


def test_members_are_listed(cli: Cli) -> None:
    shown = cli("list", "discriminators", "--timm", "efficientnet_lite*").output.split()
    assert shown == [f"timm/efficientnet_lite{n}" for n in range(5)]
    assert "timm/resnet18" in json.loads(cli("list", "--timm", "resnet1*", "--json").output)
    assert "timm/resnet18" in cli("list", "extractors", "--timm", "resnet18").output
    assert "timm/…" in cli("list", "discriminators").output
    for words, said in (
        (["losses", "--timm", "*"], "a family of discriminators and extractors"),
        (["--timm", "nn"], "'*nn*'"),
    ):
        result = cli("list", *words)
        assert result.exit_code
        assert said in result.output
    assert installed().get("discriminator", "timm/resnet18").member == "resnet18"
