"""`imagewright check`."""

import json
import os
import stat
from collections.abc import Sequence
from typing import Any

import click

from imagewright.checks import Finding, check, describe
from imagewright.cli.options import parse_assignment
from imagewright.cli.packing import open_context
from imagewright.dockerfile import LARGEST_DOCKERFILE, parse
from imagewright.errors import DockerfileError
from imagewright.oci import Platform

__all__ = ["command"]

_FOUND = 1
# How many characters are shown of a line: it may have megabytes.
_SHOWN = 1024


@click.command("check")
@click.argument("directory", default=".", metavar="[DIR]")
@click.option("-f", "--file", "dockerfile", metavar="PATH", help="Dockerfile. [default: DIR/Dockerfile]")
@click.option("--target", default="", metavar="STAGE", help="Check the stages that this one is made from.")
@click.option("--build-arg", "build_args", multiple=True, metavar="NAME[=VALUE]", help="Set an ARG; may be repeated.")
@click.option("--platform", metavar="OS/ARCH", help="Platform to build for. [default: this machine's]")
@click.option("--format", "form", type=click.Choice(["text", "json"]), default="text", help="Form of the answer.")
@click.pass_context
def command(
    click_context: click.Context,
    *,
    directory: str,
    dockerfile: str | None,
    target: str,
    build_args: Sequence[str],
    platform: str | None,
    form: str,
) -> None:
    """Check the Dockerfile of the directory DIR, and run nothing.

    The exit code is 1 if there is anything to say, and 0 if there is not.
    """
    context = open_context(directory, dockerfile)
    name = dockerfile or os.path.join(directory, context.dockerfile)
    data = _read(dockerfile or name, name)
    machine = Platform.parse(f"linux/{os.uname().machine}", default=Platform("linux", "amd64"))
    findings: tuple[Finding, ...] = ()
    failure: DockerfileError | None = None
    try:
        findings = check(
            parse(data, name=name),
            data,
            platform=Platform.parse(platform, default=machine) if platform else machine,
            build_platform=machine,
            build_args=dict(_build_arg(text) for text in build_args),
            target=target,
            ignore=context.ignore.patterns,
        )
    except DockerfileError as error:
        if form == "text":
            raise
        failure = error
    if form == "json":
        click.echo(json.dumps(_document(name, findings, failure), indent=2))
    else:
        for finding in findings:
            click.echo(f"{describe(finding, name)}\n    {finding.source.strip()[:_SHOWN]}\n    {finding.rule.detail}")
    if findings or failure:
        click_context.exit(_FOUND)


def _read(path: str, name: str) -> bytes:
    try:
        # A pipe would be waited for, and a device may have no end.
        if not stat.S_ISREG(os.stat(path).st_mode):
            raise DockerfileError(f"unable to read the Dockerfile: {name!r} is not a file", path=name)
        with open(path, "rb") as file:
            data = file.read(LARGEST_DOCKERFILE + 1)
    except OSError as error:
        raise DockerfileError(f"unable to read the Dockerfile: {error.strerror}", path=name) from error
    if len(data) > LARGEST_DOCKERFILE:
        raise DockerfileError(f"the Dockerfile ({name}) is larger than {LARGEST_DOCKERFILE >> 20} MiB", path=name)
    return data


def _build_arg(text: str) -> tuple[str, str | None]:
    """Return name and value, that of the environment where only a name is given."""
    name, value = parse_assignment(text)
    return name, os.environ.get(name) if value is None else value


def _document(name: str, findings: Sequence[Finding], failure: DockerfileError | None) -> dict[str, Any]:
    return {
        "file": name,
        "findings": [
            {
                "rule": finding.rule.name,
                "message": finding.message,
                "detail": finding.rule.detail,
                "url": finding.rule.url,
                "line": finding.span.start,
                "end_line": finding.span.end,
                "source": finding.source,
            }
            for finding in findings
        ],
        "error": None if failure is None else {"message": str(failure), "line": failure.line, "source": failure.source},
    }
