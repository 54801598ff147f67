"""From a parsed Dockerfile to a plan."""

import dataclasses
from collections.abc import Collection, Generator, Iterator, Mapping, Sequence
from functools import partial

from msgspec.structs import replace

from imagewright.dockerfile import Arg, Dockerfile, From, Instruction, expand, parse_instruction
from imagewright.errors import (
    Cancelled,
    DockerfileError,
    Forbidden,
    ImagewrightError,
    InvalidInput,
    NotFound,
    SystemFailure,
)
from imagewright.oci import Digest, Platform, RunConfig
from imagewright.plan.budget import MOST_NODES, Budget
from imagewright.plan.configuration import with_default_path
from imagewright.plan.graph import Node, Place, Plan, Step
from imagewright.plan.ops import Continue, Fail, Image, Op, Scratch
from imagewright.plan.stages import Resolve, Stages, Start, source_names
from imagewright.plan.translation import StageState, Translation, label, translate
from imagewright.plan.variables import BuildArgs, Scope

__all__ = ["Compilation", "compile"]

# What can be wrong with the image that a `--from` names.
_SOURCE_FAILURES = (InvalidInput, NotFound, Forbidden, SystemFailure)


def compile(  # noqa: A001 - the name of the verb in this field
    dockerfile: Dockerfile,
    *,
    target: str = "",
    build_args: Mapping[str, str | None],
    labels: Mapping[str, str],
    platform: Platform,
    build_platform: Platform | None = None,
    resolve: Resolve,
) -> Plan:
    """Return the plan that builds stage `target` of `dockerfile`: a whole `Compilation` at once.

    Raises `DockerfileError` where there is nothing to build, and `Cancelled` if `resolve` does.
    """
    compilation = Compilation(
        dockerfile,
        target=target,
        build_args=build_args,
        labels=labels,
        platform=platform,
        build_platform=build_platform,
        resolve=resolve,
    )
    for _ in compilation.batches():
        pass
    return compilation.plan()


def _find_target(dockerfile: Dockerfile, target: str) -> int:
    if not dockerfile.stages:
        raise DockerfileError("no build stage in current context")
    if not target:
        return len(dockerfile.stages) - 1
    for stage in dockerfile.stages:
        if stage.name == target.lower():
            return stage.index
    if target.isascii() and target.isdigit() and len(target) < 10 and int(target) < len(dockerfile.stages):
        return int(target)
    raise DockerfileError(f"failed to reach build target {target} in Dockerfile")


@dataclasses.dataclass(frozen=True, slots=True)
class _MetaFailure:
    """The meta arg, by its position, that cannot be declared, and why."""

    position: int
    error: ImagewrightError


def _declare(dockerfile: Dockerfile, args: BuildArgs) -> _MetaFailure | None:
    """Declare the ARGs before the first FROM, up to one that fails."""
    for position, arg in enumerate(dockerfile.meta_args):
        try:
            pairs = [_expand_arg(name, default, args, dockerfile.escape) for name, default in arg.pairs]
        except InvalidInput as error:
            return _MetaFailure(position, error)
        for name, default in pairs:
            args.declare(name, default)
    return None


def _expand_arg(name: str, default: str | None, args: BuildArgs, escape: str) -> tuple[str, str | None]:
    value = None if default is None else expand(default, args.find_global, escape=escape)
    return expand(name, args.find_global, escape=escape), value


def _consume_dropped(dockerfile: Dockerfile, target: int, needed: tuple[int, ...], args: BuildArgs) -> None:
    """Count the args of stages that are left out as used: their author has declared them."""
    kept = set(needed)
    for stage in dockerfile.stages[:target]:
        if stage.index not in kept:
            for instruction in stage.instructions:
                if isinstance(instruction, Arg):
                    args.consume(name for name, _ in instruction.pairs)


def _located(error: InvalidInput, blame: Instruction) -> DockerfileError:
    return DockerfileError(str(error), line=blame.span.start, source=blame.source)


@dataclasses.dataclass(frozen=True, slots=True)
class _End:
    """The last node of a stage, its configuration, and its args."""

    node: int
    config: RunConfig
    scope: Scope
    empty: bool


# What a generator of pauses returns: whether to go on.
_Going = Generator[None, None, bool]


class Compilation:
    """The plan that builds stage `target` (a name or a number, "" for the last one) of `dockerfile`, made bit by bit.

    Only stages that the target needs are in it. `build_args` without a value (None) count as not given. `platform` is
    what the image is for, `build_platform` what it is built on, the same if not given. Raises `DockerfileError` where
    there is nothing to build; any other error that belongs to an instruction becomes a `Fail` at its place, after which
    the plan has no more nodes.

    An image is asked of `resolve` when its place in the source is reached, not before: what stands before it can be
    carried out meanwhile. It is asked for the stages, too, whose names are among `contexts`: their own instructions are
    left out.
    """

    def __init__(
        self,
        dockerfile: Dockerfile,
        *,
        target: str = "",
        build_args: Mapping[str, str | None],
        labels: Mapping[str, str],
        platform: Platform,
        build_platform: Platform | None = None,
        resolve: Resolve,
        contexts: Collection[str] = (),
    ) -> None:
        self._target = _find_target(dockerfile, target)
        self._dockerfile = dockerfile
        self._args = BuildArgs(build_args, platform=platform, build_platform=build_platform or platform)
        failure = _declare(dockerfile, self._args)
        self._stages = Stages(
            dockerfile, variables=self._args.find_global, platform=platform, resolve=resolve, contexts=contexts
        )
        self._needed = tuple(range(self._target + 1)) if failure else self._stages.needed(self._target)
        # The budget finds it too, but only when the stages before are under way.
        if sum(map(self._stages.weight, self._needed)) > MOST_NODES:
            raise DockerfileError(f"there are more than {MOST_NODES} instructions once triggers are counted")
        _consume_dropped(dockerfile, self._target, self._needed, self._args)
        self._labels = labels
        self._budget = Budget()
        self._nodes: list[Node] = []
        self._preamble: list[Step] = []
        self._ends: dict[int, _End] = {}
        self._images: dict[Digest, int] = {}
        self._step = 0
        self._total = len(dockerfile.meta_args) + len(labels)
        self._total += sum(1 + len(self._stages.instructions(index)) for index in self._needed)
        self._place = Place(0)
        # Whether the stage at hand is one that has no steps of its own.
        self._hidden = False
        self._failed = not self._add_preamble(failure)

    @property
    def preamble(self) -> Sequence[Step]:
        """The steps of ARGs before the first FROM: told first, nothing is done for them."""
        return tuple(self._preamble)

    @property
    def warnings(self) -> Sequence[str]:
        """The warnings about the Dockerfile."""
        return self._dockerfile.warnings

    def instructions(self) -> Iterator[Instruction]:
        """Yield the instructions of the stages that the target needs, as they stand in the file; no triggers."""
        for index in self._needed:
            yield from self._stages.instructions(index)

    def batches(self) -> Iterator[Sequence[Node]]:
        """Yield the nodes in source order, as many at a time as need no further image; to be called once.

        Between two batches, and before the first, `resolve` is called. Raises `Cancelled` if it does.
        """
        told = 0
        for _ in self._pauses():
            if told < len(self._nodes):
                yield self._nodes[told:]
                told = len(self._nodes)
        yield self._nodes[told:]

    def plan(self) -> Plan:
        """Return what has been compiled; `batches` is at its end."""
        return Plan(
            nodes=tuple(self._nodes),
            target=len(self._nodes) - 1,
            preamble=tuple(self._preamble),
            unused_build_args=self._args.unused(),
            warnings=self._dockerfile.warnings,
        )

    def _pauses(self) -> Iterator[None]:
        """Compile everything, and pause before each image that has to be asked for."""
        if self._failed:
            return
        for index in self._needed:
            if not (yield from self._add_stage(index)):
                return
        if self._ends[self._target].empty:
            error = InvalidInput("No image was generated. Is your Dockerfile empty?")
            self._fail(error, self._dockerfile.stages[self._target].base, stage=self._target, step=None)

    # The `_add` methods append nodes until one fails; what they return is whether to go on.

    def _add_preamble(self, failure: _MetaFailure | None) -> bool:
        """Add the steps of the ARGs before the first FROM."""
        for position, arg in enumerate(self._dockerfile.meta_args):
            step = self._new_step(arg)
            if failure and failure.position == position:
                return self._fail(failure.error, arg, stage=0, step=step)
            self._preamble.append(step)
        return True

    def _add_stage(self, index: int) -> _Going:
        """Add stage `index`; all stages that its instructions need have been added."""
        stage = self._dockerfile.stages[index]
        if self._stages.repeated(index):
            error = InvalidInput(f"{stage.name} stage name already used")
            return self._fail(error, stage.base, stage=index, step=None)
        yield
        step = self._next_step(stage.base)
        self._place = Place(len(self._nodes), step)
        start = self._stages.start(index, self._place)
        state = self._begin(index, stage.base, start, step)
        if state is None:
            return False
        for position, trigger in enumerate(start.triggers):
            last = position == len(start.triggers) - 1
            if not (yield from self._add_trigger(index, trigger, state, last=last)):
                return False
        for instruction in self._stages.instructions(index):
            step = self._next_step(instruction)
            if not (yield from self._add(index, instruction, state, step=step)):
                return False
        if index == self._target:
            self._add_labels(index, state)
        self._end(index, state.scope)
        return True

    def _next_step(self, instruction: Instruction) -> Step | None:
        return None if self._hidden else self._new_step(instruction)

    def _new_step(self, instruction: Instruction) -> Step:
        self._step += 1
        return Step(self._step, self._total, instruction.text, instruction.span.start, instruction.source)

    def _begin(self, index: int, base: From, start: Start, step: Step | None) -> StageState | None:
        if start.error is not None:
            self._fail(start.error, base, stage=index, step=step)
            return None
        op, inputs, config = self._start_op(start)
        triggers = 0 if self._hidden else len(start.triggers)
        self._append(op, index, inputs, step=step, config=config, triggers=triggers, closes_step=not start.triggers)
        # The triggers of the base are for this stage; an image on top of it has its own.
        config = with_default_path(replace(config, on_build=None))
        scope = Scope(self._args) if start.stage is None else self._ends[start.stage].scope.child()
        return StageState(config, scope, self._dockerfile.escape, partial(self._find_source, index))

    def _start_op(self, start: Start) -> tuple[Op, tuple[int, ...], RunConfig]:
        if start.stage is not None:
            end = self._ends[start.stage]
            # A stage that ended with nothing is nothing to go on with: FROM it is FROM scratch.
            # The platform is that of its scratch.
            start_op = self._nodes[end.node].op if end.empty else Continue()
            return start_op, () if end.empty else (end.node,), end.config
        if start.base is not None:
            return Image(start.base, start.platform), (), start.base.config.run
        return Scratch(start.platform), (), RunConfig()

    def _add_trigger(self, stage: int, text: str, state: StageState, *, last: bool) -> _Going:
        base = self._dockerfile.stages[stage].base
        try:
            instruction = parse_instruction(text)
        except DockerfileError as error:
            return self._fail(InvalidInput(str(error)), base, stage=stage, step=None)
        return (yield from self._add(stage, instruction, state, step=None, blame=base, closes_step=last))

    def _add(
        self,
        stage: int,
        instruction: Instruction,
        state: StageState,
        *,
        step: Step | None,
        blame: Instruction | None = None,
        closes_step: bool = True,
    ) -> _Going:
        parent = self._nodes[-1].index
        if not (yield from self._add_source(stage, instruction)):
            return False
        self._place = Place(len(self._nodes), step)
        try:
            translation = translate(instruction, state)
        except Cancelled:
            raise
        except ImagewrightError as error:
            return self._fail(error, blame or instruction, stage=stage, step=step)
        try:
            self._budget.spend(translation, state)
        except InvalidInput as error:
            # Not a `Fail` at its place: what stands before it would be carried out, and is a great deal.
            raise _located(error, blame or instruction) from error
        self._append_translation(stage, parent, translation, state, step=step, closes_step=closes_step)
        return True

    def _add_source(self, stage: int, instruction: Instruction) -> _Going:
        """Add the stages that `instruction` reads from, if they were left out so far; pause for each image."""
        for name in source_names(instruction):
            try:
                source = self._stages.find_source(name, stage)
            except InvalidInput:
                return True  # told when it is translated
            if source is None:
                if not self._stages.has_image(name):
                    yield
            elif source not in self._ends and not (yield from self._add_hidden(source)):
                return False
        return True

    def _add_hidden(self, target: int) -> _Going:
        """Add what stage `target` is made from, without steps: only a trigger needs it, which has none of its own.

        How many steps there are was told before the image with the trigger was here.
        """
        hidden, self._hidden = self._hidden, True
        for index in self._stages.needed(target):
            if index not in self._ends and not (yield from self._add_stage(index)):
                return False
        self._hidden = hidden
        return True

    def _add_labels(self, stage: int, state: StageState) -> None:
        for name, value in sorted(self._labels.items()):
            parent = self._nodes[-1].index
            self._step += 1
            step = Step(self._step, self._total, f"LABEL {name}={value}")
            self._append_translation(stage, parent, label(name, value, state), state, step=step, closes_step=True)

    def _append_translation(
        self,
        stage: int,
        parent: int,
        translation: Translation,
        state: StageState,
        *,
        step: Step | None,
        closes_step: bool,
    ) -> None:
        self._append(
            translation.op,
            stage,
            (parent, *translation.inputs),
            step=step,
            closes_step=closes_step,
            config=state.config,
            author=state.author,
            created_by=translation.created_by,
        )

    def _end(self, index: int, scope: Scope) -> None:
        last = self._nodes[-1]
        empty = isinstance(last.op, Scratch)
        if not empty and not self._hidden:
            self._nodes[-1] = dataclasses.replace(last, last_of_stage=True)
        self._ends[index] = _End(last.index, last.config, scope, empty)

    def _find_source(self, stage: int, name: str) -> int:
        """Return the node that `--from=name` in `stage` reads: the end of a stage, or an image."""
        try:
            return self._source(stage, name)
        except _SOURCE_FAILURES as error:
            kind = next(kind for kind in _SOURCE_FAILURES if isinstance(error, kind))
            raise kind(f"invalid from flag value {name}: {error}") from error

    def _source(self, stage: int, name: str) -> int:
        source = self._stages.find_source(name, stage)
        if source is not None:
            return self._ends[source].node
        if name == "scratch":
            raise InvalidInput("'scratch' is a reserved name")
        base = self._stages.image(name, self._place)
        if base.image_id not in self._images:
            self._images[base.image_id] = len(self._nodes)
            self._append(Image(base), stage, (), config=base.config.run, closes_step=False)
        return self._images[base.image_id]

    def _append(
        self,
        op: Op,
        stage: int,
        inputs: tuple[int, ...],
        *,
        config: RunConfig,
        step: Step | None = None,
        closes_step: bool = True,
        triggers: int = 0,
        author: str = "",
        created_by: str = "",
    ) -> None:
        self._nodes.append(
            Node(
                index=len(self._nodes),
                stage=stage,
                op=op,
                inputs=inputs,
                step=step,
                closes_step=closes_step and not self._hidden,
                triggers=triggers,
                config=config,
                author=author,
                created_by=created_by,
            )
        )

    def _fail(self, error: ImagewrightError, blame: Instruction, *, stage: int, step: Step | None) -> bool:
        if isinstance(error, InvalidInput) and not (isinstance(error, DockerfileError) and error.line):
            located = _located(error, blame)
            located.__cause__ = error
            error = located
        inputs = (self._nodes[-1].index,) if self._nodes else ()
        self._append(Fail(error), stage, inputs, step=step, config=RunConfig())
        return False
