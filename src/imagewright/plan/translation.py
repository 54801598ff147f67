"""One instruction, at its place in a stage, as an op."""

from collections.abc import Callable, Mapping, Sequence
from dataclasses import dataclass
from functools import partial
from typing import Any, Literal, cast

from msgspec.structs import replace

from imagewright.dockerfile import (
    Add,
    Arg,
    Cmd,
    Command,
    Copy,
    Entrypoint,
    Env,
    Expose,
    Healthcheck,
    Heredoc,
    Instruction,
    Label,
    Maintainer,
    OnBuild,
    Run,
    Shell,
    StopSignal,
    User,
    Volume,
    Workdir,
    expand,
    expand_document,
    expand_words,
)
from imagewright.errors import InvalidInput
from imagewright.filesystem import parse_mode
from imagewright.oci import Healthcheck as HealthcheckConfig
from imagewright.oci import RunConfig
from imagewright.plan import history
from imagewright.plan.configuration import (
    check_path,
    clean_path,
    environment,
    join_workdir,
    shell_of,
    with_env,
    with_healthcheck,
    with_labels,
    with_ports,
    with_trigger,
    with_volumes,
)
from imagewright.plan.graph import SOURCE
from imagewright.plan.mounts import plan_mounts
from imagewright.plan.ops import AddFiles, Configure, CopyFiles, Document, MakeDirectory, Op, Remote, RunCommand
from imagewright.plan.ports import parse_ports
from imagewright.plan.signals import check_signal
from imagewright.plan.variables import Scope

__all__ = ["StageState", "Translation", "label", "translate"]

# As many as there are, of all protocols.
_MOST_PORTS = 3 << 16
_WEB = ("http://", "https://")
_REMOTE = (*_WEB, "git://", "ssh://", "git@")


@dataclass(slots=True)
class StageState:
    """What an instruction finds and leaves behind. `find_source` returns the node that a `--from` names."""

    config: RunConfig
    scope: Scope
    escape: str
    find_source: Callable[[str], int]
    author: str = ""
    # Whether a CMD of this stage, not of its base, is in `config`.
    command_set: bool = False

    def variables(self) -> Callable[[str], str | None]:
        """Return what finds the values that `$NAME` stands for now."""
        return partial(self.scope.find, environment=environment(self.config))


@dataclass(frozen=True, slots=True)
class Translation:
    """An op, the text of its history entry, and the nodes it reads besides its parent."""

    op: Op
    created_by: str
    inputs: tuple[int, ...] = ()


def translate(instruction: Instruction, state: StageState) -> Translation:
    """Return what `instruction` does and bring `state` to what is true after it.

    Raises an `ImagewrightError`, with `state` in no certain state, where it cannot be carried out.
    """
    translator = _TRANSLATORS.get(type(instruction))
    if translator is None:
        raise InvalidInput(f"{instruction.keyword} isn't allowed as an ONBUILD trigger")
    return translator(instruction, state)


def label(name: str, value: str, state: StageState) -> Translation:
    """Return the translation of a label that the request sets: nothing in it is expanded."""
    return _configure(state, f"LABEL {name}={value}", with_labels(state.config, [(name, value)]))


def _configure(state: StageState, text: str, config: RunConfig) -> Translation:
    state.config = config
    return Translation(Configure(text), history.record(shell_of(config), text))


def _expand_all(words: Sequence[str], state: StageState) -> tuple[str, ...]:
    variables = state.variables()
    return tuple(expand(word, variables, escape=state.escape) for word in words)


def _expand_pairs(pairs: Sequence[tuple[str, str]], state: StageState) -> list[tuple[str, str]]:
    words = _expand_all([word for pair in pairs for word in pair], state)
    return list(zip(words[::2], words[1::2], strict=True))


def _with_shell(command: Command, state: StageState) -> tuple[str, ...]:
    return (*shell_of(state.config), *command.argv) if command.shell else command.argv


def _env(instruction: Env, state: StageState) -> Translation:
    pairs = _expand_pairs(instruction.pairs, state)
    text = " ".join(f"{name}={value}" for name, value in pairs)
    return _configure(state, f"ENV {text}", with_env(state.config, pairs))


def _label(instruction: Label, state: StageState) -> Translation:
    pairs = _expand_pairs(instruction.pairs, state)
    text = " ".join(f"{name}={value}" for name, value in pairs)
    return _configure(state, f"LABEL {text}", with_labels(state.config, pairs))


def _arg(instruction: Arg, state: StageState) -> Translation:
    # All of one instruction is expanded before any of it is declared.
    names = _expand_all([name for name, _ in instruction.pairs], state)
    defaults = [None if default is None else _expand_all([default], state)[0] for _, default in instruction.pairs]
    texts = []
    for name, default in zip(names, defaults, strict=True):
        state.scope.declare(name, default)
        texts.append(name if default is None else f"{name}={default}")
    return _configure(state, f"ARG {' '.join(texts)}", state.config)


def _maintainer(instruction: Maintainer, state: StageState) -> Translation:
    state.author = instruction.name
    return _configure(state, f"MAINTAINER {instruction.name}", state.config)


def _cmd(instruction: Cmd, state: StageState) -> Translation:
    argv = _with_shell(instruction.command, state)
    state.command_set = bool(instruction.command.argv)
    return _configure(state, f"CMD {history.quote_list(argv)}", replace(state.config, cmd=argv, args_escaped=False))


def _entrypoint(instruction: Entrypoint, state: StageState) -> Translation:
    argv = _with_shell(instruction.command, state) if instruction.command.argv else ()
    # A CMD of the base was written for the base's entry point.
    cmd = state.config.cmd if state.command_set else None
    config = replace(state.config, entrypoint=argv or None, cmd=cmd, args_escaped=False)
    return _configure(state, f"ENTRYPOINT {history.quote_list(argv)}", config)


def _shell(instruction: Shell, state: StageState) -> Translation:
    text = f"SHELL {history.format_list(instruction.argv)}"
    return _configure(state, text, replace(state.config, shell=instruction.argv))


def _user(instruction: User, state: StageState) -> Translation:
    (user,) = _expand_all([instruction.user], state)
    return _configure(state, f"USER {user}", replace(state.config, user=user))


def _stop_signal(instruction: StopSignal, state: StageState) -> Translation:
    (signal,) = _expand_all([instruction.signal], state)
    check_signal(signal)
    return _configure(state, f"STOPSIGNAL {signal}", replace(state.config, stop_signal=signal))


def _expose(instruction: Expose, state: StageState) -> Translation:
    variables = state.variables()
    words = [word for port in instruction.ports for word in expand_words(port, variables, escape=state.escape) if word]
    ports: list[str] = []
    for word in words:
        ports += parse_ports(word)
        if len(ports) > _MOST_PORTS:
            raise InvalidInput(f"EXPOSE names more than {_MOST_PORTS} ports")
    return _configure(state, f"EXPOSE {' '.join(words)}", with_ports(state.config, ports))


def _volume(instruction: Volume, state: StageState) -> Translation:
    paths = _expand_all(instruction.paths, state)
    return _configure(state, f"VOLUME {history.format_list(paths)}", with_volumes(state.config, paths))


def _healthcheck(instruction: Healthcheck, state: StageState) -> Translation:
    command = instruction.command
    test = ("NONE",) if command is None else ("CMD-SHELL" if command.shell else "CMD", *command.argv)
    check = HealthcheckConfig(
        test=test,
        interval=instruction.interval,
        timeout=instruction.timeout,
        start_period=instruction.start_period,
        start_interval=instruction.start_interval,
        retries=instruction.retries,
    )
    text = f"HEALTHCHECK {history.format_healthcheck(check)}"
    return _configure(state, text, with_healthcheck(state.config, check))


def _on_build(instruction: OnBuild, state: StageState) -> Translation:
    return _configure(state, f"ONBUILD {instruction.trigger}", with_trigger(state.config, instruction.trigger))


def _workdir(instruction: Workdir, state: StageState) -> Translation:
    (path,) = _expand_all([instruction.path], state)
    workdir = join_workdir(state.config.working_dir, path)
    state.config = replace(state.config, working_dir=workdir)
    text = history.record(shell_of(state.config), f"WORKDIR {workdir}", tight=True)
    return Translation(MakeDirectory(clean_path(workdir)), text)


def _run(instruction: Run, state: StageState) -> Translation:
    command = instruction.command
    if not command.argv and not command.shell:
        raise InvalidInput("No command specified")
    argv = _with_shell(command, state)
    recorded, unrecorded = state.scope.args(environment(state.config))
    for variable in recorded:
        if variable.startswith("="):
            raise InvalidInput(f"invalid environment variable: {variable}")
    mounts, inputs = plan_mounts(
        instruction.mounts,
        expand=lambda word: _expand_all([word], state)[0],
        workdir=clean_path(state.config.working_dir),
        find_source=state.find_source,
    )
    op = RunCommand(
        argv=argv,
        env=(*(state.config.env or ()), *recorded),
        unrecorded_env=unrecorded,
        user=state.config.user,
        workdir=clean_path(state.config.working_dir),
        script=next((Document(document.name, document.content) for document in command.documents), None),
        mounts=mounts,
        # The default is whatever the build has.
        network="" if instruction.network == "default" else cast("Literal['', 'none', 'host']", instruction.network),
        insecure=instruction.security == "insecure",
    )
    prefix = (f"|{len(recorded)}", *recorded) if recorded else ()
    return Translation(op, " ".join((*prefix, *argv)), inputs)


def _copy(instruction: Copy, state: StageState) -> Translation:
    sources = _expand_all(instruction.sources, state)
    if any(source.startswith(_WEB) for source in sources):
        raise InvalidInput("COPY failed: source can't be a URL for COPY")
    op = CopyFiles(
        sources=tuple(map(check_path, sources)), parents=instruction.parents, **_placement(instruction, state)
    )
    inputs = (state.find_source(instruction.from_),) if instruction.from_ else ()
    return Translation(op, _copy_text("COPY", op, state), inputs)


def _add(instruction: Add, state: StageState) -> Translation:
    *words, checksum = _expand_all((*instruction.sources, instruction.checksum), state)
    if checksum and len(words) + len(instruction.documents) != 1:
        raise InvalidInput("checksum can't be specified for multiple sources")
    if checksum and not (words and words[0].startswith(_REMOTE)):
        raise InvalidInput("checksum requires HTTP(S) or Git sources")
    sources = tuple(
        Remote(word, checksum, instruction.keep_git_dir) if word.startswith(_REMOTE) else check_path(word)
        for word in words
    )
    op = AddFiles(sources=sources, unpack=instruction.unpack, **_placement(instruction, state))
    return Translation(op, _copy_text("ADD", op, state))


def _placement(instruction: Copy | Add, state: StageState) -> dict[str, Any]:
    destination, chown, chmod = _expand_all((instruction.destination, instruction.chown, instruction.chmod), state)
    return {
        "destination": check_path(destination),
        "workdir": clean_path(state.config.working_dir),
        "chown": chown,
        "chmod": parse_mode(chmod) if chmod else None,
        "exclude": _expand_all(instruction.exclude, state),
        "link": instruction.link,
        "documents": tuple(_document(document, state) for document in instruction.documents),
    }


def _document(document: Heredoc, state: StageState) -> Document:
    content = document.content
    if document.expand:
        content = expand_document(content, state.variables())
    return Document(document.name, content)


def _copy_text(keyword: str, op: CopyFiles | AddFiles, state: StageState) -> str:
    # No space after the flag: so the classic builder writes it, and so histories compare equal.
    owner = f"--chown={op.chown}" if op.chown else ""
    text = f"{keyword} {owner}{SOURCE} in {op.destination} "
    return history.record(shell_of(state.config), text, tight=True)


_TRANSLATORS: Mapping[type[Instruction], Callable[[Any, StageState], Translation]] = {
    Add: _add,
    Arg: _arg,
    Cmd: _cmd,
    Copy: _copy,
    Entrypoint: _entrypoint,
    Env: _env,
    Expose: _expose,
    Healthcheck: _healthcheck,
    Label: _label,
    Maintainer: _maintainer,
    OnBuild: _on_build,
    Run: _run,
    Shell: _shell,
    StopSignal: _stop_signal,
    User: _user,
    Volume: _volume,
    Workdir: _workdir,
}
