"""`imagewright logout`."""

import click

from imagewright.cli.keychain import open_docker_config
from imagewright.reference import DEFAULT_REGISTRY
from imagewright.registry import registry_host, server_address

__all__ = ["command"]


@click.command("logout")
@click.argument("server", required=False, default="", metavar="[SERVER]")
def command(*, server: str) -> None:
    """Forget the login to the registry SERVER, to Docker Hub without one."""
    registry = registry_host(server) if server else DEFAULT_REGISTRY
    if open_docker_config().erase(registry):
        click.echo(f"Removing login credentials for {server_address(registry)}")
    else:
        click.echo(f"Not logged in to {server_address(registry)}")
