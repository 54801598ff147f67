"""Puts the rules together."""

import re
from collections.abc import Callable, Iterator, Mapping

from imagewright.checks.bases import Globals, check_bases
from imagewright.checks.options import Options, read_options
from imagewright.checks.report import Report
from imagewright.checks.rules import Finding
from imagewright.checks.source import Source
from imagewright.checks.stages import Scope, Surroundings, judge
from imagewright.checks.suggestion import Suggestions
from imagewright.checks.variables import expand_and_note
from imagewright.checks.writing import check_writing
from imagewright.dockerfile import Copy, Dockerfile, Instruction, Run, Stage, parse_instruction
from imagewright.errors import DockerfileError
from imagewright.filesystem import IgnorePatterns
from imagewright.oci import Platform, RunConfig

__all__ = ["check"]

#: Returns the configuration of a base image by its name, None if it is not known.
FindBase = Callable[[str], RunConfig | None]

# Triggers count for each stage on the one that has them, so they are bounded apart from the size of the file.
_MOST_TRIGGERS = 10_000
_MOUNT_SOURCE = re.compile(r"(?:^|,)from=([^,]*)")


def check(
    dockerfile: Dockerfile,
    data: bytes,
    *,
    platform: Platform,
    build_platform: Platform | None = None,
    build_args: Mapping[str, str | None] | None = None,
    target: str = "",
    ignore: IgnorePatterns | None = None,
    find_base: FindBase | None = None,
    options: Options | None = None,
) -> tuple[Finding, ...]:
    """Return what the rules find in `dockerfile`, which was read from `data`, by line.

    With a `target`, the name or number of a stage, rules about instructions look at the stages that it is made from
    alone. `ignore` are the patterns that the context was filtered by. Of base images only what `find_base` tells is
    known; on one that it knows nothing of, a variable that nothing sets is reported only if it is close to one that is
    set, as the image may set it. `options` None means those of the directive. Raises `DockerfileError` for a directive
    that is wrong, and nothing for what is wrong with the rest: the build says so.
    """
    build_args = build_args or {}
    if options is None:
        options = read_options(dockerfile, build_args)
    source = Source.read(data, dockerfile)
    report = Report(options, source)
    automatic = _automatic(platform, build_platform or platform, target or dockerfile.stages[-1].name)
    seen = Globals(dockerfile, build_args, {**automatic, **_given(build_args, automatic)})
    check_writing(dockerfile, source, report)
    suggestions = Suggestions()
    defaults = Globals(dockerfile, {}, automatic)
    check_bases(dockerfile, seen, defaults, platform=platform, suggestions=suggestions, report=report)
    surroundings = Surroundings(report, dockerfile.escape, build_args, seen.values, ignore, suggestions)
    _check_stages(_Stages(dockerfile, seen), target, surroundings, find_base or (lambda _: None))
    return report.findings()


def _automatic(platform: Platform, build_platform: Platform, target: str) -> dict[str, str]:
    """Return the predefined variables: https://docs.docker.com/reference/dockerfile/#automatic-platform-args."""
    values = {"TARGETSTAGE": target or "default"}
    for prefix, named in (("TARGET", platform), ("BUILD", build_platform)):
        values[f"{prefix}PLATFORM"] = str(named)
        values[f"{prefix}OS"] = named.os
        values[f"{prefix}OSVERSION"] = ""
        values[f"{prefix}ARCH"] = named.architecture
        values[f"{prefix}VARIANT"] = named.variant
    return values


def _given(build_args: Mapping[str, str | None], names: Mapping[str, str]) -> dict[str, str]:
    return {name: value for name, value in build_args.items() if name in names and value is not None}


class _Stages:
    """The stages by their numbers, and how they depend on each other."""

    def __init__(self, dockerfile: Dockerfile, seen: Globals) -> None:
        self.stages = dockerfile.stages
        self._names: dict[str, int] = {}
        for stage in dockerfile.stages:
            self._names.setdefault(stage.name, stage.index)
        self._images = [expand_and_note(it.base.image, seen.values, dockerfile.escape) for it in dockerfile.stages]

    def image(self, stage: Stage) -> str:
        """Return the name that FROM has, expanded; empty if it cannot be."""
        expansion = self._images[stage.index]
        return expansion.text if expansion else ""

    def find(self, name: str, before: int) -> int | None:
        """Return the number of the stage called `name`, or of that number, before the stage `before`."""
        if name.isascii() and name.isdigit() and len(name) < 10:
            number: int | None = int(name)
        else:
            number = self._names.get(name.lower()) if name else None
        return number if number is not None and number < before else None

    def parent(self, stage: Stage) -> int | None:
        """Return the number of the stage that `stage` begins with, None if it is an image."""
        name = self.image(stage)
        return None if name.isdigit() else self.find(name, stage.index)

    def needed(self, target: str) -> set[int]:
        """Return the numbers of the stages that `target` is made from; all if it is empty or none of them."""
        last = self.find(target, len(self.stages)) if target else None
        if last is None:
            return set(range(len(self.stages)))
        pending, needed = [last], set[int]()
        while pending:
            index = pending.pop()
            if index not in needed:
                needed.add(index)
                pending.extend(self._sources(self.stages[index]))
        return needed

    def _sources(self, stage: Stage) -> Iterator[int]:
        names = [name for instruction in stage.instructions for name in _named_sources(instruction)]
        for number in (self.parent(stage), *(self.find(name, stage.index) for name in names)):
            if number is not None:
                yield number


def _named_sources(instruction: Instruction) -> Iterator[str]:
    if isinstance(instruction, Copy):
        yield instruction.from_
    elif isinstance(instruction, Run):
        for mount in instruction.mounts:
            yield from _MOUNT_SOURCE.findall(mount)


def _check_stages(stages: _Stages, target: str, surroundings: Surroundings, find_base: FindBase) -> None:
    needed = stages.needed(target)
    scopes: dict[int, Scope] = {}
    triggers_left = _MOST_TRIGGERS
    for stage in stages.stages:
        if stage.index not in needed:
            continue
        parent = stages.parent(stage)
        name = stages.image(stage)
        if parent is not None:
            scope = scopes[parent].child()
        else:
            scope = Scope.of_image(RunConfig() if name == "scratch" else find_base(name))
        scopes[stage.index] = scope
        triggers, scope.triggers = scope.triggers, []
        for trigger in triggers[:triggers_left]:
            triggers_left -= 1
            try:
                instruction = parse_instruction(trigger)
            except DockerfileError:
                continue
            judge(instruction, stage.base.span, scope, surroundings)
        for instruction in stage.instructions:
            judge(instruction, instruction.span, scope, surroundings)
