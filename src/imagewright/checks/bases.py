"""Rules about FROM, and what stands in its words."""

from collections.abc import Mapping

from imagewright.checks.report import Report
from imagewright.checks.suggestion import Suggestions
from imagewright.checks.variables import LONGEST_VALUE, Expansion, expand_and_note
from imagewright.dockerfile import Arg, Dockerfile, From
from imagewright.errors import InvalidInput
from imagewright.oci import Platform
from imagewright.reference import Reference

__all__ = ["Globals", "check_bases"]


class Globals:
    """The variables that FROM sees: `values` of those that have one; `names` are all, declared without a value too."""

    def __init__(
        self, dockerfile: Dockerfile, build_args: Mapping[str, str | None], automatic: Mapping[str, str]
    ) -> None:
        self.values = dict(automatic)
        self.names = dict.fromkeys(automatic)
        for name, default in _pairs(dockerfile.meta_args):
            self.names[name] = None
            value = build_args.get(name)
            if value is None and default is not None:
                expansion = expand_and_note(default, self.values, dockerfile.escape)
                value = expansion.text if expansion else None
            if value is not None:
                self.values[name] = value[:LONGEST_VALUE]


def check_bases(
    dockerfile: Dockerfile,
    seen: Globals,
    defaults: Globals,
    *,
    platform: Platform,
    suggestions: Suggestions,
    report: Report,
) -> None:
    """Report what is wrong with the FROMs; `defaults` are the variables as they are without any build arg."""
    for stage in dockerfile.stages:
        base = stage.base
        _check_default(base, defaults, dockerfile.escape, report)
        image = expand_and_note(base.image, seen.values, dockerfile.escape)
        _check_declared(base, image, seen, suggestions, report)
        if base.platform:
            named = expand_and_note(base.platform, seen.values, dockerfile.escape)
            _check_declared(base, named, seen, suggestions, report)
            if named:
                _check_platform(base, named, seen, platform, report)


def _pairs(args: tuple[Arg, ...]) -> list[tuple[str, str | None]]:
    return [pair for arg in args for pair in arg.pairs]


def _check_default(base: From, defaults: Globals, escape: str, report: Report) -> None:
    expansion = expand_and_note(base.image, defaults.values, escape)
    if expansion is None or not (expansion.set_names or expansion.unset_names):
        return  # without variables it is wrong whatever the build args are, and the build says so
    try:
        Reference.parse(expansion.text)
    except InvalidInput:
        message = f"without build args '{base.image}' is not the name of an image"
        report("InvalidDefaultArgInFrom", message, base.span)


def _check_declared(
    base: From, expansion: Expansion | None, seen: Globals, suggestions: Suggestions, report: Report
) -> None:
    for name in expansion.unset_names if expansion else ():
        if name not in seen.names:
            other = suggestions.find(name, seen.names)
            hint = f" (did you mean {other}?)" if other else ""
            report("UndefinedArgInFrom", f"no ARG before the first FROM declares '{name}'{hint}", base.span)


def _check_platform(base: From, named: Expansion, seen: Globals, platform: Platform, report: Report) -> None:
    if named.unset_names:
        return
    if named.set_names:
        if named.set_names == {"TARGETPLATFORM"} and named.text == seen.values["TARGETPLATFORM"]:
            message = f"--platform={base.platform} is what FROM does anyway"
            report("RedundantTargetPlatform", message, base.span)
        return
    try:
        constant = Platform.parse(named.text, default=platform)
    except InvalidInput:
        return
    # A stage that is named after its platform is meant to have it.
    if constant.os not in base.alias and constant.architecture not in base.alias:
        message = f"--platform={named.text} is a fixed value; use a variable"
        report("FromPlatformFlagConstDisallowed", message, base.span)
