"""Where the stages of a Dockerfile begin, and which of them a target needs."""

import re
from collections.abc import Callable, Collection, Iterator, Sequence
from dataclasses import dataclass
from typing import Protocol

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
from imagewright.errors import Cancelled, DockerfileError, ImagewrightError, InvalidInput
from imagewright.oci import Platform
from imagewright.plan.graph import Place
from imagewright.plan.ops import Base

__all__ = ["Resolve", "Stages", "Start", "source_names"]

_NUMBER = re.compile(r"[+-]?[0-9]{1,18}")


class Resolve(Protocol):
    """Finds the images that a Dockerfile names."""

    def __call__(self, name: str, platform: Platform | None, place: Place, /) -> Base:
        """Return the image called `name`, expanded and not yet parsed; raise an `ImagewrightError` if there is none.

        `platform` is what FROM asks for, None where it does not. `place` is where that is.
        """


@dataclass(frozen=True, slots=True)
class Start:
    """What a stage begins with: an earlier `stage`, an image as `base`, or nothing at all; or the `error` of its FROM.

    `platform` is what FROM asks for; where it goes on from a stage, that counts. `triggers` are the ONBUILD
    instructions, as text, that are carried out first.
    """

    stage: int | None = None
    base: Base | None = None
    error: ImagewrightError | None = None
    platform: Platform | None = None
    triggers: tuple[str, ...] = ()


class Stages:
    """The stages of a Dockerfile. Images are asked of `resolve` once each, and only by `start` and `image`.

    Of a stage whose name is among `contexts` nothing is done: `resolve` knows what stands in its place.
    """

    def __init__(
        self,
        dockerfile: Dockerfile,
        *,
        variables: Callable[[str], str | None],
        platform: Platform,
        resolve: Resolve,
        contexts: Collection[str] = (),
    ) -> None:
        self._contexts = contexts
        self._dockerfile = dockerfile
        self._variables = variables
        self._platform = platform
        self._resolve = resolve
        self._starts: dict[int, Start] = {}
        self._images: dict[tuple[str, Platform | None], Base | ImagewrightError] = {}
        self._names: dict[str, int] = {}
        for stage in dockerfile.stages:
            self._names.setdefault(stage.name, stage.index)

    def start(self, index: int, place: Place) -> Start:
        """Return how stage `index` begins, whose FROM is at `place`."""
        if index not in self._starts:
            try:
                self._starts[index] = self._find_start(index, place)
            except Cancelled:
                raise
            except ImagewrightError as error:
                self._starts[index] = Start(error=error)
        return self._starts[index]

    def image(self, name: str, place: Place, platform: Platform | None = None) -> Base:
        """Return the image called `name`; raise the `ImagewrightError` of whoever resolves it."""
        key = name, platform
        if key not in self._images:
            try:
                self._images[key] = self._resolve(name, platform, place)
            except Cancelled:
                raise
            except ImagewrightError as error:
                self._images[key] = error
        found = self._images[key]
        if isinstance(found, ImagewrightError):
            raise found
        return found

    def has_image(self, name: str) -> bool:
        """Return whether `image` knows without asking what `name` is."""
        return (name, None) in self._images

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

    def replaced(self, index: int) -> bool:
        """Return whether a named context stands in the place of stage `index`."""
        return self._dockerfile.stages[index].name in self._contexts

    def instructions(self, index: int) -> Sequence[Instruction]:
        """Return what is carried out of stage `index` after its FROM."""
        return () if self.replaced(index) else self._dockerfile.stages[index].instructions

    def weight(self, index: int) -> int:
        """Return how many instructions stage `index` stands for, with the triggers of an earlier stage of the file."""
        if self.replaced(index):
            return 1
        earlier = self._find_earlier(index)
        triggers = 0 if earlier is None else len(self._triggers(earlier))
        return 1 + triggers + len(self.instructions(index))

    def repeated(self, index: int) -> bool:
        """Return whether an earlier stage has the name of stage `index`."""
        name = self._dockerfile.stages[index].name
        return self._find_name(name, index) is not None

    def needed(self, target: int) -> tuple[int, ...]:
        """Return the stages that `target` is made from, itself included, in source order; asks for no image.

        All up to `target`, if two of them have one name: then nobody knows which is meant, and the build fails. What
        only a trigger of an image needs is not among them: the image may not be here yet.
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
        if self.replaced(index):
            return
        stage = self._dockerfile.stages[index]
        earlier = self._find_earlier(index)
        triggers: tuple[str, ...] = ()
        if earlier is not None:
            yield earlier
            triggers = self._triggers(earlier)
        for instruction in (*map(_parse_or_none, triggers), *stage.instructions):
            for name in source_names(instruction):
                try:
                    source = self.find_source(name, index)
                except InvalidInput:
                    continue  # told when the instruction is compiled
                if source is not None:
                    yield source

    def _find_earlier(self, index: int) -> int | None:
        try:
            return self._find_name(self._expand(self._dockerfile.stages[index].base.image), index)
        except InvalidInput:
            return None  # told when the stage is compiled

    def _triggers(self, index: int) -> tuple[str, ...]:
        instructions = self.instructions(index)
        return tuple(instruction.trigger for instruction in instructions if isinstance(instruction, OnBuild))

    def _find_start(self, index: int, place: Place) -> Start:
        stage = self._dockerfile.stages[index]
        if self.replaced(index):
            platform = self._find_platform(stage.base)
            return Start(base=self.image(stage.name, place, platform), platform=platform)
        name = self._expand(stage.base.image)
        if not name:
            raise InvalidInput(f"base name ({stage.base.image}) should not be blank")
        platform = self._find_platform(stage.base)
        earlier = self._find_name(name, index)
        if earlier is not None:
            return Start(stage=earlier, triggers=self._triggers(earlier))
        if name == "scratch":
            return Start(platform=platform)
        base = self.image(name, place, platform)
        return Start(base=base, platform=platform, triggers=tuple(base.config.run.on_build or ()))

    def _find_name(self, name: str, before: int) -> int | None:
        # Names of stages have no case: https://docs.docker.com/reference/dockerfile/#from
        index = self._names.get(name.lower()) if name else None
        return index if index is not None and index < before else None

    def _find_platform(self, base: From) -> Platform | None:
        if not base.platform:
            return None
        text = self._expand(base.platform)
        try:
            platform = Platform.parse(text, default=self._platform)
        except InvalidInput as error:
            raise InvalidInput(f"failed to parse platform {text}: {error}") from error
        if platform.os != "linux":
            raise InvalidInput(f"operating system is not supported: platform={platform}")
        return platform

    def _expand(self, word: str) -> str:
        return expand(word, self._variables, escape=self._dockerfile.escape)


def source_names(instruction: Instruction | None) -> list[str]:
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
