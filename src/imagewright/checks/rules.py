"""The rules and what is found by them. https://docs.docker.com/reference/build-checks/."""

import re
from collections.abc import Iterable, Mapping
from dataclasses import dataclass

from imagewright.dockerfile import Span

__all__ = ["RULES", "Finding", "Rule", "describe", "summarise"]

_PAGES = "https://docs.docker.com/go/dockerfile/rule/"
_WORD = re.compile(r"(?<=[a-z])(?=[A-Z])|(?<=JSON)(?=[A-Z])")


@dataclass(frozen=True, slots=True)
class Rule:
    """A rule: what is wrong with what it finds, in one sentence; an `experimental` one is off unless asked for."""

    name: str
    detail: str
    experimental: bool = False

    @property
    def url(self) -> str:
        """The address of the page about this rule."""
        return f"{_PAGES}{_WORD.sub('-', self.name).lower()}/"


@dataclass(frozen=True, slots=True)
class Finding:
    """One thing found, at the physical lines `span`; `source` is the first of them."""

    rule: Rule
    message: str
    span: Span
    source: str


def describe(finding: Finding, name: str) -> str:
    """Return one line about `finding` in the Dockerfile called `name`: `file:line: rule: message`."""
    return f"{name}:{finding.span.start}: {finding.rule.name}: {finding.message}"


def summarise(findings: Iterable[Finding]) -> str:
    """Return the text of the error that `error=true` makes of findings: the names of their rules, sorted."""
    return f"lint violation found for rules: {', '.join(sorted({finding.rule.name for finding in findings}))}"


_RULES = (
    Rule("StageNameCasing", "Stage names have no case; written in lower case they differ from keywords at a glance."),
    Rule("FromAsCasing", "AS reads as a part of FROM and is written in the same case."),
    Rule("NoEmptyContinuation", "An empty line inside a continued instruction is going to be an error."),
    Rule("ConsistentInstructionCasing", "Keywords are written in one case throughout the file."),
    Rule("DuplicateStageName", "Stages of one name cannot be told apart where one of them is meant."),
    Rule("ReservedStageName", "`scratch` and `context` mean something else where a stage can be named."),
    Rule("JSONArgsRecommended", "A program started by a shell gets no signals: a container of it is slow to stop."),
    Rule("MaintainerDeprecated", "The label org.opencontainers.image.authors is what names an author now."),
    Rule("UndefinedArgInFrom", "FROM sees the ARGs before the first FROM and the platform ones, and nothing else."),
    Rule("WorkdirRelativePath", "Where a relative path ends up depends on the working directory of the base image."),
    Rule("UndefinedVar", "A variable that neither ENV nor ARG sets is replaced by nothing."),
    Rule("MultipleInstructionsDisallowed", "Of CMD, ENTRYPOINT and HEALTHCHECK only the last in a stage counts."),
    Rule("LegacyKeyValueFormat", "The form with a blank instead of `=` is deprecated, and takes a single pair."),
    Rule("RedundantTargetPlatform", "A base image is for the target platform if nothing is said."),
    Rule(
        "SecretsUsedInArgOrEnv", "Anyone who has the image can read these values; RUN --mount=type=secret hides them."
    ),
    Rule("InvalidDefaultArgInFrom", "Without build args this Dockerfile cannot be built."),
    Rule("FromPlatformFlagConstDisallowed", "A fixed platform cannot be built for another; a variable can."),
    Rule("CopyIgnoredFile", "What .dockerignore names is not in the build context.", experimental=True),
    Rule(
        "InvalidDefinitionDescription",
        "A comment right above FROM or ARG describes it, beginning with its name; an empty line parts them.",
        experimental=True,
    ),
    Rule("ExposeProtoCasing", "Protocols are written in lower case."),
    Rule("ExposeInvalidFormat", "EXPOSE names ports of the container alone, no addresses and no ports of the host."),
)

#: The rules by their names, in the order of the reference.
RULES: Mapping[str, Rule] = {rule.name: rule for rule in _RULES}
