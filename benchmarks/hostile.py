"""Check that mutated model folders cause documented errors only, in bounded memory.

    python -m benchmarks.hostile [--configs 100000] [--headers 1000000] [--seed 0]

A mutated `config.json` is loaded with `GAN.from_pretrained`, including the weights if it still describes a model. Of a
mutated safetensors file, the header is checked, and the tensors are loaded if the check passes. The process may use
MARGIN bytes more memory than at the start. Input number N depends on SEED and N alone:
`mutated_config(text, rng_of(SEED, N))`. The exit code is 1 if an error is not one of `ganzoo.errors`.
"""

from __future__ import annotations

import argparse
import hashlib
import json
import math
import os
import random
import resource
import tempfile
import time
from collections import Counter
from collections.abc import Callable
from pathlib import Path
from typing import Any

import torch

from benchmarks.record import record
from ganzoo import GAN, ImageShape, configure
from ganzoo.base.storage import read_tensors
from ganzoo.errors import GanzooError
from ganzoo.model.format import check_weights
from ganzoo.registry.discovery import installed

MARGIN = 2**31
KINDS = ("generator", "discriminator", "ssl")
NUMBERS = (0, 1, -1, 3, 2**14, 2**14 + 1, 2**20, 10**9, 2**31, 2**31 + 1, 2**63, 2**64 - 1, 10**400, -(10**400))
HUGE = "9" * 5000  # more digits than Python converts to an int


def deep(levels: int) -> Any:
    """Return nested lists."""
    value: Any = 0
    for _ in range(levels):
        value = [value]
    return value


VALUES: tuple[Any, ...] = (
    *NUMBERS, None, True, False, 0.5, 1e308, -1e308, math.nan, math.inf, -math.inf,
    "", "x", "x" * 5000, "../../etc/passwd", "/dev/zero", "os:system", "--help", "a\0b", "\ud800", "\x1b[2J\n", "1e999",
    [], {}, [[]], {"name": "x"}, deep(3), deep(500), [0] * 2000, [[0] * 50] * 50, {str(n): n for n in range(300)},
)  # fmt: skip
OPTIONS = (
    "hidden", "z_dim", "width", "conditional", "depth", "mapping", "strides", "norm", "noise", "backbone", "pretrained",
    "gan", "name", "shape", "__class__", "self", "target",
)  # fmt: skip
KEYS = (
    "__metadata__",
    "format",
    "dtype",
    "sha256",
    "generator",
    "config.json",
    "a\0b",
    "\ud800",
    "\x1b[2J\n",
    "x" * 300,
)
TYPES = ("F64", "F32", "F16", "BF16", "I64", "I32", "I16", "I8", "U8", "U16", "U32", "U64", "BOOL", "C64", "F8_E4M3",
         "F8_E5M2", "F8_E8M0", "F4", "F6_E2M3", "F6_E3M2", "f32", "", "O", 32, None, ["F32"])  # fmt: skip


def rng_of(seed: int, number: int) -> random.Random:
    """Return the random number generator of one input."""
    return random.Random(f"{seed} {number}")


def make_model(folder: Path) -> GAN:
    """Write the model folder whose files are mutated, and return the model."""
    values = {"gen": "mlp", "disc": "mlp", "gen.hidden": 4, "data.size": 8}
    gan = GAN.build(configure(values=values), ImageShape(1, 8, 8, 10), class_names=[str(n) for n in range(10)])
    gan.save(folder)
    return gan


def mutated_config(text: bytes, rng: random.Random) -> bytes:
    """Return a `config.json` after one to three mutations: of its values, of its text, of its bytes."""
    value = json.loads(text)
    for _ in range(rng.randrange(4)):
        mutate(value, rng)
    content = json.dumps(value).encode()
    kind = rng.random()
    if kind < 0.3:
        return mutated_bytes(content, rng)
    return mutated_text(content, rng) if kind < 0.4 else content


def mutate(value: Any, rng: random.Random) -> None:
    """Change a JSON value in one place: replace a value, remove or add a key, or swap two values."""
    places = within(value)
    if not places:
        return
    container, key = rng.choice(places)
    holders = [v for c, k in places if isinstance(v := c[k], dict)]
    match rng.randrange(6):
        case 0 | 1:
            container[key] = hostile(rng)
        case 2:
            del container[key]
        case 3 if holders:
            rng.choice(holders)[rng.choice(KEYS + OPTIONS)] = hostile(rng)
        case 4:
            other, at = rng.choice(places)  # copies: one may be within the other
            container[key], other[at] = copy(other[at]), copy(container[key])
        case _ if isinstance(value, dict) and isinstance(value.get("components"), dict):
            option(value["components"], rng)


def option(components: dict[str, Any], rng: random.Random) -> None:
    """Replace a component by another one, or one of its options by a hostile value."""
    kind = rng.choice(KINDS)
    if isinstance(component := components.get(kind), dict):
        if rng.random() < 0.1:
            component["name"] = rng.choice([r.qualified for r in installed().list(kind)]) + rng.choice(
                ("", "/resnet18")
            )
        elif isinstance(options := component.get("options"), dict):
            options[rng.choice(OPTIONS)] = hostile(rng)


def hostile(rng: random.Random) -> Any:
    """Return a value that the library does not write."""
    return copy(rng.choice(VALUES))


def copy(value: Any) -> Any:
    """Return a copy of a JSON value."""
    return json.loads(json.dumps(value))


def within(value: Any, levels: int = 5) -> list[tuple[Any, Any]]:
    """Return (container, key) of every place in a JSON value, down to some level."""
    if not levels:
        return []
    keys = list(value) if isinstance(value, dict) else range(len(value)) if isinstance(value, list) else ()
    return [place for key in keys[:30] for place in ((value, key), *within(value[key], levels - 1))]


def mutated_text(content: bytes, rng: random.Random) -> bytes:
    """Return JSON that no writer produces: duplicate keys, huge numbers, deep nesting, other encodings."""
    at = rng.choice([n for n in range(len(content)) if content[n : n + 1] in b'":,{}[]'])
    match rng.randrange(5):
        case 0:
            return content[:-1] + b", " + content[1:]
        case 1:
            return content[:at] + HUGE.encode() + content[at:]
        case 2:
            return content[:at] + rng.choice((b"[", b'{"a":', b"{")) * 200_000
        case 3:
            return content.decode().encode(rng.choice(("utf-16", "utf-32", "utf-8-sig")))
        case _:
            return content + b" " * rng.choice((1, 2**20)) + rng.choice((b"", content, b"\0"))


def mutated_bytes(content: bytes, rng: random.Random) -> bytes:
    """Return bytes after one mutation: some are changed, removed, repeated or inserted."""
    data, at = bytearray(content), rng.randrange(len(content) + 1)
    end = min(at + rng.choice((1, 2, 8, 64, 1024)), len(data))
    match rng.randrange(5):
        case 0:
            for _ in range(rng.choice((1, 1, 2, 8))):
                data[rng.randrange(len(data))] ^= 1 << rng.randrange(8)
        case 1:
            del data[at:]
        case 2:
            del data[at:end]
        case 3:
            data[at:at] = data[at:end]
        case _:
            data[at:at] = rng.randbytes(rng.choice((1, 2, 8, 64, 1024)))
    return bytes(data)


def mutated_weights(content: bytes, rng: random.Random) -> bytes:
    """Return a safetensors file with a changed length, header (its JSON or its bytes) or data."""
    size = int.from_bytes(content[:8], "little")
    text, data = content[8 : 8 + size], content[8 + size :]
    kind = rng.random()
    if kind < 0.15:
        lengths = (0, 1, 2, size - 1, size + 1, 2 * size, len(content), 2**23, 2**23 + 1, 2**31, 2**63, 2**64 - 1)
        return rng.choice((*lengths, rng.getrandbits(64))).to_bytes(8, "little") + content[8:]
    if kind < 0.3:
        head = mutated_bytes(content[: 8 + size], rng)
        return head + data
    if kind < 0.4:
        return mutated_bytes(content, rng)
    if kind < 0.5:
        text = mutated_bytes(text, rng) if rng.random() < 0.5 else mutated_text(text, rng)
    else:
        header = json.loads(text)
        for _ in range(rng.randrange(1, 4)):
            mutate_header(header, rng)
        text = json.dumps(header).encode()
        text += b" " * (-len(text) % 8 if rng.random() < 0.8 else rng.randrange(8))
    return len(text).to_bytes(8, "little") + text + data


def mutate_header(header: dict[str, Any], rng: random.Random) -> None:
    """Change a header in one place: type, shape, offsets or name of a tensor, or as any JSON value."""
    if rng.random() < 0.3 or not header:
        return mutate(header, rng)
    name = rng.choice([*header])
    tensor = header[name]
    if not isinstance(tensor, dict) or not isinstance(tensor.get("shape"), list) or "data_offsets" not in tensor:
        return mutate(header, rng)
    shape, offsets = tensor["shape"], tensor["data_offsets"]
    match rng.randrange(7):
        case 0:
            tensor["dtype"] = rng.choice(TYPES)
        case 1:
            shape.insert(rng.randrange(len(shape) + 1), rng.choice((0, 1, 1, *NUMBERS)))
        case 2 if shape:
            shape[rng.randrange(len(shape))] = rng.choice(NUMBERS)
        case 3:
            rng.shuffle(shape)
        case 4 if isinstance(offsets, list) and offsets:
            old = offsets[(at := rng.randrange(len(offsets)))]
            near = [old + n for n in (-8, -4, -1, 1, 4, 8)] if isinstance(old, int) else []
            offsets[at] = rng.choice((*near, *NUMBERS))
        case 5:
            header[rng.choice(KEYS)] = header.pop(name)
        case _:
            header[f"{name}{rng.randrange(3)}"] = tensor
    return None


def read_config(folder: Path, content: bytes) -> None:
    """Load a model folder with another `config.json`."""
    (folder / "config.json").write_bytes(content)
    GAN.from_pretrained(folder)


def read_weights(path: Path, content: bytes, network: torch.nn.Module) -> None:
    """Check a safetensors file as loading a model does, and load it into its network if the check passes."""
    path.unlink(missing_ok=True)  # a new file: the old one may still be mapped
    path.write_bytes(content)
    check_weights(path, hashlib.sha256(content).hexdigest(), network.state_dict(), path.name)
    network.load_state_dict(read_tensors(path))


def outcome(read: Callable[[], None]) -> tuple[str, str]:
    """Return the type of the error that a read raises, and its message if the error is not documented."""
    try:
        read()
    except GanzooError as error:
        return type(error).__name__, ""
    except (KeyboardInterrupt, SystemExit):
        raise
    except BaseException as error:  # a panic in a Rust library is not an Exception
        return f"undocumented {type(error).__name__}", f"{type(error).__name__}: {error}"
    return "read", ""


def count(times: int, attempt: Callable[[int], Callable[[], None]]) -> dict[str, Any]:
    """Return how often each outcome occurs, the first undocumented ones, seconds, and peak memory before and after."""
    found: Counter[str] = Counter()
    wrong: list[str] = []
    before, began, slowest = peak(), time.perf_counter(), (0.0, 0)
    for number in range(times):
        read, start = attempt(number), time.perf_counter()
        name, message = outcome(read)
        slowest = max(slowest, (time.perf_counter() - start, number))
        found[name] += 1
        if message and len(wrong) < 20:
            wrong.append(f"{number}: {message:.300}")
    return {
        "inputs": times,
        "outcomes": dict(found.most_common()),
        "undocumented": wrong,
        "seconds": round(time.perf_counter() - began, 1),
        "slowest": {"input": slowest[1], "seconds": round(slowest[0], 3)},
        "peak_memory_MiB": {"before": before, "after": peak()},
    }


def peak() -> int:
    """Return the peak memory of this process in MiB."""
    return resource.getrusage(resource.RUSAGE_SELF).ru_maxrss // 1024


def limit_memory(margin: int = MARGIN) -> None:
    """Limit the address space of this process to what it has now and a margin, in bytes."""
    pages = int(Path("/proc/self/statm").read_text().split()[0])
    bound = pages * resource.getpagesize() + margin
    resource.setrlimit(resource.RLIMIT_AS, (bound, bound))


def main() -> None:
    """Measure and record."""
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument("--configs", type=int, default=100_000)
    parser.add_argument("--headers", type=int, default=1_000_000)
    parser.add_argument("--seed", type=int, default=0)
    chosen = parser.parse_args()
    os.environ["HF_HUB_OFFLINE"] = "1"
    torch.set_num_threads(1)
    with tempfile.TemporaryDirectory(dir="/dev/shm" if Path("/dev/shm").is_dir() else None) as place:
        folder, path = Path(place) / "model", Path(place) / "mutated.safetensors"
        gan = make_model(folder)
        config = (folder / "config.json").read_bytes()
        weights = (folder / "generator.safetensors").read_bytes()
        network = GAN.from_pretrained(folder).networks["generator"]
        assert outcome(lambda: read_config(folder, config)) == ("read", "")
        assert outcome(lambda: read_weights(path, weights, network)) == ("read", "")
        limit_memory()

        def one_config(number: int) -> Callable[[], None]:
            content = mutated_config(config, rng_of(chosen.seed, number))
            return lambda: read_config(folder, content)

        def one_header(number: int) -> Callable[[], None]:
            content = mutated_weights(weights, rng_of(chosen.seed, number))
            return lambda: read_weights(path, content, network)

        result: dict[str, Any] = {
            "seed": chosen.seed,
            "networks": list(gan.networks),
            "margin_MiB": MARGIN >> 20,
            "configs": count(chosen.configs, one_config),
            "headers": count(chosen.headers, one_header),
        }
    record("hostile", result)
    raise SystemExit(any(result[what]["undocumented"] for what in ("configs", "headers")))


if __name__ == "__main__":
    main()
