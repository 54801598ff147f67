"""`imagewright context`."""

import json
import os
import stat
from collections import Counter
from collections.abc import Mapping, Sequence
from dataclasses import dataclass, field
from typing import Any

import click

from imagewright.cli.packing import Context, open_context
from imagewright.cli.units import human_size
from imagewright.errors import InvalidInput

__all__ = ["command"]

_KINDS = {stat.S_IFREG: "files", stat.S_IFDIR: "directories", stat.S_IFLNK: "links"}
_MOST_SHOWN = 10


@click.command("context")
@click.argument("directory", default=".", metavar="[DIR]")
@click.argument("paths", nargs=-1, metavar="[PATH]...")
@click.option("-f", "--file", "dockerfile", metavar="PATH", help="Dockerfile. [default: DIR/Dockerfile]")
@click.option("--list", "listing", is_flag=True, help="Print the names that would be sent, and nothing else.")
@click.option("--format", "form", type=click.Choice(["text", "json"]), default="text", help="Form of the answer.")
def command(*, directory: str, paths: Sequence[str], dockerfile: str | None, listing: bool, form: str) -> None:
    """Show what a build would send of the directory DIR.

    With PATHs, relative to DIR, say for each of them whether it would be sent, and which line decides.
    """
    context = open_context(directory, dockerfile)
    if paths:
        _explain(context, [_inside(path) for path in paths], form)
    elif listing:
        for name in context.names():
            click.echo(os.fsencode(name))
    else:
        contents = _measure(context)
        click.echo(json.dumps(contents.document(), indent=2) if form == "json" else "\n".join(contents.lines()))


def _inside(path: str) -> str:
    """Return `path` as the patterns see it; raise `InvalidInput` if it leads out of the context."""
    name = os.path.normpath(path.lstrip("/") or ".")
    if name.split("/")[0] == os.pardir:
        raise InvalidInput(f"{path!r} is outside of the build context")
    return name


def _explain(context: Context, names: Sequence[str], form: str) -> None:
    if form == "json":
        documents = [_explanation(context, name) for name in names]
        click.echo(json.dumps(documents, indent=2))
        return
    for name in names:
        note = "" if os.path.lexists(os.path.join(context.directory, name)) else " (not there)"
        if name in context.always_sent and context.ignore.patterns.ignored(name):
            note = " (sent for the engine to read, but COPY and ADD do not see it)"
        click.echo(f"{_printable(name)}: {_printable(context.ignore.explain(name))}{note}")


def _explanation(context: Context, name: str) -> dict[str, Any]:
    ignore = context.ignore
    index = ignore.patterns.decisive(name)
    return {
        "path": _printable(name),
        "ignored": ignore.patterns.ignored(name),
        "file": None if index is None else ignore.name,
        "line": None if index is None else ignore.patterns.lines[index],
        "pattern": None if index is None else _printable(ignore.patterns.patterns[index]),
    }


@dataclass(slots=True)
class _Contents:
    """What would be sent: how many names of each kind, and the bytes of files by name and by top-level name."""

    ignore_file: str
    kinds: Counter[str] = field(default_factory=Counter)
    sizes: dict[str, int] = field(default_factory=dict)
    tops: Counter[str] = field(default_factory=Counter)

    @property
    def size(self) -> int:
        """The bytes of all files."""
        return sum(self.sizes.values())

    def lines(self) -> list[str]:
        """Return the report as lines of text."""
        counts = ", ".join(f"{kind} {self.kinds[kind]}" for kind in (*_KINDS.values(), "others") if self.kinds[kind])
        return [
            f"{human_size(self.size)} ({self.size} bytes): {counts or 'nothing'}",
            f"Filtered by {self.ignore_file or 'nothing: there is no .dockerignore'}",
            *_table("Largest at the top", self.tops),
            *_table("Largest files", self.sizes),
        ]

    def document(self) -> dict[str, Any]:
        """Return the report as a JSON document."""
        return {
            "size": self.size,
            **{kind: self.kinds[kind] for kind in (*_KINDS.values(), "others")},
            "ignore_file": self.ignore_file or None,
            "top": [{"path": _printable(name), "size": size} for name, size in _largest(self.tops)],
            "largest": [{"path": _printable(name), "size": size} for name, size in _largest(self.sizes)],
        }


def _measure(context: Context) -> _Contents:
    contents = _Contents(context.ignore.name)
    for name in context.names():
        status = os.lstat(os.path.join(context.directory, name))
        contents.kinds[_KINDS.get(stat.S_IFMT(status.st_mode), "others")] += 1
        if stat.S_ISREG(status.st_mode):
            contents.sizes[name] = status.st_size
            top, slash, _ = name.partition("/")
            contents.tops[top + slash] += status.st_size
    return contents


def _largest(sizes: Mapping[str, int]) -> list[tuple[str, int]]:
    return sorted(sizes.items(), key=lambda item: (-item[1], item[0]))[:_MOST_SHOWN]


def _table(title: str, sizes: Mapping[str, int]) -> list[str]:
    rows = [f"  {human_size(size):>8}  {_printable(name)}" for name, size in _largest(sizes)]
    return [f"{title}:", *rows] if rows else []


def _printable(name: str) -> str:
    """Return `name` on one line, with bytes that are no UTF-8 replaced."""
    text = os.fsencode(name).decode("utf-8", "replace")
    return "".join(character if character.isprintable() else f"\\x{ord(character):02x}" for character in text)
