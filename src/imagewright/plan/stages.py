"""Where the stages of a Dockerfile begin, and which of them a target needs."""

import re
from collections.abc import Callable, Iterator
from dataclasses import dataclass

from imagewright.dockerfile import (
    Copy,
    Dockerfile,
    From,
    Instruction,
    OnBuild,
    Run,
    check_mount,
    expand,
    parse_instruction,
)
from imagewright.errors import Cancelled, DockerfileError, ImagewrightError, InvalidInput, Unsupported
from imagewright.oci import Platform
from imagewright.plan.ops import Base

__all__ = ["Stages", "Start"]

_NUMBER = re.compile(r"[+-]?[0-9]{1,18}")


@dataclass(frozen=True, slots=True)
class Start:
    """What a stage begins with: an earlier `stage`, an image as `base`, or nothing at all; or the `error` of its FROM.

    `triggers` are the ONBUILD instructions, as text, that are carried out first.
    """

    stage: int | None = None
    base: Base | None = None
    error: ImagewrightError | None = None
    triggers: tuple[str, ...] = ()


class Stages:
    """The stages of a Dockerfile. Images are asked of `resolve` once each, and only for stages that are asked for."""

    def __init__(
        self,
        dockerfile: Dockerfile,
        *,
        variables: Callable[[str], str | None],
        platform: Platform,
        resolve: Callable[[str, Platform], Base],
    ) -> None:
        self._dockerfile = dockerfile
        self._variables = variables
        self._platform = platform
        self._resolve = resolve
        self._starts: dict[int, Start] = {}
        self._images: dict[str, Base | ImagewrightError] = {}
        self._names: dict[str, int] = {}
        for stage in dockerfile.stages:
            self._names.setdefault(stage.name, stage.index)

    def start(self, index: int) -> Start:
        """Return how stage `index` begins."""
        if index not in self._starts:
            try:
                self._starts[index] = self._find_start(index)
            except Cancelled:
                raise
            except ImagewrightError as error:
                self._starts[index] = Start(error=error)
        return self._starts[index]

    def image(self, name: str) -> Base:
        """Return the image called `name`; raise the `ImagewrightError` of whoever resolves it."""
        if name not in self._images:
            try:
                self._images[name] = self._resolve(name, self._platform)
            except Cancelled:
                raise
            except ImagewrightError as error:
                self._images[name] = error
        found = self._images[name]
        if isinstance(found, ImagewrightError):
            raise found
        return found

    def find_source(self, name: str, index: int) -> int | None:
        """Return the stage that `--from=name` in stage `index` means, None if it is for an image.

        Raises `InvalidInput` for the number of a stage that is not an earlier one.
        """
        if _NUMBER.fullmatch(name):
            number = int(name)
            if number == index:
                raise InvalidInput("refers to current build stage")
            if not 0 <= number < index:
                raise InvalidInput("index out of bounds")
            return number
        return self._find_name(name, index)

    def repeated(self, index: int) -> bool:
        """Return whether an earlier stage has the name of stage `index`."""
        name = self._dockerfile.stages[index].name
        return self._find_name(name, index) is not None

    def needed(self, target: int) -> tuple[int, ...]:
        """Return the stages that `target` is made from, itself included, in source order.

        All up to `target`, if two of them have one name: then nobody knows which is meant, and the build fails.
        """
        if any(map(self.repeated, range(target + 1))):
            return tuple(range(target + 1))
        pending = [target]
        needed: set[int] = set()
        while pending:
            index = pending.pop()
            if index not in needed:
                needed.add(index)
                pending.extend(self._sources(index))
        return tuple(sorted(needed))

    def _sources(self, index: int) -> Iterator[int]:
        start = self.start(index)
        if start.stage is not None:
            yield start.stage
        triggers = [_parse_or_none(trigger) for trigger in start.triggers]
        for instruction in (*triggers, *self._dockerfile.stages[index].instructions):
            for name in _names_of_sources(instruction):
                try:
                    source = self.find_source(name, index)
                except InvalidInput:
                    continue  # told when the instruction is compiled
                if source is not None:
                    yield source

    def _find_start(self, index: int) -> Start:
        stage = self._dockerfile.stages[index]
        name = self._expand(stage.base.image)
        if not name:
            raise InvalidInput(f"base name ({stage.base.image}) should not be blank")
        self._check_platform(stage.base)
        earlier = self._find_name(name, index)
        if earlier is not None:
            instructions = self._dockerfile.stages[earlier].instructions
            return Start(stage=earlier, triggers=tuple(it.trigger for it in instructions if isinstance(it, OnBuild)))
        if name == "scratch":
            return Start()
        base = self.image(name)
        return Start(base=base, triggers=tuple(base.config.run.on_build or ()))

    def _find_name(self, name: str, before: int) -> int | None:
        # Names of stages have no case: https://docs.docker.com/reference/dockerfile/#from
        index = self._names.get(name.lower()) if name else None
        return index if index is not None and index < before else None

    def _check_platform(self, base: From) -> None:
        if not base.platform:
            return
        text = self._expand(base.platform)
        try:
            platform = Platform.parse(text, default=self._platform)
        except InvalidInput as error:
            raise InvalidInput(f"failed to parse platform {text}: {error}") from error
        if platform != self._platform:
            raise Unsupported(f"FROM --platform={platform} is not supported yet: this build is for {self._platform}")

    def _expand(self, word: str) -> str:
        return expand(word, self._variables, escape=self._dockerfile.escape)


def _names_of_sources(instruction: Instruction | None) -> list[str]:
    """Return what `instruction` calls the stages and images that it reads from."""
    if isinstance(instruction, Copy):
        return [instruction.from_] if instruction.from_ else []
    if isinstance(instruction, Run):
        return [name for name in map(check_mount, instruction.mounts) if name]
    return []


def _parse_or_none(trigger: str) -> Instruction | None:
    try:
        return parse_instruction(trigger)
    except DockerfileError:
        return None  # told when the trigger is compiled
