"""What each instruction demands of its flags and arguments.

https://docs.docker.com/reference/dockerfile/. The messages, and the order in which things are checked, are the classic
engine's, as far as it knows the instruction's form; for newer forms they are BuildKit's.
"""

import re
from collections import deque
from collections.abc import Callable, Mapping
from typing import TypedDict

from imagewright.dockerfile.characters import SPACES, printable, quote
from imagewright.dockerfile.durations import parse_duration
from imagewright.dockerfile.flags import Kind, parse_flags
from imagewright.dockerfile.heredocs import chomp_document, parse_marker, rejoin_markers
from imagewright.dockerfile.instructions import (
    Add,
    Arg,
    Cmd,
    Command,
    Copy,
    Entrypoint,
    Env,
    Expose,
    From,
    Healthcheck,
    Heredoc,
    Instruction,
    Label,
    Maintainer,
    OnBuild,
    Run,
    Shell,
    Span,
    StopSignal,
    User,
    Volume,
    Workdir,
)
from imagewright.dockerfile.mounts import check_mount
from imagewright.dockerfile.raw import RawInstruction
from imagewright.errors import InvalidInput

__all__ = ["to_instruction"]

_STAGE_NAME = re.compile(r"[a-z][a-z0-9_.-]*")
_INTEGER = re.compile(r"[+-]?[0-9]+")
_NETWORKS = frozenset({"default", "none", "host"})
_SECURITIES = frozenset({"sandbox", "insecure"})
# Nothing that is needed comes near these; ten thousand times as many would keep the machine busy for minutes.
_MOST_MOUNTS = 1000
_MOST_SOURCES = 10_000
_SHORTEST_INTERVAL_NS = 1_000_000
_LARGEST_RETRIES = 2**31 - 1


def to_instruction(raw: RawInstruction, span: Span) -> Instruction:
    """Return the typed instruction; raises InvalidInput with the engine's text, without the line."""
    build = _BUILDERS.get(raw.keyword)
    if build is None:
        raise InvalidInput(f"unknown instruction: {raw.keyword}")
    return build(raw, {"span": span, "text": printable(raw.line.content.strip(SPACES)), "source": raw.line.source})


class _Place(TypedDict):
    span: Span
    text: str
    source: str


def _flags_of_none(raw: RawInstruction) -> None:
    parse_flags(raw.flags, {})


def _at_least_one(raw: RawInstruction) -> None:
    if not raw.arguments:
        raise InvalidInput(f"{raw.keyword} requires at least one argument")


def _exactly_one(raw: RawInstruction) -> str:
    if len(raw.arguments) != 1:
        raise InvalidInput(f"{raw.keyword} requires exactly one argument")
    return raw.arguments[0]


def _from(raw: RawInstruction, place: _Place) -> From:
    alias = ""
    if len(raw.arguments) == 3 and raw.arguments[1].casefold() == "as":
        alias = raw.arguments[2].lower()
        if not _STAGE_NAME.fullmatch(alias):
            raise InvalidInput(
                f"invalid name for build stage: {quote(raw.arguments[2])}, "
                "name can't start with a number or contain symbols"
            )
    elif len(raw.arguments) != 1:
        raise InvalidInput("FROM requires either one or three arguments")
    flags = parse_flags(raw.flags, {"platform": "text"})
    return From(raw.arguments[0], flags.text("platform"), alias, **place)


def _run(raw: RawInstruction, place: _Place) -> Run:
    flags = parse_flags(raw.flags, {"mount": "texts", "network": "text", "security": "text"})
    network = flags.text("network")
    if network and network not in _NETWORKS:
        raise InvalidInput(f"invalid network mode {quote(network)}")
    security = flags.text("security")
    if security and security not in _SECURITIES:
        raise InvalidInput(f"security {quote(security)} is not valid")
    if len(flags.texts("mount")) > _MOST_MOUNTS:
        raise InvalidInput(f"RUN has more than {_MOST_MOUNTS} mounts")
    for mount in flags.texts("mount"):
        check_mount(mount)
    command = _script(raw) if raw.documents else _command(raw)
    return Run(command, flags.texts("mount"), network, security, **place)


def _command(raw: RawInstruction) -> Command:
    return Command(raw.arguments, shell=not raw.json)


def _script(raw: RawInstruction) -> Command:
    # https://docs.docker.com/reference/dockerfile/#here-documents, and what BuildKit makes of it
    if parse_marker(raw.rest) is None:
        return Command((_with_documents(raw.rest, raw),))
    document = _finished(raw.documents[0])
    if not document.content.startswith("#!"):
        return Command((printable(document.content),))
    _check_file_name(raw.keyword, document.name)
    return Command((f"/dev/pipes/{document.name}",), documents=(document,))


def _with_documents(text: str, raw: RawInstruction) -> str:
    return printable(text + "".join(f"\n{each.content}{each.name}" for each in raw.documents))


def _finished(document: Heredoc) -> Heredoc:
    content = chomp_document(document.content) if document.chomp else document.content
    return Heredoc(document.name, content, document.expand, document.chomp)


def _check_file_name(keyword: str, name: str) -> None:
    if "/" in name or "\0" in name or name in {".", ".."}:
        raise InvalidInput(f"{keyword} cannot accept a heredoc named {quote(name)}")


def _cmd(raw: RawInstruction, place: _Place) -> Cmd:
    _flags_of_none(raw)
    return Cmd(_command(raw), **place)


def _entrypoint(raw: RawInstruction, place: _Place) -> Entrypoint:
    _flags_of_none(raw)
    return Entrypoint(_command(raw), **place)


def _shell(raw: RawInstruction, place: _Place) -> Shell:
    _flags_of_none(raw)
    _at_least_one(raw)
    if not raw.json:
        raise InvalidInput("SHELL requires the arguments to be in JSON form")
    return Shell(raw.arguments, **place)


def _pairs(raw: RawInstruction) -> tuple[tuple[str, str], ...]:
    _flags_of_none(raw)
    _at_least_one(raw)
    names, values = raw.arguments[::2], raw.arguments[1::2]
    if not all(names):
        raise InvalidInput(f"{raw.keyword} names can not be blank")
    return tuple(zip(names, values, strict=True))


def _env(raw: RawInstruction, place: _Place) -> Env:
    return Env(_pairs(raw), **place)


def _label(raw: RawInstruction, place: _Place) -> Label:
    return Label(_pairs(raw), **place)


def _arg(raw: RawInstruction, place: _Place) -> Arg:
    # the engine looks at no flags here
    _at_least_one(raw)
    pairs: list[tuple[str, str | None]] = []
    for word in raw.arguments:
        name, equals, value = word.partition("=")
        if not name:
            raise InvalidInput("ARG names can not be blank")
        pairs.append((name, value if equals else None))
    return Arg(tuple(pairs), **place)


def _maintainer(raw: RawInstruction, place: _Place) -> Maintainer:
    name = _exactly_one(raw)
    _flags_of_none(raw)
    return Maintainer(name, **place)


def _expose(raw: RawInstruction, place: _Place) -> Expose:
    _at_least_one(raw)
    _flags_of_none(raw)
    return Expose(tuple(sorted(raw.arguments)), **place)


def _volume(raw: RawInstruction, place: _Place) -> Volume:
    _at_least_one(raw)
    _flags_of_none(raw)
    paths = tuple(path.strip(SPACES) for path in raw.arguments)
    if not all(paths):
        raise InvalidInput("VOLUME specified can not be an empty string")
    return Volume(paths, **place)


def _user(raw: RawInstruction, place: _Place) -> User:
    user = _exactly_one(raw)
    _flags_of_none(raw)
    return User(user, **place)


def _workdir(raw: RawInstruction, place: _Place) -> Workdir:
    path = _exactly_one(raw)
    _flags_of_none(raw)
    return Workdir(path, **place)


def _stop_signal(raw: RawInstruction, place: _Place) -> StopSignal:
    # the engine looks at no flags here
    return StopSignal(_exactly_one(raw), **place)


_COPY_FLAGS: Mapping[str, Kind] = {
    "chmod": "text",
    "chown": "text",
    "exclude": "texts",
    "from": "text",
    "link": "switch",
    "parents": "switch",
}
_ADD_FLAGS: Mapping[str, Kind] = {
    "checksum": "text",
    "chmod": "text",
    "chown": "text",
    "exclude": "texts",
    "keep-git-dir": "switch",
    "link": "switch",
    "unpack": "switch",
}


def _at_least_two(raw: RawInstruction) -> None:
    if len(raw.arguments) < 2:
        raise InvalidInput(
            f"{raw.keyword} requires at least two arguments, but only one was provided. "
            "Destination could not be determined"
        )


def _sources(raw: RawInstruction) -> tuple[tuple[str, ...], str, tuple[Heredoc, ...]]:
    """Return the sources that are paths, the destination, and the sources that are here-documents."""
    words = list(raw.arguments) if raw.json else rejoin_markers(list(raw.arguments))
    *words, destination = words
    if len(words) > _MOST_SOURCES:
        raise InvalidInput(f"{raw.keyword} has more than {_MOST_SOURCES} sources")
    if not raw.json and "<<" in destination and parse_marker(destination):
        raise InvalidInput(f"{raw.keyword} cannot accept a heredoc as a destination")
    unused: dict[str, deque[Heredoc]] = {}
    for document in raw.documents:
        unused.setdefault(document.name, deque()).append(document)
    paths: list[str] = []
    documents: list[Heredoc] = []
    for word in words:
        # A quoted name with a blank is no word here, though a document goes by it.
        marker = parse_marker(word) if unused and "<<" in word else None
        if marker and unused.get(marker.name):
            documents.append(_finished(unused[marker.name].popleft()))
            _check_file_name(raw.keyword, marker.name)
        else:
            paths.append(word)
    return tuple(paths), destination, tuple(documents)


def _copy(raw: RawInstruction, place: _Place) -> Copy:
    _at_least_two(raw)
    flags = parse_flags(raw.flags, _COPY_FLAGS)
    sources, destination, documents = _sources(raw)
    return Copy(
        sources,
        destination,
        from_=flags.text("from"),
        chown=flags.text("chown"),
        chmod=flags.text("chmod"),
        link=bool(flags.switch("link")),
        parents=bool(flags.switch("parents")),
        exclude=flags.texts("exclude"),
        documents=documents,
        **place,
    )


def _add(raw: RawInstruction, place: _Place) -> Add:
    _at_least_two(raw)
    flags = parse_flags(raw.flags, _ADD_FLAGS)
    sources, destination, documents = _sources(raw)
    return Add(
        sources,
        destination,
        chown=flags.text("chown"),
        chmod=flags.text("chmod"),
        link=bool(flags.switch("link")),
        exclude=flags.texts("exclude"),
        documents=documents,
        checksum=flags.text("checksum"),
        keep_git_dir=bool(flags.switch("keep-git-dir")),
        unpack=flags.switch("unpack"),
        **place,
    )


def _on_build(raw: RawInstruction, place: _Place) -> OnBuild:
    _at_least_one(raw)
    _flags_of_none(raw)
    keyword = raw.arguments[0]
    if keyword == "ONBUILD":
        raise InvalidInput("Chaining ONBUILD via `ONBUILD ONBUILD` isn't allowed")
    if keyword in {"FROM", "MAINTAINER"}:
        raise InvalidInput(f"{keyword} isn't allowed as an ONBUILD trigger")
    trigger = raw.line.content.lstrip(SPACES)[len("ONBUILD") :].lstrip(SPACES)
    return OnBuild(_with_documents(trigger, raw), **place)


def _healthcheck(raw: RawInstruction, place: _Place) -> Healthcheck:
    _at_least_one(raw)
    kind, *arguments = raw.arguments
    kind = kind.upper()
    if kind == "NONE":
        if arguments:
            raise InvalidInput("HEALTHCHECK NONE takes no arguments")
        return Healthcheck(None, **place)
    names = ("interval", "timeout", "start-period", "start-interval")
    flags = parse_flags(raw.flags, {"retries": "text", **dict.fromkeys(names, "text")})
    if kind != "CMD":
        raise InvalidInput(f"Unknown type {quote(kind)} in HEALTHCHECK (try CMD)")
    if not arguments:
        raise InvalidInput("Missing command after HEALTHCHECK CMD")
    interval, timeout, start_period, start_interval = (_interval(name, flags.text(name)) for name in names)
    return Healthcheck(
        Command(tuple(arguments), shell=not raw.json),
        interval=interval,
        timeout=timeout,
        start_period=start_period,
        start_interval=start_interval,
        retries=_retries(flags.text("retries")),
        **place,
    )


def _interval(name: str, text: str) -> int:
    if not text:
        return 0
    interval = parse_duration(text)
    if interval < _SHORTEST_INTERVAL_NS:
        raise InvalidInput(f"Interval {quote(name)} cannot be less than 1ms")
    return interval


def _retries(text: str) -> int:
    if not text:
        return 0
    if not _INTEGER.fullmatch(text):
        raise InvalidInput(f"strconv.ParseInt: parsing {quote(text)}: invalid syntax")
    digits = text.lstrip("+-").lstrip("0")
    retries = int(digits or "0") if len(digits) <= 10 else _LARGEST_RETRIES + 2
    if text.startswith("-"):
        retries = -retries
    if not -_LARGEST_RETRIES - 1 <= retries <= _LARGEST_RETRIES:
        raise InvalidInput(f"strconv.ParseInt: parsing {quote(text)}: value out of range")
    if retries < 1:
        raise InvalidInput(f"--retries must be at least 1 (not {retries})")
    return retries


_BUILDERS: Mapping[str, Callable[[RawInstruction, _Place], Instruction]] = {
    "ADD": _add,
    "ARG": _arg,
    "CMD": _cmd,
    "COPY": _copy,
    "ENTRYPOINT": _entrypoint,
    "ENV": _env,
    "EXPOSE": _expose,
    "FROM": _from,
    "HEALTHCHECK": _healthcheck,
    "LABEL": _label,
    "MAINTAINER": _maintainer,
    "ONBUILD": _on_build,
    "RUN": _run,
    "SHELL": _shell,
    "STOPSIGNAL": _stop_signal,
    "USER": _user,
    "VOLUME": _volume,
    "WORKDIR": _workdir,
}
