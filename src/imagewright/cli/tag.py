"""`imagewright tag`."""

import click

from imagewright.cli.options import engine_options
from imagewright.cli.target import open_target
from imagewright.errors import InvalidInput
from imagewright.reference import Reference

__all__ = ["command"]


@click.command("tag")
@click.argument("source", metavar="IMAGE")
@click.argument("name", metavar="NAME[:TAG]")
@engine_options
def command(*, source: str, name: str, host: str | None, data_root: str | None) -> None:
    """Give IMAGE the name NAME too, in place of whatever had it."""
    reference = Reference.parse(name)
    if reference.digest is not None:
        raise InvalidInput("refusing to create a tag with a digest reference")
    with open_target(host, data_root) as engine:
        engine.tag(source, reference.with_default_tag())
