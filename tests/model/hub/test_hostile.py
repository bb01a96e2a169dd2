"""Folders that nobody vouches for: nothing runs, nothing is unpickled, errors are sentences."""

from __future__ import annotations

import hashlib
import json
import pickle
import shutil
import subprocess
import sys
import threading
from collections.abc import Callable, Iterator
from contextlib import contextmanager
from inspect import signature
from pathlib import Path
from typing import Any

import pytest
import safetensors.torch
import torch

import ganzoo
from ganzoo import GAN, ImageShape
from ganzoo.errors import BadOption, CorruptFile, UnknownComponent
from ganzoo.model.format import DEEPEST
from ganzoo.model.outline import MOST_PARAMETERS, outlines
from ganzoo.registry.discovery import installed
from tests.conftest import SMALL, python
from tests.hub import Hub
from tests.model.hub.support import NETWORKS, ROOT, Cli, X, check_refused, fetched, good, put, same


class Payload:
    """Unpickled, it leaves a file behind."""

    def __init__(self, marker: Path) -> None:
        self.marker = marker

    def __reduce__(self) -> Any:
        return Path.write_text, (self.marker, "unpickled")


BASES = ("model", "generator", "discriminator", "pytorch_model", "adapter_model", "config", "data", "samples", "split")

ENDS = (
    "bin",
    "pt",
    "pth",
    "ckpt",
    "pkl",
    "pickle",
    "joblib",
    "npy",
    "npz",
    "safetensors.pkl",
    "json.pkl",
    "msgpack",
    "h5",
)

PLANTED = [f"{base}.{end}" for base in BASES for end in ENDS]

PLANTED += ["optimizer.pt", "scheduler.pt", "rng_state.pth", "training_args.bin", "tokenizer.pkl", "archive/data.pkl"]

MODULES = ["__init__", "generator", "modeling_ganzoo", "configuration_ganzoo", "ganzoo", "hubconf", "setup", "conftest"]

MODULES += ["sitecustomize", "usercustomize", "config", "model", "torch", "ganzoo_zoo/__init__", "ganzoo_evil/__init__"]

DEVICES = ("CON", "NUL", "AUX", "COM1", "LPT1")

ROOTS = (
    "/",
    "//server/share/",
    "C:\\",
    "C:",
    "\\\\server\\share\\",
    "\\",
    "..\\",
    "~/",
    "file:///",
    "/tmp/",
    "../../../../",
)

AFTER = ("\0", "\0.txt", "/../evil", "/evil", " ", ".", "\n", "\r\nX: y", ":evil", "\u202e", "\x1b[2J")

ODD = (
    "..",
    ".",
    "...",
    "a//b",
    "./a",
    "a/./b",
    "%2e%2e%2fevil",
    "..%2fevil",
    "*",
    "?",
    "-rf",
    "--help",
    "$(touch evil)",
)

NAMES = [
    *("../" * n + "evil" for n in range(1, 60)),
    *("a/" * n + "../" * (n + 2) + "evil" for n in range(1, 50)),
    *("x" * 10**n for n in range(1, 5)),
    *(f"{device}{end}" for device in DEVICES for end in ("", ".json", ".safetensors")),
    *(f"{root}evil{n}" for root in ROOTS for n in range(3)),
    *(f"{name}{end}" for name in ("generator.safetensors", "config.json") for end in AFTER),
    *(".git/hooks/post-checkout", ".cache/huggingface/token", ".gitmodules", "`evil`", *ODD),
    *(f"refs/{n}/../../../evil" for n in range(20)),
]

WATCH = """
import io, json, os, pickle, sys
import torch, huggingface_hub
torch.set_num_threads(int(os.environ.get("OMP_NUM_THREADS", 2)))
from contextlib import redirect_stdout
from huggingface_hub import HfApi, hf_hub_download
from safetensors.torch import load_file
from ganzoo.model import GAN
from ganzoo.cli import main
home = os.path.realpath(os.environ["HF_HOME"])
code = tuple(os.path.realpath(p) for p in (sys.prefix, sys.base_prefix, sys.argv[1]))
seen = []
CHANGES = [f"os.{what}" for what in "mkdir remove rmdir symlink link rename chmod chown utime".split()]
STARTS = ["subprocess.Popen", "ctypes.dlopen", *(f"os.{what}" for what in "system exec posix_spawn spawn fork".split())]

def at_home(path, folder=-1):
    if isinstance(path, int):
        return True
    base = os.readlink(f"/proc/self/fd/{folder}") if folder >= 0 else os.getcwd()
    return (os.path.realpath(os.path.join(base, os.fsdecode(path))) + os.sep).startswith((home + os.sep, os.devnull))

def watch(event, args):
    if event == "pickle.find_class":
        seen.append([event, *map(str, args)])
    elif event == "socket.connect" and args[1][0] != "127.0.0.1":
        seen.append([event, str(args[1])])
    elif event == "open" and args[2] & (os.O_WRONLY | os.O_RDWR | os.O_CREAT) and not at_home(args[0]):
        seen.append([event, str(args[0])])
    elif event in CHANGES:
        paths = [p for p in (args[1:2] if event == "os.symlink" else args[:2]) if isinstance(p, (str, bytes))]
        seen.extend([event, str(path)] for path in paths if not at_home(path, args[-1]))
    elif event == "exec" and (name := args[0].co_filename)[:1] == "/" and not os.path.realpath(name).startswith(code):
        seen.append([event, name])
    elif event in STARTS:
        seen.append([event, str(args)])

x = load_file(sys.argv[2])["x"]
sys.addaudithook(watch)
gan = GAN.from_pretrained("bob/gan")
said = [gan.sample(5, seed=3).flatten().tolist(), gan.classify(x).tolist()]
names = GAN.inspect("bob/names")
GAN.from_pretrained("bob/names", network="generator")
shown = io.StringIO()
with redirect_stdout(shown):
    for words in (["info", "hub:bob/names"], ["pull", "bob/names", "--out", home + "/pulled"]):
        main(words, standalone_mode=False)
after = list(seen)
pickle.loads(open(sys.argv[3], "rb").read())
open(sys.argv[4], "wb").close()
result = [said, len(names.sizes), sorted(os.listdir(home + "/pulled")), after, seen[len(after):]]
sys.stdout.write(json.dumps(result))
"""


def test_another_process_reads_it_and_runs_nothing_of_it(hub: Hub, runs: Path, tmp_path: Path) -> None:
    marker, outside = tmp_path / "unpickled", tmp_path / "outside"
    bad = pickle.dumps(Payload(marker))
    code = f"open({str(marker)!r}, 'w').write('imported')\n".encode()
    files = dict.fromkeys(PLANTED, bad) | {f"{name}.py": code for name in MODULES} | {"requirements.txt": b"evil\n"}
    for name, more in (("bob/gan", files), ("bob/names", dict.fromkeys(NAMES, b"x"))):
        put(hub, runs / "first", name)
        hub.repos[name].commit(more)
    assert len(set(NAMES)) >= 200
    hub.requests.clear()
    safetensors.torch.save_file({"x": X}, tmp_path / "x")
    (tmp_path / "payload").write_bytes(bad)
    (tmp_path / "cwd").mkdir()
    done = python(
        "-c", WATCH, str(ROOT), str(tmp_path / "x"), str(tmp_path / "payload"), str(outside),
        cwd=tmp_path / "cwd", **hub.env(tmp_path / "its", "hf_alice"),
    )  # fmt: skip
    assert done.returncode == 0, done.stderr
    (images, probabilities), listed, pulled, seen, control = json.loads(done.stdout)
    trained = GAN.from_pretrained(runs / "first")
    assert images == trained.sample(5, seed=3).flatten().tolist()
    assert probabilities == trained.classify(X).tolist()
    assert listed > 200
    assert pulled == sorted(p.name for p in (runs / "first" / "model").iterdir())
    assert seen == []
    assert {event[0] for event in control} == {"pickle.find_class", "open"}  # the watch sees what there is to see
    assert marker.read_text() == "unpickled"
    assert fetched(hub) == {"config.json", "README.md", "samples.png", *NETWORKS, *({"curve.png"} & set(pulled))}
    assert not list((tmp_path / "cwd").iterdir())
    kept = {p.name for p in (tmp_path / "its" / "hub").rglob("*") if p.is_symlink()}
    assert kept == fetched(hub)


def edited(hub: Hub, run: Path, kind: str = "generator", **part: Any) -> None:
    """Put a model on the Hub whose configuration says something else of a component."""
    put(hub, run)
    config = json.loads((run / "model" / "config.json").read_text())
    config["components"][kind] |= part
    hub.repos["bob/gan"].commit({"config.json": json.dumps(config).encode()})


@pytest.mark.parametrize(
    "name",
    ["os:system", "../../x", "/etc/passwd", "--help", "zoo/../x", "ganzoo_zoo.generators.dcgan:Generator", "a b"],
)
def test_a_configuration_names_components_alone(hub: Hub, runs: Path, cli: Cli, name: str) -> None:
    edited(hub, runs / "first", name=name)
    check_refused(cli("sample", "bob/gan"), "config.json does not describe a model (components.generator.name")
    assert fetched(hub) == {"config.json"}


@pytest.mark.parametrize(
    ("option", "error"),
    [
        ({"width": "../../etc/passwd"}, BadOption),
        ({"--help": 1}, CorruptFile),
        ({"__class__": "os"}, BadOption),
        ({"shape": 3}, BadOption),
        ({"width": [[1]]}, CorruptFile),
        ({"width": {"a": 1}}, BadOption),
        ({"width": {"a": {"b": 1}}}, CorruptFile),
        ({"width": {"--help": 1}}, CorruptFile),
        ({"\x1b[2J\n": 1}, CorruptFile),
    ],
)
def test_options_are_checked(hub: Hub, runs: Path, cli: Cli, option: dict[str, Any], error: type[Exception]) -> None:
    edited(hub, runs / "first", options=option)
    with pytest.raises(error) as raised:
        GAN.from_pretrained("bob/gan")
    assert str(raised.value).isprintable()
    assert not fetched(hub) & NETWORKS


def test_nothing_is_fetched_from_another_repository(hub: Hub, runs: Path) -> None:
    edited(hub, runs / "first", "discriminator", name="zoo/timm/resnet18", options={"pretrained": True})
    with pytest.raises(CorruptFile):
        GAN.from_pretrained("bob/gan")
    assert all("/bob/gan/" in f"{path}/" for _, path in hub.requests)


@pytest.mark.parametrize(("kind", "word"), [(torch.bool, "BOOL"), (torch.int64, "I64"), (torch.complex64, "C64")])
def test_types_are_compared(runs: Path, cli: Cli, tmp_path: Path, kind: torch.dtype, word: str) -> None:
    shutil.copytree(runs / "first" / "model", tmp_path / "m")
    file, config = tmp_path / "m" / "generator.safetensors", tmp_path / "m" / "config.json"
    tensors = safetensors.torch.load_file(file)
    name = next(n for n, t in tensors.items() if t.is_floating_point())
    safetensors.torch.save_file({**tensors, name: torch.zeros(tensors[name].shape, dtype=kind)}, file)
    told = json.loads(config.read_text())
    told["sha256"][file.name] = hashlib.sha256(file.read_bytes()).hexdigest()
    config.write_text(json.dumps(told))
    check_refused(cli("sample", "m"), f"'{name}' is of type {word}, not F32")
    config.write_text(json.dumps({**told, "dtype": "bf16"}))
    check_refused(cli("sample", "m"), "not BF16")


METRICS = {"error": 0.5, "held_out": 3, "weights": "averaged", "step": 1}


def nested(levels: int) -> Any:
    return [nested(levels - 1)] if levels else 0


@pytest.mark.parametrize(
    ("name", "value"),
    [
        ("run", "x"), ("run", {"generator": "x"}), ("run", {"penalties": ["x"]}), ("run", {"data": {"source": 3}}),
        ("run", {"batch_size": "x"}), ("metrics", {"a": 1}), ("metrics", [1]), ("metrics", "x"), ("step", "x"),
        ("metrics", METRICS | {"recall": [2.0]}), ("metrics", METRICS | {"recall": "x"}),
        ("metrics", METRICS | {"support": [-1]}), ("metrics", METRICS | {"balanced_error": "x"}),
        ("step", -1), ("step", True), ("seconds", "x"), ("data", {"name": "x"}), ("environment", {"versions": "x"}),
        ("environment", 3), ("fit", "\ud800"), ("dtype", "\ud800"), ("split", 3), ("license", ["x"]),
        ("seconds", 10**400), ("more", nested(DEEPEST + 1)),
    ],
)  # fmt: skip
def test_facts_are_what_a_card_can_tell(runs: Path, cli: Cli, tmp_path: Path, name: str, value: Any) -> None:
    shutil.copytree(runs / "first" / "model", tmp_path / "m")
    config = tmp_path / "m" / "config.json"
    config.write_text(json.dumps({**json.loads(config.read_text()), name: value}))
    check_refused(cli("publish", "m", "alice/gan", "--dry-run", "--dtype", "bf16"), "config.json ")


def test_odd_facts_are_told(runs: Path, tmp_path: Path) -> None:
    gan = GAN.from_pretrained(runs / "first")
    facts = {"run": {}, "metrics": {}, "data": {}, "split": "\ud800", "environment": {"versions": {"x": [1]}}}
    for name, value in {**facts, "more": nested(DEEPEST - 2), "step": 0}.items():
        gan.metadata = {**GAN.from_pretrained(runs / "first").metadata, name: value}
        gan.save(tmp_path / "model")
        GAN.from_pretrained(tmp_path / "model").save(tmp_path / "again")
        assert (tmp_path / "again" / "README.md").read_text()
    few = METRICS | {"balanced_error": None, "macro_f1": 0.5, "recall": [None, 1.0], "support": [0]}
    gan.metadata = {**gan.metadata, "metrics": few}
    gan.save(tmp_path / "model")
    GAN.from_pretrained(tmp_path / "model").save(tmp_path / "again")


def test_errors_cannot_command_a_terminal_nor_fill_it(runs: Path, cli: Cli, tmp_path: Path) -> None:
    shutil.copytree(runs / "first" / "model", tmp_path / "m")
    config = tmp_path / "m" / "config.json"
    told = json.loads(config.read_text())
    for value in ("\x1b[2J\x07", "x" * 1000, ["\x9b"] * 1000):
        told["components"]["generator"]["options"] = {"width": value}
        config.write_text(json.dumps(told))
        result = cli("sample", "m")
        check_refused(result, "generator 'dcgan': option 'width' is int")
        assert len(result.stderr) < 500
        assert result.stderr.strip().isprintable()
    check_refused(cli("sample", "\x1b[2Jm"), "there is no run or model folder \ufffd[2Jm")


def test_outlines_count_the_tensors_of_their_own_thread() -> None:
    def elsewhere() -> None:
        torch.nn.ParameterList([torch.zeros(1)] * (MOST_PARAMETERS + 1))

    with outlines("it"):
        thread = threading.Thread(target=elsewhere)
        thread.start()
        thread.join()
        torch.nn.Linear(1, 1)
    with pytest.raises(CorruptFile, match="more than 20,000 tensors"), outlines("it"):
        elsewhere()


def test_a_version_is_no_command(hub: Hub, runs: Path, cli: Cli) -> None:
    put(hub, runs / "first")
    for version in ("1'; touch evil #", "9\n", "\x1b[2J", None, ["9"], "9" * 99):
        config = {"library": "ganzoo", "format": 99, "version": version}
        hub.repos["bob/gan"].commit({"config.json": json.dumps(config).encode()})
        told = cli("sample", "bob/gan")
        check_refused(told, "was written by a later version of ganzoo; install it: pip install --upgrade torch-ganzoo")
        assert "evil" not in told.stderr


MEASURE = """
import json, os, resource, sys, tempfile, time
from pathlib import Path
import torch
torch.set_num_threads(1)
from benchmarks import hostile
from ganzoo.model import GAN
from ganzoo.registry import installed
with tempfile.TemporaryDirectory() as place:
    folder, path = Path(place) / "model", Path(place) / "mutated.safetensors"
    hostile.make_model(folder)
    text, weights = (folder / "config.json").read_bytes(), (folder / "generator.safetensors").read_bytes()
    network = GAN.from_pretrained(folder).networks["generator"]
    compiled = "torch._dynamo" in sys.modules
    hostile.limit_memory(2**30)

    def changed(**parts):
        config = json.loads(text)
        for kind, options in parts.items():
            if kind in config["components"]:
                name = options.pop("name", config["components"][kind]["name"])
                config["components"][kind] |= {"name": name, "options": options}
            else:
                config[kind] = config[kind] | options if isinstance(options, dict) else options
        return json.dumps(config).encode()

    extremes = {
        "wide": changed(generator={"hidden": 10**9}),
        "half a gigabyte": changed(generator={"hidden": 11_000}),
        "long": changed(generator={"z_dim": 2**31}),
        "wide dcgan": changed(generator={"name": "zoo/dcgan", "width": 10**9}, shape={"height": 16, "width": 16}),
        "wide sngan": changed(discriminator={"name": "zoo/sngan", "width": 10**9}, shape={"height": 16, "width": 16}),
        "strided": changed(
            discriminator={"name": "zoo/patch", "strides": 10**9}, shape={"height": 2**14, "width": 2**14}
        ),
        "deep": changed(generator={"name": "zoo/stylegan2", "mapping": 10**9}),
        "too wide": changed(generator={"hidden": 2**31 + 1}),
        "endless": changed(generator={"hidden": 10**400}),
        "negative": changed(generator={"hidden": -1}),
        "none": changed(generator={"hidden": 0}),
        "not a number": changed(generator={"hidden": float("nan")}),
        "infinite": changed(discriminator={"noise": float("inf")}),
        "lists": changed(generator={"hidden": hostile.deep(3)}),
        "a thousand": changed(generator={"hidden": [10**9] * 1000}),
        "more": changed(generator={"hidden": [1] * 1001}),
        "text": changed(generator={"hidden": "x" * 1001}),
        "options": changed(generator={f"o{n}": n for n in range(101)}),
        "images": changed(shape={"height": 2**14, "width": 2**14}),
        "larger images": changed(shape={"height": 2**14 + 1}),
        "classes": changed(shape={"classes": 2**20}, class_names=["x"] * 2**17),
        "files": changed(sha256={f"n{n}.safetensors": "0" * 64 for n in range(101)}),
        "path": changed(sha256={"../evil.safetensors": "0" * 64}),
        "deep JSON": b"[" * 200_000,
        "deep value": text[:-2] + b', "x": ' + b"[" * 90_000 + b"]" * 90_000 + b"}",
        "digits": text.replace(b'"hidden": 4', b'"hidden": ' + b"9" * 5000),
        "twice": text.replace(b'"hidden": 4', b'"hidden": 4, "hidden": 5'),
        "large": text[:-2] + b" " * 2**20 + b"}",
        "zeros": bytes(1000),
        "empty": b"",
    }
    found, before = {}, hostile.peak()
    for label, content in extremes.items():
        began = time.process_time()
        found[label] = [*hostile.outcome(lambda: hostile.read_config(folder, content)), time.process_time() - began]
    def one_config(number):
        content = hostile.mutated_config(text, hostile.rng_of(0, number))
        return lambda: hostile.read_config(folder, content)
    def one_header(number):
        content = hostile.mutated_weights(weights, hostile.rng_of(0, number))
        return lambda: hostile.read_weights(path, content, network)
    configs, headers = hostile.count(300, one_config), hostile.count(2000, one_header)
print(json.dumps([found, configs, headers, before, compiled]))
"""


def test_hostile_files_give_documented_errors_in_bounded_memory() -> None:
    done = subprocess.run(
        [sys.executable, "-W", "ignore", "-c", MEASURE],
        cwd=ROOT,
        capture_output=True,
        text=True,
        check=False,
        timeout=300,
    )
    assert done.returncode == 0, done.stderr
    found, configs, headers, before, compiled = json.loads(done.stdout)
    assert not compiled, "reading a model imported torch's compiler, which takes seconds"
    allowed = {"CorruptFile", "BadOption", "Incompatible"}
    assert {label: row for label, row in found.items() if row[0] not in allowed} == {}
    assert {label: row for label, row in found.items() if row[2] > 10} == {}
    for rows, least in ((configs, 30), (headers, 50)):
        assert rows["undocumented"] == []
        assert rows["outcomes"]["read"] >= least  # some mutations mean nothing, so the others are what is refused
        assert rows["outcomes"]["CorruptFile"] >= 0.5 * rows["inputs"]
        assert rows["peak_memory_MiB"]["after"] < before + 200


@pytest.mark.parametrize("kind", ["generator", "discriminator"])
def test_an_outline_has_the_shapes_of_its_network(kind: str) -> None:
    for found in installed().list(kind):
        if found.component.family:
            continue
        narrow = {"width": 4} if "width" in signature(found.component.load()).parameters else {}
        for options in (narrow, narrow | {"norm": "spectral"}, narrow | {"conditional": True}):
            shapes = []
            for made in (outlines("it"), torch.random.fork_rng(devices=[])):
                with made:
                    try:
                        network = installed().create(kind, found.qualified, (ImageShape(1, 16, 16, 10),), options)
                    except BadOption:
                        break
                    shapes.append({name: tensor.shape for name, tensor in network.state_dict().items()})
            assert len(shapes) != 1, found.qualified
            assert shapes[:1] == shapes[1:], found.qualified


def test_a_model_of_a_plugin(
    hub: Hub, plugin: Path, cli: Cli, tmp_path: Path, monkeypatch: pytest.MonkeyPatch, fresh: Callable[[], None]
) -> None:
    @contextmanager
    def path(*folders: Path) -> Iterator[None]:
        """As a new process with these folders on PYTHONPATH."""
        for name in [n for n in sys.modules if n.startswith("ganzoo_swish")]:
            del sys.modules[name]
        installed.cache_clear()
        fresh()
        with monkeypatch.context() as patch:
            for folder in folders:
                patch.syspath_prepend(folder)
            yield
        installed.cache_clear()

    values = {key: value for key, value in SMALL.items() if key != "gen.width"}
    with path(plugin):
        gan = ganzoo.train({**values, "gen": "swishgan", "gen.hidden": 8}, tmp_path / "run")
        gan.push_to_hub("alice/swish")
    with path():
        check_refused(
            cli("sample", "alice/swish"), "needs the package ganzoo-swish: look at it, then pip install ganzoo-swish"
        )
        with pytest.raises(UnknownComponent, match="no plugin 'swish' is installed"):
            GAN.from_pretrained("alice/swish")
        assert "(ganzoo-swish 0.1.0, which is not installed)" in good(cli("info", "hub:alice/swish"))
        assert not fetched(hub) & NETWORKS
    with path(plugin):
        found = GAN.from_pretrained("alice/swish")
        assert type(found.networks["generator"]).__module__ == "ganzoo_swish.net"
        assert same(found, gan)
    assert not [name for name in sys.path if name == str(plugin)]
