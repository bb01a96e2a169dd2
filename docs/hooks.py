"""Generate the reference tables from the code. The build fails where something has no documentation.

A line `<!-- generated: commands -->` of a page is replaced by what `commands()` returns, and so on; further words are
its arguments, as in `<!-- generated: options ssl/kplus1 penalty/vat -->`. A line `<!-- file: docs/examples/… -->` is
replaced by the content of that file, so that examples are files that can be run; names after it, as `Class.method`,
select classes and functions of a Python file.
"""

from __future__ import annotations

import ast
import functools
import inspect
import re
import textwrap
from collections.abc import Callable, Iterable
from pathlib import Path
from typing import Any, Literal, get_args, get_origin

import click
import measured
import yaml
from mkdocs.exceptions import PluginError
from pydantic import BaseModel
from tables import code, plain, table

import ganzoo
from ganzoo.cli import COMMANDS, main
from ganzoo.cli.settings import KEYS
from ganzoo.config.schema import Config, DataConfig, Optimizer
from ganzoo.registry import hookspecs
from ganzoo.registry.discovery import HOME, Registered, installed
from ganzoo.registry.hookspecs import KINDS
from ganzoo.registry.options import options_of
from ganzoo.run.diagnostics import DIAGNOSTICS

ROOT = Path(__file__).parents[1]
PACKAGES = sorted(path.name for path in (ROOT / "plugins").glob("ganzoo-*"))
"""Packages that are documented besides ganzoo itself."""
MARKER = re.compile(r"^<!-- generated: ([\w-]+)((?: [\w/.-]+)*) -->$", re.MULTILINE)
FILE = re.compile(r"^<!-- file: ([\w./-]+)((?: [\w.]+)*) -->$", re.MULTILINE)
SETTING = re.compile(r"(--set \S+?|--[a-z]+ [a-z0-9-]+|players\.[\w.]+)(?=[,;]? |[,;]?$)")
CODE = re.compile(r"<code[^>]*>.*?</code>", re.DOTALL)
CELL = re.compile(r"<t[dh][^>]*>.*?</t[dh]>", re.DOTALL)
JOINT = re.compile(r"(?<=\w)(?:[_/=]|\.(?!(?:py|jsonl?|safetensors|png|gif|html|md|yaml)\b))(?=\w)(?![^<]*>)")
"""Where a long name may break in a narrow cell of a table."""
DOI = re.compile(r"doi:[\d.]+/")
LONG_FLAG = re.compile(r"(?<![\w-])--[a-z][\w-]*")
OBJECT = re.compile(r"`(ganzoo\.[\w.]+)`")
RESULT = re.compile(r"^\| `([\w-]+)` \| \d+ \| ([^|]+) \|", re.MULTILINE)
"""A row of results in the README: preset, labels, error."""
WIDE = 1000
SIZED = ("generator", "discriminator")
"""Kinds whose components support certain image sizes."""


def on_pre_build(config: object) -> None:
    """Generate everything once, so that a missing text fails the build even if no page shows it."""
    piece.cache_clear()
    usable = {plugin.distribution for plugin in installed().plugins if not plugin.error}
    if missing := [f"-e plugins/{name}" for name in PACKAGES if name not in usable]:
        raise PluginError(
            f"the documentation covers packages that are missing or broken: pip install {' '.join(missing)}"
        )
    for name in PIECES:
        piece(name)
    check_readme((ROOT / "README.md").read_text(encoding="utf-8"))


def check_readme(text: str) -> None:
    """Fail the build if the README states another result than the measurements."""
    for preset, stated in RESULT.findall(text):
        if stated != (found := measured.ran(preset)):
            raise PluginError(f"README.md says '{stated}' of preset {preset}, and the measurements say '{found}'")


def on_page_markdown(markdown: str, page: object, config: object, files: object) -> str:
    """Replace the markers of a page."""
    markdown = MARKER.sub(lambda found: piece(found[1], *found[2].split()), markdown)
    return FILE.sub(lambda found: example(found[1], *found[2].split()), markdown)


def on_page_content(html: str, page: object, config: object, files: object) -> str:
    """Mark where lines of code may break: in tables inside long names, and nowhere inside flags."""
    html = CELL.sub(lambda cell: CODE.sub(lambda found: JOINT.sub(r"\g<0><wbr>", found[0]), cell[0]), html)
    html = DOI.sub(r"\g<0><wbr>", html)
    return CODE.sub(lambda found: LONG_FLAG.sub(r'<span class="flag">\g<0></span>', found[0]), html)


@functools.cache
def piece(name: str, *arguments: str) -> str:
    """Return generated text by the words in its marker."""
    if name not in PIECES:
        raise PluginError(f"nothing generated is called '{name}'; known: {', '.join(PIECES)}")
    return PIECES[name](*arguments)


def example(name: str, *objects: str) -> str:
    """Return a file of the repository, or selected classes and functions of it, as a block of code."""
    path = ROOT / name
    if not path.is_file():
        raise PluginError(f"a page shows {name}, which does not exist")
    text = path.read_text(encoding="utf-8").rstrip()
    shown = "\n\n\n".join(excerpt(text, dotted, name) for dotted in objects) or text
    language = {".py": "python", ".toml": "toml"}.get(path.suffix, "text")
    return f"```{language}\n{shown}\n```"


def excerpt(text: str, dotted: str, where: str) -> str:
    """Return the source of `Class.method` and the like."""
    node: Any = ast.parse(text)
    for name in dotted.split("."):
        node = next((n for n in node.body if getattr(n, "name", "") == name), None)
        if node is None:
            raise PluginError(f"a page shows {dotted} of {where}, which does not exist")
    first = min(n.lineno for n in (node, *node.decorator_list))
    return textwrap.dedent("\n".join(text.splitlines()[first - 1 : node.end_lineno]))


def required(text: str | None, missing: str) -> str:
    """Return a text, or fail the build with what is missing."""
    if not (text and text.strip()):
        raise PluginError(f"{missing}; the documentation is generated from it")
    return inspect.cleandoc(text)


def linked(text: str) -> str:
    """Turn dotted names of the public API into links to them."""
    return OBJECT.sub(r"[`\1`][\1]", text)


# --- the command line -------------------------------------------------------------------------------------------------


def commands() -> str:
    """Return a section for every command, from its own help."""
    root = click.Context(main, info_name="ganzoo", max_content_width=WIDE, terminal_width=WIDE)
    rows = [
        [f"[`ganzoo {name}`](#ganzoo-{name})", required(line, f"command '{name}' has no line in COMMANDS")]
        for name, line in COMMANDS.items()
    ]
    sections = [required(main.help, "ganzoo has no help text"), table(["command", "what it does"], rows)]
    for name in COMMANDS:
        command = main.get_command(root, name)
        assert command is not None
        sections.append(section(command, click.Context(command, info_name=name, parent=root)))
    return "\n\n".join(sections)


def section(command: click.Command, context: click.Context) -> str:
    """Return a command's help text, usage and options."""
    name = f"ganzoo {context.info_name}"
    text = required(command.help, f"command '{name}' has no help text")
    usage = " ".join([name, *command.collect_usage_pieces(context)])
    rows = []
    for option in command.get_params(context):
        if isinstance(option, click.Option) and "--help" not in option.opts:
            record = option.get_help_record(context)
            said, meaning = record or (option.opts[-1], "")
            rows.append([code(said), required(meaning, f"option '{said}' of '{name}' has no help text")])
    options = table(["option", "meaning"], rows) if rows else ""
    return f"## {name}\n\n{plain(text)}\n\n```text\n{usage}\n```\n\n{options}"


# --- components -------------------------------------------------------------------------------------------------------


def documented(kind: str | None = None, packages: Iterable[str] = (HOME, *PACKAGES)) -> list[Registered]:
    """Return the components of these packages, whatever else is installed where the docs are built."""
    return [r for r in ganzoo.list_components(kind) if r.plugin.distribution in packages]


def components() -> str:
    """Return a section for every kind, with its components and their options."""
    return "\n\n".join(f"## {plural}\n\n{of_kind(kind)}" for plural, kind in KINDS.items())


def of_kind(kind: str) -> str:
    """Return a table of the built-in components of a kind, and tables of their options."""
    found = documented(kind, [HOME])
    sized = kind in SIZED
    rows = []
    for r in found:
        c = r.component
        rows.append([code(c.name), about(r), c.paper, *([c.supported_sizes] if sized else [])])
    tables = [table(["name", "what it is", "source", *(["sizes"] if sized else [])], rows)]
    together: dict[str, list[Registered]] = {}
    for r in found:
        together.setdefault(r.component.target, []).append(r)
    tables += [options for same in together.values() if (options := options_table(same))]
    return "\n\n".join(tables)


def about(r: Registered) -> str:
    """Return the summary of a component, and its caution if it has one."""
    summary = required(r.component.summary, f"{r.kind} '{r.qualified}' has no summary")
    return f"{summary}. **Caution:** {r.component.caution}" if r.component.caution else summary


def options(*names: str) -> str:
    """Return the options of components named `kind/name`, or of everything that is documented."""
    known = {f"{r.kind}/{r.component.name}": r for r in documented()}
    if unknown := [name for name in names if name not in known]:
        raise PluginError(f"a page shows the options of {unknown[0]}, which does not exist")
    chosen = [known[name] for name in names or known]
    return "\n\n".join(options_table([r]) or f"### {r.kind}/{r.component.name}\n\nNo options." for r in chosen)


def strategies() -> str:
    """Return a table of all strategies, each with a link to the page of docs/ssl that shows its options."""
    texts = {path.name: path.read_text(encoding="utf-8") for path in (ROOT / "docs" / "ssl").glob("*.md")}
    markers = [(page, *marker) for page, text in texts.items() for marker in MARKER.findall(text)]
    pages = {name: page for page, made, names in markers if made == "options" for name in names.split()}
    rows = []
    for r in documented("ssl"):
        name = f"ssl/{r.component.name}"
        if name not in pages:
            raise PluginError(f"no page of docs/ssl shows the options of {name}: <!-- generated: options {name} -->")
        needs = ". Needs `--set gen.conditional=true`" if r.component.load().needs_conditional else ""
        package = "" if r.plugin.distribution == HOME else code(r.plugin.distribution)
        link = f"[{code(r.component.name)}]({pages[name]}#{name.replace('/', '')})"
        rows.append([link, about(r) + needs, r.component.paper, package])
    return table(["strategy", "what it is", "source", "package"], rows)


def options_table(same: list[Registered]) -> str:
    """Return the options of components that share a target, or the values of a preset."""
    component = same[0].component
    title = f"{same[0].kind}/{', '.join(r.component.name for r in same)}"
    target = component.load()
    if not callable(target):
        return f"### {title}\n\n```yaml\n{yaml.safe_dump(dict(target), sort_keys=False).rstrip()}\n```"
    rows = []
    for o in options_of(target):
        where = f"option '{o.name}' of {same[0].kind} '{component.name}'"
        default = component.defaults.get(o.name, o.default)
        if len({repr(r.component.defaults.get(o.name)) for r in same}) > 1:
            continue  # the option that tells these components apart
        meaning = required(o.meaning, f"{where} is not explained under Args:")
        allowed = (
            get_args(o.annotation) if get_origin(o.annotation) is Literal else (o.type.split("collections.abc.")[-1],)
        )
        default = {} if repr(default) == "<factory>" else default
        rows.append([code(o.name), ", ".join(map(code, allowed)), code(default), meaning])
    return f"### {title}\n\n{table(['option', 'values', 'default', 'meaning'], rows)}" if rows else ""


def contracts() -> str:
    """Return a table of the hooks and the contracts of their targets."""
    hooks = {n: f for n, f in vars(hookspecs).items() if hasattr(f, "ganzoo_spec")}
    if surplus := sorted(set(hooks) ^ {f"ganzoo_{plural}" for plural in KINDS}):
        raise PluginError(f"hooks and ganzoo.registry.hookspecs.KINDS differ: {', '.join(surplus)}")
    rows = [
        [code(name), linked(required(hook.__doc__, f"hook '{name}' has no docstring").removeprefix("Targets: "))]
        for name, hook in hooks.items()
    ]
    return table(["hook", "its targets"], rows)


# --- configuration ----------------------------------------------------------------------------------------------------


def configuration() -> str:
    """Return a table of the keys of every block of a configuration."""
    blocks: dict[str, type[BaseModel]] = {"data": DataConfig, "optimizer": Optimizer}
    below = [
        f"## `{n}`\n\n{required(m.__doc__, f'{m.__name__} has no docstring')}\n\n{keys(f'{n}.', m)}"
        for n, m in blocks.items()
    ]
    return "\n\n".join([keys("", Config), *below])


def keys(prefix: str, model: type[BaseModel]) -> str:
    """Return a table of the keys of one block."""
    train = main.get_command(click.Context(main), "train")
    assert train is not None
    flags = {KEYS.get(str(option.name), "penalties" if option.name == "penalty" else ""): option.opts[-1]
             for option in train.params}  # fmt: skip
    rows = []
    for name, schema in model.model_json_schema()["properties"].items():
        key = prefix + name
        meaning = required(schema.get("description"), f"configuration key '{key}' has no description")
        block = schema.get("$ref", "").endswith(("DataConfig", "Optimizer"))
        default = "" if block or schema.get("default") in (None, {}) else code(schema["default"])
        names = " ".join(filter(None, [code(key), code(flags.get(key))]))
        rows.append([names, values(schema), default, meaning])
    return table(["key and flag", "values", "default", "meaning"], rows)


def values(schema: dict[str, Any]) -> str:
    """Return which values a JSON schema allows, in words."""
    if alternatives := schema.get("anyOf"):
        return " or ".join(said for one in alternatives if (said := values(one)))
    if choices := schema.get("enum") or ([schema["const"]] if "const" in schema else []):
        return ", ".join(map(code, choices))
    if reference := schema.get("$ref"):
        return "[component](components.md)" if reference.endswith("ComponentConfig") else "see below"
    words = {"integer": "integer", "number": "number", "string": "text", "boolean": "true, false", "object": "mapping"}
    words |= {"array": "list"}
    limits = {"minimum": "≥", "exclusiveMinimum": ">", "exclusiveMaximum": "<"}
    bounds = ", ".join(f"{sign} {schema[limit]:g}" for limit, sign in limits.items() if limit in schema)
    return f"{words.get(schema.get('type', ''), '')} {bounds}".strip()


def diagnostics() -> str:
    """Return a table of the diagnoses of a run that goes wrong."""
    rows = [
        [required(d.name, "a diagnostic has no name"), required(d.sign, f"diagnostic '{d.name}' has no sign"),
         SETTING.sub(r"`\1`", d.remedy)]
        for d in DIAGNOSTICS
    ]  # fmt: skip
    return table(["warning", "sign", "what to try"], rows)


# --- Python -----------------------------------------------------------------------------------------------------------


def public_names() -> str:
    """Return the public names of `ganzoo`, for mkdocstrings to fill in."""
    return "\n\n".join(f"::: ganzoo.{name}" for name in sorted(ganzoo.__all__, key=str.lower))


PIECES: dict[str, Callable[..., str]] = {
    **measured.PIECES,
    "commands": commands,
    "components": components,
    "configuration": configuration,
    "contracts": contracts,
    "options": options,
    "strategies": strategies,
    "diagnostics": diagnostics,
    "public-names": public_names,
}
