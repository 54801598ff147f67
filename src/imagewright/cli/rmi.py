"""`imagewright rmi`."""

from collections.abc import Sequence

import click

from imagewright.cli.options import engine_options
from imagewright.cli.target import open_target
from imagewright.errors import ImagewrightError, NotFound

__all__ = ["command"]


@click.command("rmi")
@click.argument("names", nargs=-1, required=True, metavar="IMAGE...")
@click.option(
    "-f", "--force", is_flag=True, help="Remove also what something refers to; no error for what is not there."
)
@click.option("--no-prune", is_flag=True, help="Leave parents that have no name.")
@engine_options
@click.pass_context
def command(
    context: click.Context,
    *,
    names: Sequence[str],
    force: bool,
    no_prune: bool,
    host: str | None,
    data_root: str | None,
) -> None:
    """Take the names IMAGE away, and delete the images that have no other."""
    failed = False
    with open_target(host, data_root) as engine:
        for name in names:
            try:
                removals = engine.remove(name, force=force, prune=not no_prune)
            except ImagewrightError as error:
                # The others are removed all the same, as by the docker program.
                click.echo(f"{click.style('error:', fg='red', bold=True)} {error}", err=True)
                failed = failed or not (force and isinstance(error, NotFound))
                continue
            for removal in removals:
                click.echo(
                    f"Deleted: {removal.deleted}" if removal.untagged is None else f"Untagged: {removal.untagged}"
                )
    if failed:
        context.exit(1)
