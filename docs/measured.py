"""What was measured, as tables: every number of the pages comes from the JSON in benchmarks/results."""

from __future__ import annotations

import json
import statistics
from collections.abc import Callable, Iterator, Mapping, Sequence
from pathlib import Path
from typing import Any

from tables import code, table

from ganzoo import configure
from ganzoo.config import Config
from ganzoo.registry import installed
from ganzoo.study import short

RESULTS = Path(__file__).parents[1] / "benchmarks" / "results"
OFF = "ssl.gan=off"
HERE = "; here "
"""What comes after it in a preset's summary is said by a column of its own."""


def measured() -> str:
    """Return a section for each file in benchmarks/results, with where it was measured."""
    return "\n\n".join(measurement(path.stem, read(path)) for path in sorted(RESULTS.glob("*.json")))


def measurement(name: str, kept: dict[str, Any]) -> str:
    """Return one measurement: every value, then machine, versions and commit."""
    rows = [
        [f"`{key}`", str(value)]
        for key, value in flat(kept["result"])
        if key != "command" and not isinstance(value, list)
    ]
    command = kept["result"].get("command", f"python -m benchmarks.{name}")
    head = f"## {name.replace('_', ' ')}\n\n`{command}`. {stamp(kept)}"
    return f"{head}\n\n{table(['what', 'value'], rows)}"


def reproductions() -> str:
    """Return a table of the runs of presets on MNIST: what came of them, every value with its split."""
    return runs_table(lambda r: "" if as_now(r) else ", an earlier recipe", lambda r: not r.get("changed"))


def variations() -> str:
    """Return a table of the runs of presets with something changed on purpose."""
    return runs_table(lambda r: "".join(f", {code(c)}" for c in r["changed"]), lambda r: bool(r.get("changed")))


def runs_table(more: Callable[[dict[str, Any]], str], shown: Callable[[dict[str, Any]], bool]) -> str:
    """Return a table of runs; `more` is said of each beside its preset."""
    groups: dict[tuple[Any, ...], list[dict[str, Any]]] = {}
    for kept in runs():
        if shown(r := kept["result"]):
            key = (r["preset"], more(r), -r["labels"], r["steps"], kept["machine"]["cores"])
            groups.setdefault(key, []).append(kept)
    if not groups:
        return "None was run to its end yet."
    rows, stamps = [], {}
    for (preset, said, labels, steps, cores), group in sorted(groups.items()):
        results = sorted((k["result"] for k in group), key=lambda r: r["seed"])
        errors = [r["error"] for r in results]
        raw = statistics.fmean(r["error_raw"] for r in results)
        minutes = statistics.fmean(r["seconds"] for r in results) / 60
        name = code(preset) + said
        rows.append(
            [
                name, str(-labels), f"**{spread(errors)}** ({len(errors)})", percent(statistics.median(errors)),
                ", ".join(f"{percent(r['error'])} ({r['split_seed']})" for r in results), percent(raw), str(steps),
                f"{minutes:.0f} ({cores})",
            ]
        )  # fmt: skip
        stamps |= {f"{name}, {-labels} labels, {steps} steps: {stamp(k)}": None for k in group}
    head = ["preset", "labels", "error % (runs)", "median", "every value (its split)", "raw weights", "steps"]
    return "\n".join([table([*head, "minutes (cores)"], rows), "", *(f"- {line}" for line in stamps)])


def preset_gains() -> str:
    """Return how much better presets as they are now are than with something changed, split by split."""
    errors: dict[tuple[Any, ...], dict[int, float]] = {}
    for kept in runs():
        changed = (r := kept["result"]).get("changed", [])
        if changed and len(changes(r)) == len(changed):  # else it is of an earlier recipe
            errors.setdefault((r["preset"], r["labels"], *changed), {})[r["split_seed"]] = r["error"]
    rows = []
    for (preset, labels, *changed), found in sorted(errors.items()):
        better = as_is(preset, labels)
        values = [difference(found, better), str(len(found.keys() & better.keys()))]
        rows.append([code(preset), str(labels), ", ".join(map(code, changed)), *values])
    return table(["preset", "labels", "than with", "better by", "splits"], rows) if rows else "None was run yet."


def runs() -> list[dict[str, Any]]:
    """Return what is kept of the runs of presets on MNIST."""
    return [read(path) for path in sorted((RESULTS / "ssl_mnist").glob("*.json"))]


def as_is(preset: str, labels: int) -> dict[int, float]:
    """Return the errors by split of a preset as it is now; a split that was run again counts once, as it was first."""
    wanted = [k["result"] for k in runs() if (k["result"]["preset"], k["result"]["labels"]) == (preset, labels)]
    return {r["split_seed"]: r["error"] for r in reversed(wanted) if not r.get("changed") and as_now(r)}


def as_now(result: dict[str, Any]) -> bool:
    """Whether a run had its preset's recipe as it is now."""
    return result["preset"] in {r.component.name for r in installed().list("preset")} and not changes(result)


def changes(result: dict[str, Any]) -> list[str]:
    """Return the settings of a run that its preset does not have now, but for seed, labels and how often it looked."""
    now = dict(flat(configure(preset=result["preset"]).to_dict()))
    then = dict(flat(Config.parse(result["config"]).to_dict()))
    keys = [key for key in dict.fromkeys([*then, *now]) if then.get(key) != now.get(key)]
    about = ("seed", "data.split_seed", "data.labels")
    return [key for key in keys if key not in about and not key.endswith("_every")]


def published() -> str:
    """Return a table of the presets for few labels, with their papers and what these have."""
    rows = [
        [code(r.component.name), r.component.summary.partition(HERE)[0], r.component.paper, ran(r.component.name)]
        for r in installed().list("preset")
        if few_labels(r.component.load())
    ]
    return table(["preset", "what it is", "source", "here"], rows)


def few_labels(values: Mapping[str, Any]) -> bool:
    """Return whether a preset is about few labels of a named data set."""
    return isinstance(values["data"].get("labels"), int) and values["data"]["source"] != "digits"


def ran(preset: str) -> str:
    """Return what a preset as it is now came to with its own number of labels, or that it was not run."""
    errors = as_is(preset, installed().get("preset", preset).component.load()["data"]["labels"])
    return f"{spread([*errors.values()])} % ({len(errors)} runs)" if errors else "not yet run"


def zoo() -> str:
    """Return a section for each generator that was run for minutes: its images, command, time and machine."""
    parts = []
    for path in sorted((RESULTS / "zoo").glob("*.json")):
        kept, name = read(path), path.stem
        r = kept["result"]
        said = f"{r['steps']} steps in {r['seconds'] / 60:.1f} minutes. {stamp(kept)}"
        picture = f"![64 digits made by {name}, in a grid](assets/zoo/{name}.png)"
        parts.append(f"### {name}\n\n{picture}\n\n```bash\n{r['command']}\n```\n\n{said}")
    return "\n\n".join(parts) or "None was run yet."


def matrix() -> str:
    """Return how many combinations of parts were tried, part by part of the matrix, and why some are refused."""
    parts = [read(p) for p in sorted((RESULTS / "matrix").glob("*-of-*.json"))]
    if not parts:
        return "It was not run in full yet."
    of = int(next((RESULTS / "matrix").glob("*-of-*.json")).stem.rpartition("-")[2])
    total = {name: sum(p["result"][name] for p in parts) for name in ("trained", "refused", "failed")}
    reasons: dict[str, int] = {}
    for part in parts:
        for reason, n in part["result"]["reasons"].items():
            reasons[reason] = reasons.get(reason, 0) + n
    rows = [[str(n), reason] for reason, n in sorted(reasons.items(), key=lambda r: -r[1])]
    said = ", ".join(f"{n:,} {name}" for name, n in total.items())
    done = "All" if len(parts) == of else f"{len(parts)} of {of} parts of all"
    head = f"**{done} combinations: {said}.** {'; '.join(dict.fromkeys(stamp(p) for p in parts))}"
    return f"{head}\n\n{table(['refused', 'why'], rows)}"


def studies(*names: str) -> str:
    """Return studies by name, or all: table, command, every value, where each was made."""
    return "\n\n".join(study(name) for name in names or sorted(p.stem for p in (RESULTS / "studies").glob("*.json")))


def study(name: str) -> str:
    """Return one study."""
    kept = read(RESULTS / "studies" / f"{name}.json")
    result = kept["result"]
    cells = {(t["strategy"], t["labels"]): t for t in result["table"]}
    labels = list(dict.fromkeys(t["labels"] for t in result["table"]))
    strategies = list(dict.fromkeys(t["strategy"] for t in result["table"]))
    rows = [[code(s), *(short(c) if (c := cells.get((s, n))) else "" for n in labels)] for s in strategies]
    values = [[code(t["strategy"]), str(t["labels"]), ", ".join(map(percent, t["errors"]))] for t in result["table"]]
    return "\n\n".join(
        [
            f"```bash\n{result['command']}\n```",
            table(["strategy", *(f"{n} labels" for n in labels)], rows),
            f"Test error in %, mean ± sample standard deviation (runs); averaged weights. {stamp(kept)}",
            "Every value, by seed:",
            table(["strategy", "labels", "errors"], values),
        ]
    )


def gains(*names: str) -> str:
    """Return how much better than labels alone every strategy of studies is, and what its GAN adds of it, by seed."""
    cells = [cell for name in names for cell in read(RESULTS / "studies" / f"{name}.json")["result"]["cells"]]
    errors: dict[str, dict[tuple[Any, int], float]] = {}
    for cell in cells:
        if cell["error"] is not None:
            errors.setdefault(cell["strategy"], {})[cell["labels"], cell["seed"]] = cell["error"]
    rows = []
    for strategy, own in errors.items():
        if strategy == "supervised" or OFF in strategy:
            continue
        without = errors.get(f"{strategy.partition(':')[0]}:{OFF}", errors["supervised"])
        rows.append([code(strategy), difference(errors["supervised"], own), difference(without, own)])
    return table(["strategy", "better than `supervised` by", "of that, the GAN's part"], rows)


def difference(worse: dict[Any, float], better: dict[Any, float]) -> str:
    """Return the mean difference of errors, seed by seed, and its spread."""
    both = [worse[key] - better[key] for key in better if key in worse]
    return spread(both, sign="+") if both else ""


def scores() -> str:
    """Return a table for each data set that scores were tried on, what they compare, and pictures of the rows."""
    parts = []
    for path in sorted((RESULTS / "scores").glob("*.json")):
        kept = read(path)
        r, stamped = kept["result"], kept["result"]["stamp"]
        shown = [value for value in next(iter(r["rows"].values())) if not value.endswith("_std")]
        rows = [[name, *(f"{values[value]:.4g}" for value in shown)] for name, values in r["rows"].items()]
        wrong = [code(value) for value, right in r["ordered"].items() if not right]
        said = f"**Not ordered as it must be:** {', '.join(wrong)}." if wrong else (
            f"Ordered as they must be: {', '.join(map(code, r['ordered']))}."
        )  # fmt: skip
        about = (
            f"{r['number']:,} images of each row, {stamped['real_count']:,} of {stamped['real']}; features "
            f"{code(stamped['extractor'])} {stamped['extractor_sha256'][:8]}, resize: {stamped['resize']}. "
            f"Trained in {r['seconds']['training'] / 60:.1f} minutes. {stamp(kept)}"
        )
        names = ", ".join(r["rows"])
        picture = f"![Rows of images: {names}](assets/scores/{r['data']}.png)"
        command = f"```bash\n{r['command']}\n```"
        parts.append("\n\n".join([f"### {r['data']}", table(["", *shown], rows), said, picture, command, about]))
    return "\n\n".join(parts) or "None was run yet."


def loading() -> str:
    """Return a table of what reading a model from the cache takes, against the same by hand."""
    kept = read(RESULTS / "loading.json")
    rows = [
        [name, part, *(f"{t[way]:.0f}" for way in ("by hand", "cache")), f"**{t['cache over by hand']:.2f}**",
         f"{t['offline over by hand']:.2f}", f"{t['hub over by hand']:.2f}"]
        for name, found in kept["result"].items() if name != "rounds"
        for part in ("generator", "whole")
        for t in [found[part]["all"]]
    ]  # fmt: skip
    head = ["network", "read", "by hand (ms)", "from the cache (ms)", "ratio", "offline", "when the Hub is asked"]
    return f"{table(head, rows)}\n\n{stamp(kept)}"


def watched() -> str:
    """Return a table of the runs that were watched: what was changed, what was said, and the nearest signs."""
    rows, stamps = [], {}
    for path in sorted((RESULTS / "watch").glob("*.json")):
        kept = read(path)
        r = kept["result"]
        changed = ", ".join(code(f"{key}={value}") for key, value in r["changed"].items())
        said = "; ".join(f"{w['name']} at step {w['step']}" for w in r["warnings"]) or r["ended"] or "nothing"
        near = [
            f"{value:.3g}" if (value := sign.get("least", sign.get("most"))) is not None else ""
            for sign in (r["nearest"].get(name, {}) for name in ("generator_slope", "discriminator_slope", "diversity"))
        ]
        rows.append([code(path.stem), changed, str(r["steps"]), f"**{said}**" if r["warnings"] else said, *near])
        stamps[stamp(kept)] = None
    if not rows:
        return "None was run yet."
    head = ["run", "changed in the preset", "steps", "said", "least `generator_slope`", "least `discriminator_slope`"]
    return "\n".join([table([*head, "least `diversity`"], rows), "", *(f"- {line}" for line in stamps)])


def spread(values: Sequence[float], sign: str = "") -> str:
    """Return mean ± sample standard deviation, in per cent."""
    mean = f"{100 * statistics.fmean(values):{sign}.2f}"
    return f"{mean} ± {100 * statistics.stdev(values):.2f}" if len(values) > 1 else mean


def percent(value: float) -> str:
    """Return a part of one in per cent."""
    return f"{100 * value:.2f}"


def stamp(kept: dict[str, Any]) -> str:
    """Return where and with what a file was measured."""
    machine, versions = kept["machine"], kept["versions"]
    count = machine["cores"]
    where = [machine["processor"], f"{count} core{'s' * (count > 1)}", *machine["bf16"], machine["gpu"] or ""]
    made = [f"{package} {version}" for package, version in versions.items()]
    return f"Measured on {', '.join(filter(None, where))}; {', '.join(made)}; commit {kept['commit']}."


def read(path: Path) -> dict[str, Any]:
    """Return what a file holds."""
    kept: dict[str, Any] = json.loads(path.read_text(encoding="utf-8"))
    return kept


def flat(values: dict[str, Any], prefix: str = "") -> Iterator[tuple[str, Any]]:
    """Yield (dotted key, value) of nested values."""
    for key, value in values.items():
        if isinstance(value, dict):
            yield from flat(value, f"{prefix}{key}.")
        else:
            yield f"{prefix}{key}", value


PIECES: dict[str, Callable[..., str]] = {
    "measured": measured,
    "reproductions": reproductions,
    "variations": variations,
    "preset_gains": preset_gains,
    "published": published,
    "studies": studies,
    "loading": loading,
    "matrix": matrix,
    "zoo": zoo,
    "scores": scores,
    "watched": watched,
    "gains": gains,
}
