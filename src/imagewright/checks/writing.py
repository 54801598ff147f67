"""Rules about how a file is written: case, comments, empty lines, names of stages."""

from collections.abc import Iterator

from imagewright.checks.report import Report
from imagewright.checks.source import Source, alias_as_written, keyword_as_written
from imagewright.dockerfile import Arg, Dockerfile, From, Instruction, Maintainer

__all__ = ["check_writing"]

_RESERVED = frozenset({"context", "scratch"})


def check_writing(dockerfile: Dockerfile, source: Source, report: Report) -> None:
    """Report what is wrong with the writing of `dockerfile`, whose file is `source`."""
    for instruction in (*dockerfile.meta_args, *_in_stages(dockerfile)):
        gap = source.empty_continuation(instruction)
        if gap is not None:
            report("NoEmptyContinuation", "empty line in a continued instruction", gap)
        if isinstance(instruction, From):
            _check_from(instruction, report)
        elif isinstance(instruction, Maintainer):
            report("MaintainerDeprecated", "MAINTAINER is deprecated; use a LABEL", instruction.span)
        _check_description(instruction, source, report)
    _check_names(dockerfile, report)
    _check_case(dockerfile, report)


def _in_stages(dockerfile: Dockerfile) -> Iterator[Instruction]:
    for stage in dockerfile.stages:
        yield stage.base
        yield from stage.instructions


def _check_from(instruction: From, report: Report) -> None:
    as_, alias = alias_as_written(instruction)
    if alias != alias.lower():
        report("StageNameCasing", f"the name of stage '{alias}' should be in lower case", instruction.span)
    keyword = keyword_as_written(instruction)
    # A keyword of mixed case is another rule's.
    matches = as_.islower() if keyword.islower() else as_.isupper()
    if as_ and keyword in {keyword.lower(), keyword.upper()} and not matches:
        report("FromAsCasing", f"'{as_}' should be in the case of '{keyword}'", instruction.span)


def _check_description(instruction: Instruction, source: Source, report: Report) -> None:
    if isinstance(instruction, From):
        names = [instruction.alias] if instruction.alias else []
    elif isinstance(instruction, Arg):
        names = [name for name, _ in instruction.pairs]
    else:
        return
    comment = source.description(instruction)
    if names and comment is not None and comment.split(" ")[0] not in names:
        wanted = names[0] if len(names) == 1 else "<name>"
        message = f"the comment above {instruction.keyword} should be `# {wanted} <description>`"
        report("InvalidDefinitionDescription", message, instruction.span)


def _check_names(dockerfile: Dockerfile, report: Report) -> None:
    seen: set[str] = set()
    for stage in dockerfile.stages:
        if stage.name in _RESERVED:
            report("ReservedStageName", f"'{stage.name}' is reserved and no name for a stage", stage.base.span)
        if stage.name in seen:
            report("DuplicateStageName", f"an earlier stage is called '{stage.name}' too", stage.base.span)
        if stage.name:
            seen.add(stage.name)


def _check_case(dockerfile: Dockerfile, report: Report) -> None:
    """Compare the keywords of the stages with their majority; a draw is for upper case."""
    keywords = [(keyword_as_written(instruction), instruction) for instruction in _in_stages(dockerfile)]
    lower = sum(keyword.islower() for keyword, _ in keywords)
    upper = sum(keyword.isupper() for keyword, _ in keywords)
    case = "lower" if lower > upper else "upper"
    for keyword, instruction in keywords:
        if not (keyword.islower() if lower > upper else keyword.isupper()):
            message = f"'{keyword}' should be in {case} case, as most keywords of this file"
            report("ConsistentInstructionCasing", message, instruction.span)
