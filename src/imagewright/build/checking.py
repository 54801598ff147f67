"""The build checks of a build: told as warnings, or an error before anything runs."""

from collections.abc import Callable

from imagewright.archive import read_content
from imagewright.build.context import Context
from imagewright.build.request import BuildRequest
from imagewright.checks import Finding, check, describe, read_options, summarise
from imagewright.dockerfile import Dockerfile
from imagewright.errors import DockerfileError, InvalidInput
from imagewright.events import BuildWarning, Reporter
from imagewright.filesystem import EMPTY, File, IgnorePatterns, find
from imagewright.oci import Platform, RunConfig

__all__ = ["check_build"]

_IGNORE_LIMIT = 4 << 20


def check_build(
    dockerfile: Dockerfile,
    context: Context,
    request: BuildRequest,
    *,
    platform: Platform,
    build_platform: Platform,
    find_base: Callable[[str], RunConfig | None],
    report: Reporter,
) -> tuple[Finding, ...]:
    """Return what the build checks find in the Dockerfile of `context`, and tell `report` a warning for each.

    Nothing is looked for, so that the stream stays the classic builder's, unless `request` asks for it or the
    Dockerfile has a `check` directive. Raises `DockerfileError` if that is wrong, or if it makes findings errors and
    there is one: that of the first finding's line, which names all rules. For what is known of base images see
    `imagewright.checks.check`.
    """
    options = read_options(dockerfile, request.build_args, name=context.name)
    if not (request.check or options.error or "check" in dockerfile.directives):
        return ()
    findings = check(
        dockerfile,
        context.dockerfile,
        platform=platform,
        build_platform=build_platform,
        build_args=request.build_args,
        target=request.target,
        ignore=_read_patterns(context),
        find_base=find_base,
        options=options,
    )
    for finding in findings:
        report(BuildWarning(f"[WARNING]: {describe(finding, context.name)}"))
    if findings and options.error:
        first = findings[0]
        raise DockerfileError(
            summarise(findings), line=first.span.start, source=first.source.strip(), path=context.name
        )
    return findings


def _read_patterns(context: Context) -> IgnorePatterns | None:
    node = find(context.tree or EMPTY, ".dockerignore")
    if not isinstance(node, File):
        return None
    try:
        return IgnorePatterns.read(read_content(node.content, _IGNORE_LIMIT))
    except InvalidInput:
        return None  # the engine passes it over too
