"""`imagewright build`."""

import contextlib
import io
import os
import sys
from collections.abc import Iterator, Sequence
from typing import Literal

import click

from imagewright.cli.display import Display, PlainDisplay
from imagewright.cli.options import engine_options, parse_assignment
from imagewright.cli.packing import open_context
from imagewright.cli.target import open_target
from imagewright.engine import BuildRequest
from imagewright.reference import Reference

__all__ = ["command"]


@click.command("build")
@click.argument("directory", default=".", metavar="[DIR]")
@click.option("-t", "--tag", "tags", multiple=True, metavar="NAME[:TAG]", help="Name the image; may be repeated.")
@click.option("-f", "--file", "dockerfile", metavar="PATH", help="Dockerfile. [default: DIR/Dockerfile]")
@click.option("--target", default="", metavar="STAGE", help="Build up to this stage.")
@click.option("--build-arg", "build_args", multiple=True, metavar="NAME[=VALUE]", help="Set an ARG; may be repeated.")
@click.option("--label", "labels", multiple=True, metavar="NAME[=VALUE]", help="Label the image; may be repeated.")
@click.option("--no-cache", is_flag=True, help="Run every step.")
@click.option("-q", "--quiet", is_flag=True, help="Print only the image id, and the steps if they fail.")
@click.option("--network", type=click.Choice(["default", "none", "host"]), default="default", help="Network of RUN.")
@engine_options
def command(
    *,
    directory: str,
    tags: Sequence[str],
    dockerfile: str | None,
    target: str,
    build_args: Sequence[str],
    labels: Sequence[str],
    no_cache: bool,
    quiet: bool,
    network: Literal["default", "none", "host"],
    host: str | None,
    data_root: str | None,
) -> None:
    """Build an image from a Dockerfile and the directory DIR."""
    context = open_context(directory, dockerfile)
    request = BuildRequest(
        dockerfile=context.dockerfile,
        tags=tuple(Reference.parse(tag).with_default_tag() for tag in tags),
        target=target,
        build_args=dict(_build_arg(text) for text in build_args),
        labels={name: value or "" for name, value in map(parse_assignment, labels)},
        no_cache=no_cache,
        network_mode=network,
    )
    with open_target(host, data_root) as engine, _display(quiet=quiet) as display:
        image = engine.build(context.chunks(), request, display)
    if quiet:
        click.echo(str(image))


def _build_arg(text: str) -> tuple[str, str | None]:
    """Return name and value, that of the environment where only a name is given."""
    name, value = parse_assignment(text)
    return name, os.environ.get(name) if value is None else value


@contextlib.contextmanager
def _display(*, quiet: bool) -> Iterator[Display]:
    if quiet:
        log = io.BytesIO()
        try:
            yield PlainDisplay(log)
        except BaseException:
            sys.stderr.buffer.write(log.getvalue())
            raise
    elif sys.stdout.isatty():
        # Not for pipes: importing rich takes longer than many a cached build.
        from rich.console import Console  # noqa: PLC0415

        from imagewright.cli.live import LiveDisplay  # noqa: PLC0415

        with LiveDisplay(Console(highlight=False)) as display:
            yield display
    else:
        yield PlainDisplay(sys.stdout.buffer)
