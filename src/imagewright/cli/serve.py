"""`imagewright serve`."""

from collections.abc import Sequence

import click

from imagewright.cli.options import DEFAULT_DATA_ROOT, DEFAULT_SOCKET, unix_socket_path

__all__ = ["command"]


@click.command("serve")
@click.option(
    "-H",
    "--host",
    "hosts",
    multiple=True,
    default=(f"unix://{DEFAULT_SOCKET}",),
    show_default=True,
    metavar="unix://PATH",
    help="Socket to listen on; may be repeated.",
)
@click.option("--data-root", default=DEFAULT_DATA_ROOT, show_default=True, metavar="DIR", help="Where images are kept.")
@click.option("--runtime", metavar="PROGRAM", help="OCI runtime for RUN. [default: runc or crun]")
@click.option(
    "--max-builds",
    type=click.IntRange(1, 256),
    metavar="N",
    help="Builds that run at one time. [default: twice the processors, at least 4]",
)
@click.option(
    "--max-queued", type=click.IntRange(0), metavar="N", help="Builds that wait for their turn. [default: 256]"
)
def command(
    *, hosts: Sequence[str], data_root: str, runtime: str | None, max_builds: int | None, max_queued: int | None
) -> None:
    """Run the engine behind the Docker Engine HTTP API, until a signal ends it."""
    for host in hosts:
        # A wrong address is said before a store is opened for it.
        unix_socket_path(host)
    from imagewright.api import BuildLimits, serve  # noqa: PLC0415 - the server is only loaded where it runs
    from imagewright.engine import Engine  # noqa: PLC0415

    with Engine(data_root, runtime=runtime) as engine:
        limits = {"running": max_builds, "queued": max_queued}
        builds = BuildLimits(**{name: limit for name, limit in limits.items() if limit is not None})
        serve(engine, hosts, builds=builds)
