"""Tables of measurements: every number on the pages comes from the JSON files in benchmarks/results."""

from __future__ import annotations

import json
import re
import statistics
from collections.abc import Callable, Iterator, Mapping, Sequence
from pathlib import Path
from typing import Any

from tables import code, table

from ganzoo import configure
from ganzoo.cli.settings import FORMER_FLAGS
from ganzoo.config.migrate import renamed_key
from ganzoo.config.schema import Config
from ganzoo.registry.discovery import installed
from ganzoo.run.folder import FORMER_METRICS
from ganzoo.study import short

RESULTS = Path(__file__).parents[1] / "benchmarks" / "results"
OFF = "ssl.gan=off"
HERE = "; here "
"""What follows it in a preset's summary has a column of its own."""
WATCHED = {
    "generator slope": "generator_loss_slope",
    "discriminator slope": "discriminator_loss_slope",
    "diversity": "diversity",
}
"""Metrics whose smallest values are shown for runs that were watched, by the headings of their columns."""
FORMER = {new: old for old, new in FORMER_METRICS.items()}
HASH = re.compile(r"[0-9a-f]{64}")
FLAG = re.compile(r"(?<= )(--set )?([\w.-]+)(?==| |$)")


def measured() -> str:
    """Return a section for each file in benchmarks/results, with the machine that it was measured on."""
    return "\n\n".join(measurement(path.stem, read(path)) for path in sorted(RESULTS.glob("*.json")))


def measurement(name: str, kept: dict[str, Any]) -> str:
    """Return one measurement: command, machine, versions, commit, and every value."""
    rows = [
        [f"`{key}`", measured_value(key, value)]
        for key, value in flat(kept["result"])
        if key != "command" and not isinstance(value, list)
    ]
    command = kept["result"].get("command", f"python -m benchmarks.{name}")
    head = f"## {name.replace('_', ' ')}\n\n`{command}`. {stamp(kept)}"
    return f"{head}\n\n{table(['name', 'value'], rows)}"


def measured_value(key: str, value: Any) -> str:
    """Return a value as a cell of a table shows it."""
    if isinstance(value, float):
        return f"{value:.6g}"
    if HASH.fullmatch(str(value)):
        return f"{value[:8]}…"
    return code(value) if key.endswith("command") else str(value)


def reproductions() -> str:
    """Return a table of the runs of presets on MNIST, every value with its split."""
    return runs_table(lambda r: "" if as_now(r) else ", an earlier recipe", lambda r: not r.get("changed"))


def variations() -> str:
    """Return a table of the runs of presets with changed settings."""
    return runs_table(lambda r: "".join(f", {code(c)}" for c in r["changed"]), lambda r: bool(r.get("changed")))


def runs_table(more: Callable[[dict[str, Any]], str], shown: Callable[[dict[str, Any]], bool]) -> str:
    """Return a table of runs; `more` returns what is added to the name of a run's preset."""
    groups: dict[tuple[Any, ...], list[dict[str, Any]]] = {}
    for kept in runs():
        if shown(r := kept["result"]):
            key = (r["preset"], more(r), -r["labels"], r["steps"], kept["machine"]["cores"])
            groups.setdefault(key, []).append(kept)
    if not groups:
        return "None has been run yet."
    rows, stamps = [], {}
    for (preset, added, labels, steps, cores), group in sorted(groups.items()):
        results = sorted((k["result"] for k in group), key=lambda r: r["seed"])
        errors = [r["error"] for r in results]
        raw = statistics.fmean(r["error_raw"] for r in results)
        minutes = statistics.fmean(r["seconds"] for r in results) / 60
        name = code(preset) + added
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
    """Return how much better presets are than the same presets with changed settings, split by split."""
    errors: dict[tuple[Any, ...], dict[int, float]] = {}
    for kept in runs():
        changed = (r := kept["result"]).get("changed", [])
        if changed and len(changes(r)) == len(changed):  # otherwise it ran an earlier recipe
            errors.setdefault((r["preset"], r["labels"], *changed), {})[r["split_seed"]] = r["error"]
    rows = []
    for (preset, labels, *changed), found in sorted(errors.items()):
        better = as_is(preset, labels)
        values = [difference(found, better), str(len(found.keys() & better.keys()))]
        rows.append([code(preset), str(labels), ", ".join(map(code, changed)), *values])
    return (
        table(["preset", "labels", "compared with", "better by", "splits"], rows) if rows else "None has been run yet."
    )


def runs() -> list[dict[str, Any]]:
    """Return the stored results of the runs of presets on MNIST."""
    return [read(path) for path in sorted((RESULTS / "ssl_mnist").glob("*.json"))]


def as_is(preset: str, labels: int) -> dict[int, float]:
    """Return the errors of a preset's present recipe by split; of a split that was run twice, the first error."""
    results = [k["result"] for k in runs() if (k["result"]["preset"], k["result"]["labels"]) == (preset, labels)]
    return {r["split_seed"]: r["error"] for r in reversed(results) if not r.get("changed") and as_now(r)}


def as_now(result: dict[str, Any]) -> bool:
    """Return whether a run had the present recipe of its preset."""
    return result["preset"] in {r.component.name for r in installed().list("preset")} and not changes(result)


def changes(result: dict[str, Any]) -> list[str]:
    """Return the settings in which a run differs from its preset, apart from seed, labels and evaluation intervals.

    These presets are of data with a test part, from which no fraction is held out.
    """
    now = dict(flat(configure(preset=result["preset"]).to_dict()))
    then = dict(flat(Config.restore(result["config"]).to_dict()))
    keys = [key for key in dict.fromkeys([*then, *now]) if then.get(key) != now.get(key)]
    ignored = ("seed", "data.split_seed", "data.labels", "data.test_fraction", "data.cache")
    return [key for key in keys if key not in ignored and not key.endswith("_every")]


def published() -> str:
    """Return a table of the presets for few labels: source, published result and result here."""
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
    """Return the error of a preset's present recipe with its own number of labels, or that it has not been run."""
    errors = as_is(preset, installed().get("preset", preset).component.load()["data"]["labels"])
    return f"{spread([*errors.values()])} % ({len(errors)} runs)" if errors else "not yet run"


def zoo() -> str:
    """Return a section for each generator that was trained for minutes: images, command, time and machine."""
    sections = []
    for path in sorted((RESULTS / "zoo").glob("*.json")):
        kept, name = read(path), path.stem
        r = kept["result"]
        cost = f"{r['steps']} steps in {r['seconds'] / 60:.1f} minutes. {stamp(kept)}"
        picture = f"![Grid of 64 digits generated by {name}](assets/zoo/{name}.png)"
        sections.append(f"### {name}\n\n{picture}\n\n```bash\n{current(r['command'])}\n```\n\n{cost}")
    return "\n\n".join(sections) or "None has been run yet."


def matrix() -> str:
    """Return how many combinations of components were tried, and the reasons for which some are refused."""
    shares = [read(p) for p in sorted((RESULTS / "matrix").glob("*-of-*.json"))]
    if not shares:
        return "It has not been run in full yet."
    of = int(next((RESULTS / "matrix").glob("*-of-*.json")).stem.rpartition("-")[2])
    total = {name: sum(s["result"][name] for s in shares) for name in ("trained", "refused", "failed")}
    reasons: dict[str, int] = {}
    for share in shares:
        for reason, n in share["result"]["reasons"].items():
            reasons[reason] = reasons.get(reason, 0) + n
    rows = [[str(n), reason] for reason, n in sorted(reasons.items(), key=lambda r: -r[1])]
    counts = ", ".join(f"{n:,} {name}" for name, n in total.items())
    done = "All" if len(shares) == of else f"{len(shares)} of {of} shares of all"
    head = f"**{done} combinations: {counts}.** {'; '.join(dict.fromkeys(map(stamp, shares)))}"
    return f"{head}\n\n{table(['refused', 'reason'], rows)}"


def studies(*names: str) -> str:
    """Return studies by name, or all: command, table, machine and every value."""
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
            f"```bash\n{current(result['command'])}\n```",
            table(["strategy", *(f"{n} labels" for n in labels)], rows),
            f"Test error in %, mean ± sample standard deviation (runs); averaged weights. {stamp(kept)}",
            "Every value, by seed:",
            table(["strategy", "labels", "errors"], values),
        ]
    )


def gains(*names: str) -> str:
    """Return how much better every strategy is than `supervised`, and the share of its GAN, seed by seed."""
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
    return table(["strategy", "better than `supervised` by", "of which the GAN contributes"], rows)


def difference(worse: dict[Any, float], better: dict[Any, float]) -> str:
    """Return the mean difference of errors, seed by seed, and its spread."""
    both = [worse[key] - better[key] for key in better if key in worse]
    return spread(both, sign="+") if both else ""


def scores() -> str:
    """Return a section for each data set that scores were tested on: table, command and pictures."""
    sections = []
    for path in sorted((RESULTS / "scores").glob("*.json")):
        kept = read(path)
        r, stamped = kept["result"], kept["result"]["stamp"]
        shown = [value for value in next(iter(r["rows"].values())) if not value.endswith("_std")]
        rows = [[name, *(f"{values[value]:.4g}" for value in shown)] for name, values in r["rows"].items()]
        wrong = [code(value) for value, right in r["ordered"].items() if not right]
        verdict = f"**In the wrong order:** {', '.join(wrong)}." if wrong else (
            f"In the right order: {', '.join(map(code, r['ordered']))}."
        )  # fmt: skip
        details = (
            f"{r['number']:,} images of each row, {stamped['real_count']:,} of {stamped['real']}; features "
            f"{code(stamped['extractor'])} {stamped['extractor_sha256'][:8]}, resize: {stamped['resize']}. "
            f"Trained in {r['seconds']['training'] / 60:.1f} minutes. {stamp(kept)}"
        )
        names = ", ".join(r["rows"])
        picture = f"![Rows of images: {names}](assets/scores/{r['data']}.png)"
        command = f"```bash\n{current(r['command'])}\n```"
        heading = f"### {r['data']}"
        sections.append("\n\n".join([heading, table(["", *shown], rows), verdict, picture, command, details]))
    return "\n\n".join(sections) or "None has been run yet."


def loading() -> str:
    """Return a table of the time that it takes to load a model from the cache, and to do the same by hand."""
    kept = read(RESULTS / "loading.json")
    rows = [
        [name, scope, *(f"{t[way]:.0f}" for way in ("by hand", "cache")), f"**{t['cache over by hand']:.2f}**",
         f"{t['offline over by hand']:.2f}", f"{t['hub over by hand']:.2f}"]
        for name, found in kept["result"].items() if name != "rounds"
        for scope in ("generator", "whole")
        for t in [found[scope]["all"]]
    ]  # fmt: skip
    head = ["network", "read", "by hand (ms)", "from the cache (ms)", "ratio", "offline", "when the Hub is asked"]
    return f"{table(head, rows)}\n\n{stamp(kept)}"


def watched() -> str:
    """Return a table of the runs that were watched: changed settings, warnings, and the smallest values of metrics."""
    rows, stamps = [], {}
    for path in sorted((RESULTS / "watch").glob("*.json")):
        kept = read(path)
        r = kept["result"]
        changed = ", ".join(code(f"{renamed_key(key) or key}={value}") for key, value in r["changed"].items())
        told = "; ".join(f"{w['name']} at step {w['step']}" for w in r["warnings"]) or r["ended"] or "none"
        nearest = [r["nearest"].get(name) or r["nearest"].get(FORMER.get(name), {}) for name in WATCHED.values()]
        least = [f"{value:.3g}" if (value := n.get("least", n.get("most"))) is not None else "" for n in nearest]
        rows.append([code(path.stem), changed, str(r["steps"]), f"**{told}**" if r["warnings"] else told, *least])
        stamps[stamp(kept)] = None
    if not rows:
        return "None has been run yet."
    head = ["run", "changed in the preset", "steps", "warnings", *WATCHED]
    return "\n".join([table(head, rows), "", *(f"- {line}" for line in stamps)])


def current(command: str) -> str:
    """Return a command that was measured earlier with the present names of its flags and configuration keys."""
    return FLAG.sub(lambda m: f"{m[1]}{renamed_key(m[2]) or m[2]}" if m[1] else FORMER_FLAGS.get(m[2], m[2]), command)


def spread(values: Sequence[float], sign: str = "") -> str:
    """Return mean ± sample standard deviation, in per cent."""
    mean = f"{100 * statistics.fmean(values):{sign}.2f}"
    return f"{mean} ± {100 * statistics.stdev(values):.2f}" if len(values) > 1 else mean


def percent(value: float) -> str:
    """Return a fraction in per cent."""
    return f"{100 * value:.2f}"


def stamp(kept: dict[str, Any]) -> str:
    """Return the machine, the versions and the commit of a measurement."""
    machine, versions = kept["machine"], kept["versions"]
    count = machine["cores"]
    where = [machine["processor"], f"{count} core{'s' * (count > 1)}", *machine["bf16"], machine["gpu"] or ""]
    made = [f"{package} {version}" for package, version in versions.items()]
    return f"Measured on {', '.join(filter(None, where))}; {', '.join(made)}; commit {kept['commit']}."


def read(path: Path) -> dict[str, Any]:
    """Return the content of a JSON file."""
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
