"""The same work for imagewright and its peers, on this machine, in this run, in turns: `make bench`.

Prints a table as it goes. Needs root, dockerd, docker, podman and the programs of RUN.
"""

import argparse
import os
import sys
import tempfile
import time
from pathlib import Path

sys.path.insert(0, os.path.join(os.path.dirname(os.path.dirname(os.path.abspath(__file__))), "tests"))

from measuring import Series, interleave
from peers import Engine, peers
from profiling import sampled
from workloads import WORKLOADS, Workload
from world import World

from support.bases import busybox_base


def measure(world: World, workload: Workload, rounds: int, podman_rounds: int) -> dict[str, Series]:
    """Take all samples of a workload."""
    builders = world.peers.builders
    ready: set[str] = set()

    def sample(name: str, number: int) -> float | None:
        if name == "podman" and number >= podman_rounds:
            return None
        if workload.seed and name not in ready:
            workload.seed(world, builders[name])
            ready.add(name)
        value = workload.sample(world, builders[name], number)
        return value if value >= 0 else None

    return interleave(list(builders), rounds, sample)


def profile(top: Path, workloads: list[Workload], *, quick: bool) -> None:
    """Print where the time of each workload goes."""
    with sampled(top) as server:
        ours = Engine("imagewright", server.socket, server.pid)
        ours.import_base(busybox_base(), "base")
        world = World(top, None, quick)  # type: ignore[arg-type]
        for workload in workloads:
            if workload.seed:
                workload.seed(world, ours)
            taken = workload.sample(world, ours, 0)
            second: list[float] = []
            lines = server.during(lambda: second.append(workload.sample(world, ours, 1)))  # noqa: B023
            wall, cpu = sum(line["wall"] for line in lines), sum(line["cpu"] for line in lines)
            print(f"{workload.key}: {taken:.3f} s, then {second[0]:.3f} s: threads {wall:.2f} s, processor {cpu:.2f} s")
            for line in lines[:14]:
                print(
                    f"  {line['wall']:7.3f} {line['cpu']:7.3f}  "
                    f"{line['file']}:{line['line']} {line['function']}: {line['text'][:70]}"
                )
            sys.stdout.flush()


def options() -> argparse.Namespace:
    """Return what the command line says."""
    parser = argparse.ArgumentParser(description=__doc__)
    parser.add_argument("--quick", action="store_true", help="a fifth of the data, one round")
    parser.add_argument("--only", action="append", default=[], metavar="NAME", help="this workload; may be repeated")
    parser.add_argument("--rounds", type=int, default=0, metavar="N")
    parser.add_argument("--no-podman", action="store_true", help="without the slowest")
    parser.add_argument("--profile", action="store_true", help="only imagewright, and where its time goes")
    parser.add_argument("--directory", default=None, help="where to work; everything in it is removed at the end")
    return parser.parse_args()


def main() -> None:
    """Measure and print."""
    chosen = options()
    workloads = [each for each in WORKLOADS if not chosen.only or each.key in chosen.only]
    with tempfile.TemporaryDirectory(prefix="imagewright-bench-", dir=chosen.directory) as directory:
        top = Path(directory)
        if chosen.profile:
            profile(top, workloads, quick=chosen.quick)
            return
        with peers(top) as everyone:
            world = World(top, everyone, chosen.quick)
            print(f"{'':14}{''.join(f'{name:>26}' for name in everyone.builders)}{'floor':>10}  ratio", flush=True)
            for workload in workloads:
                begun = time.monotonic()
                rounds = chosen.rounds or (1 if chosen.quick else workload.rounds)
                taken = measure(world, workload, rounds, 0 if chosen.no_podman else workload.podman_rounds)
                floor = workload.floor(world)
                cells = "".join(
                    f"{f'{series.median:.3f} ({series.spread[0]:.3f}-{series.spread[1]:.3f})':>26}"
                    for series in taken.values()
                )
                best = min(series.median for name, series in taken.items() if name != "imagewright")
                ratio = taken["imagewright"].median / best
                goals = ", ".join(
                    f"{goal.ratio}{f' {goal.against}' if goal.against else ''}" for goal in workload.goals
                )
                print(
                    f"{workload.key:14}{cells}{floor.seconds:10.3f}  {ratio:.2f} (goal {goals})"
                    f" [{time.monotonic() - begun:.0f} s]",
                    flush=True,
                )


if __name__ == "__main__":
    main()
