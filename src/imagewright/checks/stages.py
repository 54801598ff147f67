"""Rules about the instructions of a stage, and the state that they are judged by."""

import re
from collections import ChainMap
from collections.abc import Callable, Iterable, Mapping
from dataclasses import dataclass, field
from typing import Any

from imagewright.checks.report import Report
from imagewright.checks.source import rest_as_written
from imagewright.checks.suggestion import Suggestions
from imagewright.checks.variables import (
    LONGEST_VALUE,
    expand_and_note,
    expand_document_and_note,
    expand_words_and_note,
)
from imagewright.dockerfile import (
    Add,
    Arg,
    Cmd,
    Copy,
    Entrypoint,
    Env,
    Expose,
    Healthcheck,
    Instruction,
    Label,
    OnBuild,
    Run,
    Shell,
    Span,
    StopSignal,
    User,
    Volume,
    Workdir,
)
from imagewright.filesystem import IgnorePatterns
from imagewright.oci import RunConfig

__all__ = ["Scope", "Surroundings", "judge"]

_ANY = r"(?:^|_)(?:%s)(?:_|$)"
_SECRET = re.compile(_ANY % "apikey|auth|credential|credentials|key|passwd|password|pword|secret|token", re.IGNORECASE)
_HARMLESS = re.compile(_ANY % "file|public|version", re.IGNORECASE)
_REMOTE = ("http://", "https://", "git://", "git@", "ssh://")
_EVERYTHING = frozenset({"*", "**", "**/*"})
# Names that BuildKit reads itself and never sets.
_READ_BY_BUILDER = frozenset({"BUILDKIT_SBOM_SCAN_CONTEXT", "BUILDKIT_SBOM_SCAN_STAGE"})


@dataclass(slots=True)
class Scope:
    """What is known where an instruction stands.

    `known` says that all of the base image's variables are in `env`. `declared` are all args, `args` those with a
    value.
    """

    known: bool
    env: dict[str, str] = field(default_factory=lambda: {"PATH": ""})
    args: dict[str, str] = field(default_factory=dict)
    declared: set[str] = field(default_factory=set)
    shell: bool = False
    absolute: bool = False
    triggers: list[str] = field(default_factory=list)
    last: dict[str, Span] = field(default_factory=dict)

    @classmethod
    def of_image(cls, config: RunConfig | None) -> "Scope":
        """Return what is known at the beginning of a stage on an image, None for one that nobody knows."""
        scope = cls(known=config is not None)
        if config is not None:
            scope.env.update(variable.partition("=")[::2] for variable in config.env or ())
            scope.shell = bool(config.shell)
            scope.triggers.extend(config.on_build or ())
        return scope

    def child(self) -> "Scope":
        """Return what is known at the beginning of a stage on this one."""
        return Scope(
            self.known,
            dict(self.env),
            dict(self.args),
            set(self.declared),
            self.shell,
            self.absolute,
            list(self.triggers),
        )

    def values(self) -> Mapping[str, str]:
        """Return the variables that are set, as a view."""
        return ChainMap(self.env, self.args)


@dataclass(frozen=True, slots=True)
class Surroundings:
    """What is the same for all instructions of a file.

    `inherited` are the values that ARG without a default gets, `ignore` are the patterns of the context.
    """

    report: Report
    escape: str
    build_args: Mapping[str, str | None]
    inherited: Mapping[str, str]
    ignore: IgnorePatterns | None
    suggestions: Suggestions


def judge(instruction: Instruction, span: Span, scope: Scope, surroundings: Surroundings) -> None:
    """Report what is wrong with `instruction`, which is said to stand at `span`, and bring `scope` up to date."""
    rule = _JUDGEMENTS.get(type(instruction))
    if rule is not None:
        rule(instruction, _Place(span, scope, surroundings))


@dataclass(frozen=True, slots=True)
class _Place:
    """Where an instruction stands."""

    span: Span
    scope: Scope
    surroundings: Surroundings

    def report(self, rule: str, message: str, span: Span | None = None) -> None:
        """Note what is wrong here, or at `span`."""
        self.surroundings.report(rule, message, span or self.span)

    def expand(self, *words: str) -> list[str | None]:
        """Return what each word expands to, None where it cannot be, and report variables that nothing sets."""
        values = self.scope.values()
        expanded: list[str | None] = []
        for word in words:
            expansion = expand_and_note(word, values, self.surroundings.escape)
            self.check_variables(expansion.unset_names if expansion else (), values)
            expanded.append(expansion.text if expansion else None)
        return expanded

    def check_variables(self, names: Iterable[str], values: Mapping[str, str]) -> None:
        """Report those of the unset variables `names` that are not declared either."""
        for name in names:
            if name in self.scope.declared or name in _READ_BY_BUILDER:
                continue
            other = self.surroundings.suggestions.find(name, values)
            # A base image that nobody knows may set anything; a slip of the pen is none of its variables.
            if self.scope.known or other:
                hint = f" (did you mean ${other}?)" if other else ""
                self.report("UndefinedVar", f"nothing sets the variable '${name}'{hint}")


def _arg(instruction: Arg, at: _Place) -> None:
    for name, default in instruction.pairs:
        _check_secret("ARG", name, at)
        value = at.surroundings.build_args.get(name)
        if value is None and default is not None:
            (value,) = at.expand(default)
        elif value is None:
            value = at.surroundings.inherited.get(name)
        at.scope.declared.add(name)
        if value is not None:
            at.scope.args[name] = value[:LONGEST_VALUE]
        else:
            at.scope.args.pop(name, None)


def _env(instruction: Env, at: _Place) -> None:
    _check_pairs(instruction, at)
    expanded = at.expand(*(word for pair in instruction.pairs for word in pair))
    for name, value in zip(expanded[::2], expanded[1::2], strict=True):
        if name is not None:
            _check_secret("ENV", name, at)
            at.scope.env[name] = (value or "")[:LONGEST_VALUE]


def _label(instruction: Label, at: _Place) -> None:
    _check_pairs(instruction, at)
    at.expand(*(word for pair in instruction.pairs for word in pair))


def _add_or_copy(instruction: Copy | Add, at: _Place) -> None:
    sources = at.expand(*instruction.sources)
    at.expand(instruction.destination, instruction.chown, instruction.chmod, *instruction.exclude)
    values = at.scope.values()
    for document in instruction.documents:
        expansion = expand_document_and_note(document.content, values) if document.expand else None
        at.check_variables(expansion.unset_names if expansion else (), values)
    if not (isinstance(instruction, Copy) and instruction.from_):
        for source in sources:
            if source is not None and _ignored(source, at.surroundings.ignore):
                at.report("CopyIgnoredFile", f".dockerignore leaves out what {instruction.keyword} names: '{source}'")


def _ignored(source: str, ignore: IgnorePatterns | None) -> bool:
    # With exceptions something of a directory left out may be there.
    if ignore is None or any(pattern.startswith("!") for pattern in ignore.patterns) or source.startswith(_REMOTE):
        return False
    path = "/".join(name for name in source.split("/") if name not in {"", "."})
    return ignore.ignored(path) if path else not _EVERYTHING.isdisjoint(ignore.patterns)


def _command(instruction: Cmd | Entrypoint, at: _Place) -> None:
    _once(instruction, at)
    if instruction.command.shell and not at.scope.shell:
        message = f"{instruction.keyword} should be a JSON array: a shell keeps signals from it"
        at.report("JSONArgsRecommended", message)


def _once(instruction: Instruction, at: _Place) -> None:
    keyword = instruction.keyword
    before = at.scope.last.get(keyword)
    if before is not None:
        at.report("MultipleInstructionsDisallowed", f"a later {keyword} of this stage replaces this one", before)
    at.scope.last[keyword] = at.span


def _workdir(instruction: Workdir, at: _Place) -> None:
    (path,) = at.expand(instruction.path)
    if path is not None and not at.scope.absolute and not path.startswith("/"):
        at.report("WorkdirRelativePath", f"'{path}' is relative to whatever the base image has")
    # Mending the first one mends all.
    at.scope.absolute = True


def _expose(instruction: Expose, at: _Place) -> None:
    values = at.scope.values()
    for word in instruction.ports:
        expansion = expand_words_and_note(word, values, at.surroundings.escape)
        for port in expansion.words if expansion else ():
            *host, container = port.split(":")
            protocol = container.partition("/")[2]
            if protocol != protocol.lower():
                at.report("ExposeProtoCasing", f"the protocol in '{port}' should be in lower case")
            if any(host):
                at.report("ExposeInvalidFormat", f"'{port}' should name a port of the container alone")


def _run(instruction: Run, at: _Place) -> None:
    at.expand(*instruction.mounts, instruction.network, instruction.security)


def _shell(_instruction: Shell, at: _Place) -> None:
    at.scope.shell = True


def _on_build(instruction: OnBuild, at: _Place) -> None:
    at.scope.triggers.append(instruction.trigger)


def _volume(instruction: Volume, at: _Place) -> None:
    at.expand(*instruction.paths)


def _user(instruction: User, at: _Place) -> None:
    at.expand(instruction.user)


def _stop_signal(instruction: StopSignal, at: _Place) -> None:
    at.expand(instruction.signal)


def _check_pairs(instruction: Env | Label, at: _Place) -> None:
    name = instruction.pairs[0][0]
    if not rest_as_written(instruction).startswith(f"{name}="):
        keyword = instruction.keyword
        at.report("LegacyKeyValueFormat", f"write `{keyword} name=value` instead of `{keyword} name value`")


def _check_secret(keyword: str, name: str, at: _Place) -> None:
    if _SECRET.search(name) and not _HARMLESS.search(name):
        at.report("SecretsUsedInArgOrEnv", f"{keyword} '{name}' looks like a secret, and would be kept in the image")


_JUDGEMENTS: Mapping[type[Instruction], Callable[[Any, _Place], None]] = {
    Add: _add_or_copy,
    Arg: _arg,
    Cmd: _command,
    Copy: _add_or_copy,
    Entrypoint: _command,
    Env: _env,
    Expose: _expose,
    Healthcheck: _once,
    Label: _label,
    OnBuild: _on_build,
    Run: _run,
    Shell: _shell,
    StopSignal: _stop_signal,
    User: _user,
    Volume: _volume,
    Workdir: _workdir,
}
