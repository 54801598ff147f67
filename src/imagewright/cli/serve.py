"""`imagewright serve`."""

import ctypes
import gc
from collections.abc import Sequence
from contextlib import suppress
from typing import Literal

import click

from imagewright.cli.configuration import read_configuration
from imagewright.cli.options import DEFAULT_DATA_ROOT, DEFAULT_SOCKET, unix_socket_path
from imagewright.cli.registry_options import RegistryOptions, registry_options
from imagewright.cli.ssh_agents import parse_agents

__all__ = ["command"]

# New containers after which Python looks for cycles of garbage: here there are hardly any, and looking through the
# values of a context of 20,000 files again and again took a sixth of the time of copying it.
_COLLECT_AFTER = (50_000, 20, 20)
# As many pools of memory as threads use at one time, nearly all of which wait; the option's number is of malloc.h.
_ARENAS = 2
_M_ARENA_MAX = -8


@click.command("serve")
@click.option(
    "-H",
    "--host",
    "hosts",
    multiple=True,
    metavar="unix://PATH",
    help=f"Socket to listen on; may be repeated. [default: unix://{DEFAULT_SOCKET}]",
)
@click.option("--data-root", metavar="DIR", help=f"Where images are kept. [default: {DEFAULT_DATA_ROOT}]")
@click.option("--runtime", metavar="PROGRAM", help="OCI runtime for RUN. [default: runc or crun]")
@click.option("--experimental", is_flag=True, help="Do what the Docker engine calls experimental: squash.")
@registry_options
@click.option(
    "--config-file",
    metavar="FILE",
    help="Read hosts, data-root, registry-mirrors and insecure-registries from this file, spelt as in Docker's "
    "daemon.json.",
)
@click.option(
    "--max-builds",
    type=click.IntRange(1, 256),
    metavar="N",
    help="Builds that run at one time. [default: twice the processors, at least 4]",
)
@click.option(
    "--max-queued", type=click.IntRange(0), metavar="N", help="Builds that wait for their turn. [default: 256]"
)
@click.option(
    "--ssh-agent",
    "ssh_agents",
    multiple=True,
    metavar="[ID=]SOCKET",
    help="Lend every build the ssh agent that listens there; may be repeated. [default ID: default]",
)
@click.option(
    "--allow-insecure-entitlement",
    "entitlements",
    multiple=True,
    type=click.Choice(["security.insecure"]),
    help="Let builds that ask for it with --allow have this.",
)
def command(
    *,
    hosts: Sequence[str],
    data_root: str | None,
    runtime: str | None,
    mirrors: Sequence[str],
    insecure: Sequence[str],
    certificates: str | None,
    config_file: str | None,
    experimental: bool,
    max_builds: int | None,
    max_queued: int | None,
    ssh_agents: Sequence[str],
    entitlements: Sequence[Literal["security.insecure"]],
) -> None:
    """Run the engine behind the Docker Engine HTTP API, until a signal ends it."""
    registries = RegistryOptions(mirrors=mirrors, insecure=insecure, certificates=certificates)
    if config_file is not None:
        flags = {
            "hosts": hosts,
            "data-root": data_root,
            "registry-mirrors": mirrors,
            "insecure-registries": insecure,
        }
        found = read_configuration(config_file, flags)
        hosts, data_root = found.get("hosts", hosts), found.get("data-root", data_root)
        registries = _with_file(registries, found)
    hosts = hosts or (f"unix://{DEFAULT_SOCKET}",)
    # A wrong address or setting is said before a store is opened for it.
    for host in hosts:
        unix_socket_path(host)
    settings = registries.settings()
    agents = parse_agents("--ssh-agent", ssh_agents)
    gc.disable()  # what is loaded here is no garbage, and looking through it takes a twentieth of the start
    from imagewright.api import BuildLimits, serve  # noqa: PLC0415 - the server is only loaded where it runs
    from imagewright.engine import Engine  # noqa: PLC0415

    _have_few_arenas()
    with Engine(
        data_root or DEFAULT_DATA_ROOT, runtime=runtime, registry=settings, entitlements=frozenset(entitlements)
    ) as engine:
        limits = {"running": max_builds, "queued": max_queued}
        builds = BuildLimits(**{name: limit for name, limit in limits.items() if limit is not None})
        gc.set_threshold(*_COLLECT_AFTER)
        gc.freeze()  # what is here now stays
        gc.enable()
        serve(engine, hosts, experimental=experimental, builds=builds, agents=agents)


def _have_few_arenas() -> None:
    """Have the C library keep fewer pools of memory than it would: mallopt(3), where there is one.

    It gives each of many threads its own, up to eight a processor, and what one has freed none of the others takes.
    """
    with suppress(AttributeError):
        ctypes.CDLL(None).mallopt(_M_ARENA_MAX, _ARENAS)


def _with_file(options: RegistryOptions, found: dict[str, tuple[str, ...]]) -> RegistryOptions:
    """Return `options` with what a configuration file says in the place of those that were not given."""
    in_file = "--config-file: "
    return RegistryOptions(
        mirrors=found.get("registry-mirrors", options.mirrors),
        insecure=found.get("insecure-registries", options.insecure),
        certificates=options.certificates,
        mirrors_source=f"{in_file}registry-mirrors" if "registry-mirrors" in found else options.mirrors_source,
        insecure_source=f"{in_file}insecure-registries" if "insecure-registries" in found else options.insecure_source,
    )
