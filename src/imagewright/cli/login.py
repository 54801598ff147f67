"""`imagewright login`."""

import sys
from collections.abc import Sequence

import click

from imagewright.cli.client import Client
from imagewright.cli.keychain import open_docker_config
from imagewright.cli.options import engine_options
from imagewright.cli.registry_options import RegistryOptions, registry_options
from imagewright.cli.target import find_engine
from imagewright.errors import InvalidInput
from imagewright.reference import DEFAULT_REGISTRY
from imagewright.registry import Client as RegistryClient
from imagewright.registry import Credential, DockerConfig, LoginResult, registry_host

__all__ = ["command"]

# More is no password.
_LIMIT = 1 << 16


@click.command("login")
@click.argument("server", required=False, default="", metavar="[SERVER]")
@click.option("-u", "--username", default="", metavar="NAME", help="Who.")
@click.option(
    "-p", "--password", default="", metavar="TEXT", help="The password; others on the machine can read it there."
)
@click.option("--password-stdin", is_flag=True, help="Read the password from standard input.")
@engine_options
@registry_options
def command(
    *,
    server: str,
    username: str,
    password: str,
    password_stdin: bool,
    host: str | None,
    data_root: str | None,
    mirrors: Sequence[str],
    insecure: Sequence[str],
    certificates: str | None,
) -> None:
    """Log in to the registry SERVER, Docker Hub without one, and remember it in the user's Docker configuration."""
    registry = registry_host(server) if server else DEFAULT_REGISTRY
    registries = RegistryOptions(mirrors=mirrors, insecure=insecure, certificates=certificates)
    path = find_engine(host, data_root, registries)
    config = open_docker_config()
    credential = _ask(config, registry, username, _password(username, password, read=password_stdin))
    result = _check(path, registries, registry, credential)
    if result.identity_token:
        credential = Credential(credential.username, identity_token=result.identity_token)
    if not config.store(registry, credential):
        click.echo("warning: the password is kept unencrypted in the Docker configuration; see credsStore", err=True)
    click.echo(result.status)


def _password(username: str, password: str, *, read: bool) -> str:
    if not read:
        if password:
            click.echo("warning: a password on the command line is for all to see; use --password-stdin", err=True)
        return password
    if password:
        raise InvalidInput("--password and --password-stdin are mutually exclusive")
    if not username:
        raise InvalidInput("Must provide --username with --password-stdin")
    return sys.stdin.read(_LIMIT).removesuffix("\n").removesuffix("\r")


def _ask(config: DockerConfig, registry: str, username: str, password: str) -> Credential:
    """Return who logs in: what was said, else what is known, else what a person at a terminal types."""
    if not username and not password:
        known = config(registry)
        if known is not None:
            click.echo("Authenticating with existing credentials...")
            return known
    if not (username and password) and not sys.stdin.isatty():
        missing = "--username" if not username else "--password-stdin"
        raise InvalidInput(f"{missing} is needed: nobody can be asked, for standard input is no terminal")
    username = username or click.prompt("Username", type=str)
    return Credential(username, password or click.prompt("Password", type=str, hide_input=True))


def _check(path: str | None, registries: RegistryOptions, registry: str, credential: Credential) -> LoginResult:
    """Return what the registry says; asking it needs no data root, so no engine is opened for it."""
    if path is not None:
        return Client(path).login(registry, credential)
    with RegistryClient(registries.settings()) as client:
        return client.login(registry, credential)
