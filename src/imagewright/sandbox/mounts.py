"""What a RUN may find mounted besides its image, as values.

https://docs.docker.com/reference/dockerfile/#run---mount. A `target` is absolute, without links and in its shortest
spelling: whoever has the image's tree resolves it. What is written below a target never becomes part of the layer.
"""

from dataclasses import dataclass, field

from imagewright.filesystem.tree import Directory

__all__ = ["AgentMount", "DirectoryMount", "LayersMount", "Mount", "SecretMount", "TemporaryMount"]


@dataclass(frozen=True, slots=True, kw_only=True)
class LayersMount:
    """The file or directory `source` of a stack of layer directories (absolute paths, highest first).

    `source` is followed as if the stack were the whole world. What a process writes, if it may, is thrown away. The
    directory at the root of the stack is then like `root`, or like the highest of `lowers` if that is not given.
    """

    target: str
    lowers: tuple[str, ...]
    source: str = ""
    writable: bool = False
    root: Directory | None = None


@dataclass(frozen=True, slots=True, kw_only=True)
class DirectoryMount:
    """A `directory` of the host that lasts; `exclusive` promises that nobody else has it meanwhile."""

    target: str
    directory: str
    writable: bool = True
    exclusive: bool = False


@dataclass(frozen=True, slots=True, kw_only=True)
class TemporaryMount:
    """An empty directory in memory, of at most `size` bytes, 0 for the kernel's own limit."""

    target: str
    size: int = 0


@dataclass(frozen=True, slots=True, kw_only=True)
class SecretMount:
    """A file that holds `data`, and is in memory alone."""

    target: str
    data: bytes = field(repr=False)
    uid: int = 0
    gid: int = 0
    mode: int = 0o400


@dataclass(frozen=True, slots=True, kw_only=True)
class AgentMount:
    """A socket that leads to the host's unix socket `socket`, for as long as the process runs."""

    target: str
    socket: str
    uid: int = 0
    gid: int = 0
    mode: int = 0o600


Mount = LayersMount | DirectoryMount | TemporaryMount | SecretMount | AgentMount
