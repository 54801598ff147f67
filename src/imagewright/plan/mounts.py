"""What a RUN finds mounted, with every variable expanded and every name resolved."""

import posixpath
from collections.abc import Callable, Sequence
from dataclasses import dataclass, replace

from imagewright.dockerfile import MountFlag, parse_mount
from imagewright.plan.configuration import check_path

__all__ = ["RunMount", "plan_mounts"]

_SECRETS = "/run/secrets"
_AGENT = "/run/buildkit/ssh_agent"


@dataclass(frozen=True, slots=True)
class RunMount:
    """One mount: `flag.target` is absolute and clean, and empty only for a secret that is a variable and no file.

    `flag.id` is set for caches, secrets and agents. `input` is the position, among the node's inputs, of what it shows;
    None is the build context for a bind, and nothing at all for the rest.
    """

    flag: MountFlag
    input: int | None = None

    def canonical(self) -> str:
        """Return the text that tells this mount from others, contents left out; no secret is in it."""
        flag = self.flag
        said = {
            "from": "" if self.input is None else str(self.input),
            "source": flag.source,
            "target": flag.target,
            "id": flag.id,
            "readonly": str(flag.readonly),
            "sharing": flag.sharing if flag.kind == "cache" else "",
            "size": str(flag.size or ""),
            "mode": "" if flag.mode is None else f"{flag.mode:o}",
            "uid": "" if flag.uid is None else str(flag.uid),
            "gid": "" if flag.gid is None else str(flag.gid),
            "env": flag.env,
        }
        return " ".join([flag.kind, *(f"{name}={value!r}" for name, value in said.items() if value)])


def plan_mounts(
    texts: Sequence[str], *, expand: Callable[[str], str], workdir: str, find_source: Callable[[str], int]
) -> tuple[tuple[RunMount, ...], tuple[int, ...]]:
    """Return the mounts that the values `texts` of `--mount` ask for, and the nodes that they show.

    These follow the parent among the inputs. `find_source` returns the node of a `from`. Raises `InvalidInput`, and
    what `find_source` raises.
    """
    nodes: list[int] = []
    mounts: list[RunMount] = []
    agents = 0
    for text in texts:
        flag = parse_mount(text, expand)
        position = None
        if flag.from_ and flag.kind in {"bind", "cache"}:
            node = find_source(flag.from_)
            if node not in nodes:
                nodes.append(node)
            position = 1 + nodes.index(node)
        mounts.append(RunMount(_complete(flag, workdir, agents), position))
        agents += flag.kind == "ssh"
    return tuple(mounts), tuple(nodes)


def _complete(flag: MountFlag, workdir: str, agents: int) -> MountFlag:
    """Return `flag` with what goes without saying."""
    target = _absolute(flag.target, workdir)
    match flag.kind:
        case "cache":
            return replace(flag, target=target, id=flag.id or target)
        case "secret":
            name = flag.source or flag.id or posixpath.basename(flag.target)
            if not flag.target:
                target = "" if flag.env else f"{_SECRETS}/{posixpath.basename(name.rstrip('/'))}"
            return replace(flag, target=target, id=name, source="")
        case "ssh":
            # A socket is found by its variable, so that it can be anywhere.
            return replace(flag, target=target if flag.target else f"{_AGENT}.{agents}", id=flag.id or "default")
    return replace(flag, target=target)


def _absolute(path: str, workdir: str) -> str:
    return posixpath.normpath(f"/{check_path(posixpath.join(workdir, path)).lstrip('/')}")
