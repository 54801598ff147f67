"""`imagewright doctor`."""

import sys

import click

from imagewright.sandbox import probe

__all__ = ["command"]

_MARKS = {"good": ("ok", "green"), "limited": ("limited", "yellow"), "bad": ("missing", "red")}
# What RUN cannot do without; the others only take something away.
_EXIT_BAD = 1


@click.command("doctor")
@click.option("--runtime", metavar="PROGRAM", help="OCI runtime to look for. [default: runc or crun]")
def command(runtime: str | None) -> None:
    """Say what this machine can and cannot do; exit with 1 if RUN cannot work."""
    findings = probe(runtime=runtime)
    width = max((len(finding.name) for finding in findings), default=0)
    for finding in findings:
        word, colour = _MARKS[finding.status]
        mark = click.style(f"{word:<7}", fg=colour, bold=True)
        click.echo(f"{finding.name:<{width}}  {mark}  {finding.detail}")
        if finding.advice:
            click.echo(f"{'':<{width}}           {finding.advice}")
    if any(finding.status == "bad" for finding in findings):
        click.echo("RUN cannot work on this machine; everything else can.", err=True)
        sys.exit(_EXIT_BAD)
