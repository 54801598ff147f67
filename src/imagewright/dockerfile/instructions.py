"""What a Dockerfile says, as values.

Strings are as they stand in the file: variables are not expanded and quotes are kept; `imagewright.dockerfile.expand`
sees to both. Strings of JSON arrays are decoded first. No variable of the builder touches a `Command`.

Undecodable bytes survive, as surrogate escapes, in the paths of COPY and ADD and in the content of here-documents that
become files. Everywhere else they are U+FFFD, as what the classic engine stores is JSON.
"""

from collections.abc import Mapping
from dataclasses import dataclass
from typing import ClassVar

__all__ = [
    "Add",
    "Arg",
    "Cmd",
    "Command",
    "Copy",
    "Dockerfile",
    "Entrypoint",
    "Env",
    "Expose",
    "From",
    "Healthcheck",
    "Heredoc",
    "Instruction",
    "Label",
    "Maintainer",
    "OnBuild",
    "Run",
    "Shell",
    "Span",
    "Stage",
    "StopSignal",
    "User",
    "Volume",
    "Workdir",
]


@dataclass(frozen=True, slots=True)
class Span:
    """The physical lines from `start` to `end`, both included, counted from 1; 0 where there is no file."""

    start: int = 0
    end: int = 0


@dataclass(frozen=True, slots=True)
class Heredoc:
    """A here-document: its `name` is the delimiter, which is also the name of the file that COPY and ADD make of it.

    `content` is ready for use: where `chomp` is true (`<<-`), leading tabs are already gone. If `expand` is true, COPY
    and ADD replace variables in it (`expand_document`); RUN leaves them to the shell.
    """

    name: str
    content: str
    expand: bool = True
    chomp: bool = False


@dataclass(frozen=True, slots=True)
class Command:
    """A program to run: `argv` itself, or, if `shell` is true, its one string as an argument to the stage's shell.

    `argv` is empty where nothing follows the keyword (`shell` is true) and for an empty JSON array.

    A RUN with here-documents is resolved as BuildKit does it. A document that is all of the command becomes the script;
    documents beside other text are appended to the text, for the shell to read. Only a script that begins with `#!`
    stays in `documents` (one at most): it must be there as an executable file `/dev/pipes/NAME`, which is what `argv`
    names, while the command runs.
    """

    argv: tuple[str, ...]
    shell: bool = True
    documents: tuple[Heredoc, ...] = ()


@dataclass(frozen=True, slots=True, kw_only=True)
class Instruction:
    """One instruction and where it stands.

    `text` is the logical line: continuations joined, comments between them dropped, here-documents left out. `source`
    is the first physical line. Both are for messages: undecodable bytes are U+FFFD in them.
    """

    keyword: ClassVar[str] = ""

    span: Span = Span()
    text: str = ""
    source: str = ""


@dataclass(frozen=True, slots=True)
class From(Instruction):
    """Begins a stage on `image`, which may be an earlier stage; `alias` is in lower case, or empty like `platform`."""

    keyword: ClassVar[str] = "FROM"

    image: str
    platform: str = ""
    alias: str = ""


@dataclass(frozen=True, slots=True)
class Run(Instruction):
    """Runs a program; `mounts` are the values of `--mount`, `network` and `security` those of their flags or empty."""

    keyword: ClassVar[str] = "RUN"

    command: Command
    mounts: tuple[str, ...] = ()
    network: str = ""
    security: str = ""


@dataclass(frozen=True, slots=True)
class Cmd(Instruction):
    """Sets the default command."""

    keyword: ClassVar[str] = "CMD"

    command: Command


@dataclass(frozen=True, slots=True)
class Entrypoint(Instruction):
    """Sets the entry point; an empty `argv` removes it."""

    keyword: ClassVar[str] = "ENTRYPOINT"

    command: Command


@dataclass(frozen=True, slots=True)
class Label(Instruction):
    """Sets labels; names and values are words."""

    keyword: ClassVar[str] = "LABEL"

    pairs: tuple[tuple[str, str], ...]


@dataclass(frozen=True, slots=True)
class Env(Instruction):
    """Sets environment variables; names and values are words."""

    keyword: ClassVar[str] = "ENV"

    pairs: tuple[tuple[str, str], ...]


@dataclass(frozen=True, slots=True)
class Arg(Instruction):
    """Declares build arguments with their defaults, None where there is none; names and defaults are words."""

    keyword: ClassVar[str] = "ARG"

    pairs: tuple[tuple[str, str | None], ...]


@dataclass(frozen=True, slots=True)
class Maintainer(Instruction):
    """Sets the author."""

    keyword: ClassVar[str] = "MAINTAINER"

    name: str


@dataclass(frozen=True, slots=True)
class Expose(Instruction):
    """Declares ports; each is a word, which may expand to several. Sorted, as the classic engine does."""

    keyword: ClassVar[str] = "EXPOSE"

    ports: tuple[str, ...]


@dataclass(frozen=True, slots=True)
class Copy(Instruction):
    """Copies files; `from_` names a stage or image or is empty (the build context), `documents` are sources too."""

    keyword: ClassVar[str] = "COPY"

    sources: tuple[str, ...]
    destination: str
    from_: str = ""
    chown: str = ""
    chmod: str = ""
    link: bool = False
    parents: bool = False
    exclude: tuple[str, ...] = ()
    documents: tuple[Heredoc, ...] = ()


@dataclass(frozen=True, slots=True)
class Add(Instruction):
    """Copies files, unpacks archives, downloads addresses; `unpack` is None where the file does not say."""

    keyword: ClassVar[str] = "ADD"

    sources: tuple[str, ...]
    destination: str
    chown: str = ""
    chmod: str = ""
    link: bool = False
    exclude: tuple[str, ...] = ()
    documents: tuple[Heredoc, ...] = ()
    checksum: str = ""
    keep_git_dir: bool = False
    unpack: bool | None = None


@dataclass(frozen=True, slots=True)
class Volume(Instruction):
    """Declares volumes; each path is one word."""

    keyword: ClassVar[str] = "VOLUME"

    paths: tuple[str, ...]


@dataclass(frozen=True, slots=True)
class User(Instruction):
    """Sets the user of what follows."""

    keyword: ClassVar[str] = "USER"

    user: str


@dataclass(frozen=True, slots=True)
class Workdir(Instruction):
    """Sets, and makes, the working directory."""

    keyword: ClassVar[str] = "WORKDIR"

    path: str


@dataclass(frozen=True, slots=True)
class OnBuild(Instruction):
    """Stores `trigger`, an instruction as text, for builds on top of this image; `parse_instruction` reads it then."""

    keyword: ClassVar[str] = "ONBUILD"

    trigger: str


@dataclass(frozen=True, slots=True)
class StopSignal(Instruction):
    """Sets the signal that stops a container."""

    keyword: ClassVar[str] = "STOPSIGNAL"

    signal: str


@dataclass(frozen=True, slots=True)
class Healthcheck(Instruction):
    """Sets the health check, or forbids the base's if `command` is None; times are in nanoseconds, 0 is the default."""

    keyword: ClassVar[str] = "HEALTHCHECK"

    command: Command | None
    interval: int = 0
    timeout: int = 0
    start_period: int = 0
    start_interval: int = 0
    retries: int = 0


@dataclass(frozen=True, slots=True)
class Shell(Instruction):
    """Sets the shell of the shell forms that follow."""

    keyword: ClassVar[str] = "SHELL"

    argv: tuple[str, ...]


@dataclass(frozen=True, slots=True)
class Stage:
    """A FROM and what follows it up to the next one; `index` counts from 0."""

    index: int
    base: From
    instructions: tuple[Instruction, ...] = ()

    @property
    def name(self) -> str:
        """The alias in lower case, or an empty string."""
        return self.base.alias


@dataclass(frozen=True, slots=True)
class Dockerfile:
    """A whole file: `meta_args` stand before the first FROM, `directives` map lower-case names to values."""

    stages: tuple[Stage, ...]
    meta_args: tuple[Arg, ...]
    escape: str
    warnings: tuple[str, ...]
    directives: Mapping[str, str]
