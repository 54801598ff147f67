"""The program: finds the command, imports only that, and turns errors into messages and exit codes."""

import importlib
from typing import Any

import click

from imagewright import __version__
from imagewright.errors import Cancelled, DockerfileError, ImagewrightError, RunFailed

__all__ = ["main", "program"]

# Name of a command: the attribute that holds it in the module of the same name, and its line in the help.
_COMMANDS = {
    "build": "Build an image from a Dockerfile.",
    "check": "Check a Dockerfile and run nothing.",
    "context": "Show what a build would send, and why.",
    "debug": "Look around in what a failed step left.",
    "doctor": "Say what this machine can and cannot do.",
    "images": "List images.",
    "login": "Log in to a registry.",
    "logout": "Forget the login to a registry.",
    "pull": "Fetch an image from a registry.",
    "push": "Send an image to a registry.",
    "rmi": "Remove images.",
    "serve": "Run the engine behind the Docker Engine HTTP API.",
    "tag": "Give an image another name.",
    "version": "Print the version, and that of a running engine.",
}
_INTERRUPTED = 130


class _Program(click.Group):
    """A group whose commands are modules of this package, imported when they are used."""

    def list_commands(self, ctx: click.Context) -> list[str]:
        del ctx
        return list(_COMMANDS)

    def get_command(self, ctx: click.Context, cmd_name: str) -> click.Command | None:
        del ctx
        if cmd_name not in _COMMANDS:
            return None
        module = importlib.import_module(f"imagewright.cli.{cmd_name}")
        command: click.Command = module.command
        return command

    def format_commands(self, ctx: click.Context, formatter: click.HelpFormatter) -> None:
        del ctx
        with formatter.section("Commands"):
            formatter.write_dl(list(_COMMANDS.items()))

    def invoke(self, ctx: click.Context) -> Any:
        try:
            return super().invoke(ctx)
        except ImagewrightError as error:
            click.echo(f"{click.style('error:', fg='red', bold=True)} {_describe(error)}", err=True)
            ctx.exit(_exit_code(error))


@click.group(cls=_Program, context_settings={"help_option_names": ["-h", "--help"]})
@click.version_option(__version__, prog_name="imagewright")
def program() -> None:
    """Container images from Dockerfiles, for any Docker client."""


def main() -> None:
    """Run the program on this process's arguments, and exit."""
    program(prog_name="imagewright")


def _describe(error: ImagewrightError) -> str:
    """Return the message, with the offending line below it where there is one."""
    if isinstance(error, DockerfileError) and error.line and error.source:
        return f"{error}\n  {error.path}:{error.line}: {error.source}"
    return str(error)


def _exit_code(error: ImagewrightError) -> int:
    if isinstance(error, RunFailed):
        return error.exit_code
    return _INTERRUPTED if isinstance(error, Cancelled) else 1
