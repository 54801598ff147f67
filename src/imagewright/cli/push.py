"""`imagewright push`."""

from collections.abc import Sequence

import click

from imagewright.archive import COMPRESSIONS, Compression
from imagewright.cli.keychain import UserKeychain
from imagewright.cli.options import engine_options
from imagewright.cli.registry_options import RegistryOptions, registry_options
from imagewright.cli.target import open_target
from imagewright.cli.transfer import transfer_display
from imagewright.errors import InvalidInput
from imagewright.reference import Reference

__all__ = ["command"]


@click.command("push")
@click.argument("name", metavar="NAME[:TAG]")
@click.option("-a", "--all-tags", is_flag=True, help="Send every tag of the repository.")
@click.option(
    "--compression",
    type=click.Choice(COMPRESSIONS),
    help="Compress all layers so. [default: as they came, and others with gzip]",
)
@click.option("-q", "--quiet", is_flag=True, help="Print only the name.")
@engine_options
@registry_options
def command(
    *,
    name: str,
    all_tags: bool,
    compression: Compression | None,
    quiet: bool,
    host: str | None,
    data_root: str | None,
    mirrors: Sequence[str],
    insecure: Sequence[str],
    certificates: str | None,
) -> None:
    """Send the image NAME to its registry."""
    reference = Reference.parse(name)
    if all_tags and (reference.tag or reference.digest):
        raise InvalidInput("tag can't be used with --all-tags/-a")
    if reference.digest is not None:
        raise InvalidInput("cannot push a digest reference")
    if not all_tags and not reference.tag:
        reference = reference.with_default_tag()
        if not quiet:
            click.echo(f"Using default tag: {reference.tag}")
    registries = RegistryOptions(mirrors=mirrors, insecure=insecure, certificates=certificates)
    with open_target(host, data_root, registries) as engine, transfer_display(quiet=quiet) as show:
        engine.push(reference, all_tags=all_tags, compression=compression, keychain=UserKeychain(), show=show)
    if quiet:
        click.echo(reference.canonical)
