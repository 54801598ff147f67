"""`imagewright version`."""

import platform

import click

from imagewright import __version__
from imagewright.cli.options import DEFAULT_SOCKET, unix_socket_path

__all__ = ["command"]


@click.command("version")
@click.option("-H", "--host", envvar="IMAGEWRIGHT_HOST", metavar="unix://PATH", help="Engine to ask for its version.")
def command(host: str | None) -> None:
    """Print the version, and that of the engine if one is running."""
    click.echo(f"imagewright {__version__} (Python {platform.python_version()}, {platform.machine()})")
    from imagewright.cli.client import Client, alive  # noqa: PLC0415 - after the part that cannot fail

    path = unix_socket_path(host) if host else DEFAULT_SOCKET
    if host or alive(path):
        version = Client(path).version()
        click.echo(f"engine at unix://{path}: {version.get('Version')}, API {version.get('ApiVersion')}")
