"""`imagewright build`."""

import contextlib
import io
import os
import sys
from collections.abc import Iterator, Mapping, Sequence
from typing import Literal

import click

from imagewright.cli.delivery import deliver
from imagewright.cli.destination import Destination, parse_destination
from imagewright.cli.display import Display, PlainDisplay
from imagewright.cli.keychain import UserKeychain
from imagewright.cli.lent import Lent, lent_options
from imagewright.cli.limits import limit_options
from imagewright.cli.options import engine_options, parse_assignment
from imagewright.cli.packing import open_context
from imagewright.cli.registry_options import RegistryOptions, registry_options
from imagewright.cli.target import open_target
from imagewright.engine import BuildRequest, Surroundings, parse_contexts
from imagewright.engine.info import read_machine
from imagewright.errors import InvalidInput
from imagewright.oci import Platform
from imagewright.reference import Reference
from imagewright.remote import is_remote

__all__ = ["command"]


@click.command("build")
@click.argument("directory", default=".", metavar="[DIR|URL]")
@click.option("-t", "--tag", "tags", multiple=True, metavar="NAME[:TAG]", help="Name the image; may be repeated.")
@click.option("-f", "--file", "dockerfile", metavar="PATH", help="Dockerfile. [default: DIR/Dockerfile]")
@click.option("--target", default="", metavar="STAGE", help="Build up to this stage.")
@click.option("--build-arg", "build_args", multiple=True, metavar="NAME[=VALUE]", help="Set an ARG; may be repeated.")
@click.option("--label", "labels", multiple=True, metavar="NAME[=VALUE]", help="Label the image; may be repeated.")
@click.option("--cache-from", multiple=True, metavar="IMAGE", help="Take steps from this image; may be repeated.")
@click.option("--build-context", "contexts", multiple=True, metavar="NAME=IMAGE|URL", help="Use this for that name.")
@click.option("--explain", is_flag=True, help="Say of each step that is not in the cache why.")
@click.option("--no-cache", is_flag=True, help="Run every step.")
@click.option("--pull", is_flag=True, help="Ask the registry for every base, whether it is here or not.")
@click.option("--platform", metavar="OS/ARCH", help="What the image is for. [default: this machine]")
@click.option("--rm/--no-rm", "remove", default=True, help="Remove containers after steps that succeed. [default: rm]")
@click.option("--force-rm", "force_remove", is_flag=True, help="Remove containers after every step.")
@click.option("--squash", is_flag=True, help="Make one layer of those that the build adds.")
@click.option("--iidfile", metavar="FILE", help="Write the image id to a file.")
@click.option("-q", "--quiet", is_flag=True, help="Print only the image id, and the steps if they fail.")
@click.option("--network", type=click.Choice(["default", "none", "host"]), default="default", help="Network of RUN.")
@click.option(
    "-o",
    "--output",
    "outputs",
    multiple=True,
    metavar="DEST",
    help="Instead of messages, the image's files: a directory, - for a tar, or type=tar|local,dest=PATH.",
)
@lent_options
@limit_options
@engine_options
@registry_options
def command(
    *,
    directory: str,
    tags: Sequence[str],
    dockerfile: str | None,
    target: str,
    build_args: Sequence[str],
    labels: Sequence[str],
    cache_from: Sequence[str],
    contexts: Sequence[str],
    explain: bool,
    no_cache: bool,
    pull: bool,
    platform: str | None,
    remove: bool,
    force_remove: bool,
    squash: bool,
    iidfile: str | None,
    quiet: bool,
    network: Literal["default", "none", "host"],
    outputs: Sequence[str],
    surroundings: Surroundings,
    lent: Lent,
    host: str | None,
    data_root: str | None,
    mirrors: Sequence[str],
    insecure: Sequence[str],
    certificates: str | None,
) -> None:
    """Build an image from a Dockerfile and the directory DIR, or from what the engine finds at URL.

    URL is that of a Dockerfile, of an archive, or of a git repository: https://host/path.git#ref:directory.
    """
    destination = _destination(outputs, iidfile)
    remote = directory if is_remote(directory) and not os.path.exists(directory) else ""
    context = None if remote else open_context(directory, dockerfile)
    request = BuildRequest(
        remote=remote,
        dockerfile=context.dockerfile if context else dockerfile or "",
        tags=tuple(Reference.parse(tag).with_default_tag() for tag in (*tags, *destination.names)),
        target=target,
        build_args=dict(_build_arg(text) for text in build_args),
        labels={name: value or "" for name, value in map(parse_assignment, labels)},
        cache_from=tuple(cache_from),
        contexts=_contexts(contexts),
        explain=explain,
        no_cache=no_cache,
        remove=remove or force_remove,
        force_remove=force_remove,
        platform=_platform(platform),
        network_mode=network,
        surroundings=surroundings,
        squash=squash,
        pull=pull,
        secrets=lent.secrets,
        agents=lent.agents,
        allow=lent.allow,
        keychain=UserKeychain(),
    )
    body = context.chunks() if context else iter(())
    registries = RegistryOptions(mirrors=mirrors, insecure=insecure, certificates=certificates)
    if iidfile:
        # Nobody should take the id of an earlier build for this one's.
        with contextlib.suppress(FileNotFoundError):
            os.unlink(iidfile)
    with open_target(host, data_root, registries, entitlements=lent.allow) as engine:
        if destination.kind != "image":
            # What there is to show goes elsewhere than files may go.
            with _display(quiet=quiet, error=True) as display:
                deliver(engine, body, request, destination, display)
            return
        with _display(quiet=quiet) as display:
            image = engine.build(body, request, display)
    if iidfile:
        with open(iidfile, "w", encoding="ascii") as file:
            file.write(str(image))
    if quiet:
        click.echo(str(image))


def _build_arg(text: str) -> tuple[str, str | None]:
    """Return name and value, that of the environment where only a name is given."""
    name, value = parse_assignment(text)
    return name, os.environ.get(name) if value is None else value


def _contexts(texts: Sequence[str]) -> Mapping[str, str]:
    """Return the named contexts; what only the client can read is refused: `POST /build` sends one context."""
    contexts = {}
    for text in texts:
        name, value = parse_assignment(text)
        if not value:
            raise InvalidInput(f"--build-context {name}: a value is missing")
        if not is_remote(value) and (value.startswith((".", "/", "~")) or os.path.exists(value)):
            raise InvalidInput(f"--build-context {name}: a directory cannot be sent beside the context: {value}")
        contexts[name] = value
    parse_contexts(contexts)
    return contexts


def _platform(text: str | None) -> Platform | None:
    return Platform.parse(text, default=read_machine().platform) if text else None


def _destination(outputs: Sequence[str], iidfile: str | None) -> Destination:
    if len(outputs) > 1:
        raise InvalidInput("multiple outputs are not supported")
    destination = parse_destination(outputs[0]) if outputs else Destination("image")
    if destination.kind != "image" and iidfile:
        raise InvalidInput("--iidfile: who asks for files is not told the image id")
    if destination == Destination("tar", "-") and sys.stdout.isatty():
        raise InvalidInput("a tar is not written to a terminal: say --output type=tar,dest=FILE")
    return destination


@contextlib.contextmanager
def _display(*, quiet: bool, error: bool = False) -> Iterator[Display]:
    """Show a build on standard output, or on standard error with `error`."""
    stream = sys.stderr if error else sys.stdout
    if quiet:
        log = io.BytesIO()
        try:
            yield PlainDisplay(log)
        except BaseException:
            sys.stderr.buffer.write(log.getvalue())
            raise
    elif stream.isatty():
        # Not for pipes: importing rich takes longer than many a cached build.
        from rich.console import Console  # noqa: PLC0415

        from imagewright.cli.live import LiveDisplay  # noqa: PLC0415

        with LiveDisplay(Console(highlight=False, stderr=error)) as display:
            yield display
    else:
        yield PlainDisplay(stream.buffer)
