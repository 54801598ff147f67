"""The same work for imagewright and its peers, on this machine, in this run, in turns: `make bench`.

A full run writes docs/benchmarks.md; a quick one, or one of some rows, prints the same to the terminal. Needs root,
dockerd, docker, podman, docker-registry and the programs of RUN.
"""

import argparse
import contextlib
import os
import signal
import sys
import time
import tomllib
from collections.abc import Callable, Iterator
from pathlib import Path

sys.path.insert(0, os.path.join(os.path.dirname(os.path.dirname(os.path.abspath(__file__))), "tests"))

from bounds import bounds
from crowd import CROWD
from daemons import DAEMONS, imports
from disk import Disk, alone, disk
from growth import growth
from listing import LISTING
from machine import described
from peers import Engine, peers
from profiling import Profile, largest, profile, sampled
from report import report
from rounds import Budget, Work, first_round, further_rounds
from transfers import TRANSFERS
from workloads import BUILDS, SAVE
from world import World

from support.bases import busybox_base

_TOP = Path(__file__).resolve().parent.parent

# In the order of the table; what is short is measured first, so that it is there if time should be up.
WORKLOADS = (*BUILDS, TRANSFERS, SAVE, LISTING, CROWD, DAEMONS)

# More of the report, by its title: each returns Markdown, and writes its plots into `benchmarks` of the directory that
# it is given, which is `docs`.
SECTIONS: dict[str, Callable[[World, Path], str]] = {
    "Growth": growth,
    "Bounds": lambda world, _docs: bounds(world),
}

# Seconds of the whole run, and those of them that are kept for all sections, profiles and the end.
_FULL, _FULL_SECTIONS, _FULL_PROFILES = 870, 210, 45
_QUICK, _QUICK_SECTIONS, _QUICK_PROFILES = 170, 30, 15
_END = 10


def profiles(world: World, works: list[Work], budget: Budget) -> Iterator[Profile]:
    """Yield where the time of each workload goes, as long as there is time."""
    with sampled(world.top) as server:
        ours = Engine("imagewright", server.socket, server.pid)
        ours.import_base(busybox_base(), "base")
        # The first RUN of a daemon finds no network made ahead.
        ours.build(world.context("first", None, "FROM base:1\nRUN true\n"), "first:1", network="default")
        for workload in (work.workload for work in works if work.done and work.workload.profiled):
            if workload is DAEMONS or budget.left <= 0:
                continue
            try:
                if workload.seed:
                    workload.seed(world, ours)
                begun = time.perf_counter()
                lines = server.during(lambda: workload.sample(world, ours, 0))  # noqa: B023 - called at once
                yield profile(workload.key, time.perf_counter() - begun, lines)
            except Exception as error:  # noqa: BLE001 - the others are told all the same
                print(f"no profile of {workload.key}: {error}", file=sys.stderr)


def import_profiles() -> Iterator[Profile]:
    """Yield what the start of the program imports."""
    serving = ("imagewright.cli.serve", "imagewright.api", "imagewright.engine")
    for key, modules in (("start", serving), ("help", ("imagewright.cli",))):
        found = imports(*modules)
        whole = sum(found.values())
        yield Profile(key, f"{whole:.2f} s of imports", largest(found, whole, 8))


def measure(world: World, chosen: argparse.Namespace, begun: float, where: Disk) -> str:
    """Measure everything; return the report."""
    whole, for_sections, for_profiles = (
        (_QUICK, _QUICK_SECTIONS, _QUICK_PROFILES) if chosen.quick else (_FULL, _FULL_SECTIONS, _FULL_PROFILES)
    )
    sections = {} if chosen.only else SECTIONS
    workloads = [each for each in WORKLOADS if not chosen.only or {row.key for row in each.rows} & set(chosen.only)]
    reserved = (for_sections if sections else 0) + for_profiles + _END
    early = sorted(workloads, key=lambda each: each is not DAEMONS)
    works = first_round(world, early, Budget(begun, begun + whole - reserved), chosen.rounds)
    texts = [f"## {title}\n\n{_section(section, world, chosen.docs)}" for title, section in sections.items()]
    budget = Budget(begun, begun + whole - _END)
    time_goes = [] if chosen.no_profiles else [*profiles(world, works, budget), *import_profiles()]
    further_rounds(world, works, budget)
    reasons = tomllib.loads((_TOP / "benchmarks/reasons.toml").read_text())
    rows = [taken for workload in workloads for work in works if work.workload is workload for taken in work.taken]
    machine = described(world.peers, where.title)
    if chosen.quick:
        machine += " A quick run: all counts and sizes are a fifth of those in the titles."
    return report(machine, rows, reasons, time_goes, texts)


def _section(section: Callable[[World, Path], str], world: World, docs: Path) -> str:
    begun = time.monotonic()
    try:
        return section(world, docs)
    except Exception as error:  # noqa: BLE001 - the rest of the report is written all the same
        print(f"a section failed: {error}", file=sys.stderr)
        return f"A section is missing: {type(error).__name__}."
    finally:
        print(f"{'section':19}[{time.monotonic() - begun:.0f} s]", flush=True)


def options() -> argparse.Namespace:
    """Return what the command line says."""
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument("--quick", action="store_true", help="a fifth of the data, one round, in three minutes")
    parser.add_argument("--only", action="append", default=[], metavar="ROW", help="this row; may be repeated")
    parser.add_argument("--rounds", type=int, default=0, metavar="N", help="as many rounds of each row")
    parser.add_argument("--no-podman", action="store_true", help="without the slowest")
    parser.add_argument("--no-profiles", action="store_true", help="without where the time goes")
    parser.add_argument("--list", action="store_true", help="the names of the rows, and nothing else")
    parser.add_argument("--directory", default=None, help="where there is space: for 60 GB in a full run")
    return parser.parse_args()


def main() -> None:
    """Measure, and write or print the report."""
    begun = time.monotonic()
    chosen = options()
    if chosen.list:
        print("\n".join(row.key for workload in WORKLOADS for row in workload.rows))
        return
    alone()
    signal.signal(signal.SIGTERM, lambda *_: sys.exit(1))
    full = not (chosen.quick or chosen.only or chosen.rounds or chosen.no_podman or chosen.no_profiles)
    with (
        disk(chosen.directory) as where,
        peers(where.top, podman=not chosen.no_podman) as everyone,
        contextlib.ExitStack() as stack,
    ):
        try:
            chosen.docs = _TOP / "docs" if full else where.top / "docs"
            os.makedirs(chosen.docs, exist_ok=True)
            text = measure(World(where.top, everyone, chosen.quick, stack), chosen, begun, where)
        finally:
            # Nobody takes time to remove what goes with the file system.
            where.detach()
    if full:
        (_TOP / "docs" / "benchmarks.md").write_text(text)
    else:
        print(f"\n{text}")
    print(f"{time.monotonic() - begun:.0f} s in all", file=sys.stderr)


if __name__ == "__main__":
    main()
