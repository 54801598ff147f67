"""`imagewright images`."""

import sys
import time
from collections.abc import Callable, Mapping, Sequence
from typing import Any

import click

from imagewright.cli.options import engine_options, parse_assignment
from imagewright.cli.target import open_target
from imagewright.cli.units import human_age, human_size
from imagewright.engine import ImageQuery, ImageSummary
from imagewright.errors import InvalidInput

__all__ = ["command", "parse_query"]

_NONE = "<none>"


@click.command("images")
@click.argument("reference", required=False, metavar="[NAME[:TAG]]")
@click.option("-a", "--all", "show_all", is_flag=True, help="Show intermediate images too.")
@click.option(
    "--filter",
    "filters",
    multiple=True,
    metavar="KEY=VALUE",
    help="dangling=true|false, label=NAME[=VALUE], before=IMAGE, since=IMAGE, reference=PATTERN; may be repeated.",
)
@click.option("-q", "--quiet", is_flag=True, help="Print only image ids.")
@click.option("--digests", is_flag=True, help="Show digests.")
@click.option("--no-trunc", is_flag=True, help="Show whole image ids.")
@engine_options
def command(
    *,
    reference: str | None,
    show_all: bool,
    filters: Sequence[str],
    quiet: bool,
    digests: bool,
    no_trunc: bool,
    host: str | None,
    data_root: str | None,
) -> None:
    """List images, newest first."""
    texts = [*filters, f"reference={reference}"] if reference else filters
    query = parse_query(texts, show_all=show_all)
    with open_target(host, data_root) as engine:
        summaries = engine.list_images(query)
    if quiet:
        for summary in summaries:
            click.echo(_image_id(summary, whole=no_trunc))
        return
    columns = ["REPOSITORY", "TAG", *(["DIGEST"] if digests else []), "IMAGE ID", "CREATED", "SIZE"]
    rows = [
        row for summary in summaries for row in _rows(summary, digests=digests, whole=no_trunc, now_ns=time.time_ns())
    ]
    _print_table(columns, rows)


def parse_query(filters: Sequence[str], *, show_all: bool) -> ImageQuery:
    """Return the query of `KEY=VALUE` texts; raise `InvalidInput` for keys and values that there are not."""
    fields: dict[str, Any] = {"all": show_all}
    for text in filters:
        key, value = parse_assignment(text)
        if key not in _FILTERS or value is None:
            raise InvalidInput(f"invalid filter {text!r}")
        name, read = _FILTERS[key]
        fields[name] = read(value) if name == "dangling" else (*fields.get(name, ()), value)
    return ImageQuery(**fields)


def _read_dangling(value: str) -> bool:
    if value.lower() not in {"true", "false", "1", "0"}:
        raise InvalidInput(f"invalid filter 'dangling={value}'")
    return value.lower() in {"true", "1"}


_FILTERS: Mapping[str, tuple[str, Callable[[str], object]]] = {
    "dangling": ("dangling", _read_dangling),
    "label": ("labels", str),
    "before": ("before", str),
    "since": ("since", str),
    "reference": ("references", str),
}


def _image_id(summary: ImageSummary, *, whole: bool) -> str:
    return str(summary.id) if whole else summary.id.short


def _rows(summary: ImageSummary, *, digests: bool, whole: bool, now_ns: int) -> list[list[str]]:
    """Return a row for each tag of the image; with `digests`, its repositories' digests beside them."""
    by_repository = dict(name.split("@", 1) for name in summary.digests)
    names = [tuple(tag.rsplit(":", 1)) for tag in summary.tags]
    # A repository of which only the digest is known has no tag to stand beside.
    tagged = {repository for repository, _ in names}
    names += [(repository, _NONE) for repository in by_repository if repository not in tagged]
    end = [
        _image_id(summary, whole=whole),
        human_age((now_ns - summary.created_ns) / 1e9),
        human_size(summary.size),
    ]
    return [
        [repository, tag, *([by_repository.get(repository, _NONE)] if digests else []), *end]
        for repository, tag in names or [(_NONE, _NONE)]
    ]


def _print_table(columns: Sequence[str], rows: Sequence[Sequence[str]]) -> None:
    """Print a table: drawn on a terminal, plain columns in a pipe."""
    if sys.stdout.isatty():
        from rich.box import SIMPLE_HEAD  # noqa: PLC0415 - not for pipes
        from rich.console import Console  # noqa: PLC0415
        from rich.table import Table  # noqa: PLC0415
        from rich.text import Text  # noqa: PLC0415

        table = Table(*columns, box=SIMPLE_HEAD, pad_edge=False, header_style="bold")
        for column in table.columns:
            column.overflow = "fold"
        for row in rows:
            table.add_row(*map(Text, row))
        Console(highlight=False).print(table)
        return
    widths = [max(map(len, cells)) for cells in zip(columns, *rows, strict=True)]
    for row in [columns, *rows]:
        click.echo("   ".join(cell.ljust(width) for cell, width in zip(row, widths, strict=True)).rstrip())
