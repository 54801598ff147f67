"""`.dockerignore`.

https://docs.docker.com/build/concepts/context/#dockerignore-files
"""

import re
from collections.abc import Iterable
from dataclasses import dataclass, field
from itertools import groupby
from typing import Self

from imagewright.errors import InvalidInput
from imagewright.filesystem.links import clean
from imagewright.filesystem.patterns import character_class, compile_pattern
from imagewright.filesystem.tree import Directory, Node, Tree

__all__ = ["IgnorePatterns"]


_WILDCARDS = re.compile(r"[*?\[]")
# All of them become one expression, whose making takes seconds for more.
_MOST_EFFORT = 20_000


@dataclass(frozen=True, slots=True)
class IgnorePatterns:
    """The patterns of a `.dockerignore`, in order, cleaned.

    The last one that matches a path or a parent of it decides: the path is ignored, or with `!` it is not. `lines` are
    the numbers of the lines that the patterns stand in, counted from 1.
    """

    patterns: tuple[str, ...]
    lines: tuple[int, ...] = field(default=(), compare=False)
    _verdicts: tuple[tuple[bool, re.Pattern[str]], ...] = field(init=False, repr=False, compare=False)

    def __post_init__(self) -> None:
        # Neighbours of one kind become one expression, so that thousands of files cost one or two matches each.
        grouped = groupby(self.patterns, lambda pattern: pattern.startswith("!"))
        verdicts = [
            (not exception, re.compile("(?s:" + "|".join(_expression(p.removeprefix("!")) for p in group) + ")"))
            for exception, group in grouped
        ]
        object.__setattr__(self, "_verdicts", tuple(reversed(verdicts)))

    @classmethod
    def read(cls, data: bytes) -> Self:
        """Return the patterns of a whole `.dockerignore` file; raise `InvalidInput` for a malformed one."""
        return cls.parse(data.removeprefix(b"\xef\xbb\xbf").decode("utf-8", "surrogateescape").split("\n"))

    @classmethod
    def parse(cls, lines: Iterable[str]) -> Self:
        """Return the patterns of the lines of a `.dockerignore`; raise `InvalidInput` for a malformed one."""
        patterns: list[str] = []
        numbers: list[int] = []
        effort = 0
        for number, line in enumerate(lines, start=1):
            text = "" if line.startswith("#") else line.strip()
            exception = text.startswith("!")
            pattern = text.removeprefix("!").strip()
            if text and not pattern:
                raise InvalidInput('illegal exclusion pattern: "!"')
            # "." is ignored for historical reasons, and with it what comes to the same.
            pattern = _cleaned(pattern)
            effort += 1 + len(_WILDCARDS.findall(pattern))
            if effort > _MOST_EFFORT:
                raise InvalidInput(f"line {number}: more than {_MOST_EFFORT} patterns and wildcards")
            if pattern:
                patterns.append(f"!{pattern}" if exception else pattern)
                numbers.append(number)
        return cls(tuple(patterns), tuple(numbers))

    def ignored(self, path: str) -> bool:
        """Tell whether `path`, in the form of tree paths, is left out. Directories and files are not told apart."""
        return next((ignored for ignored, pattern in self._verdicts if pattern.match(path)), False)

    def decisive(self, path: str) -> int | None:
        """Return the index of the pattern that decides about `path`, None if none does: then it is not ignored."""
        for index in reversed(range(len(self.patterns))):
            if re.match(f"(?s:{_expression(self.patterns[index].removeprefix('!'))})", path):
                return index
        return None

    def prune(self, tree: Tree) -> Tree:
        """Return `tree` without what is ignored; an ignored directory stays if something in it is not."""
        exceptions = any(not ignored for ignored, _ in self._verdicts)
        root = _Kept("", tree, keep=True)
        stack = [root]
        while stack:
            here = stack[-1]
            for name, node in here.pending:
                path = here.prefix + name
                ignored = self.ignored(path)
                if isinstance(node, Directory) and (exceptions or not ignored):
                    stack.append(_Kept(path, node, keep=not ignored))
                    break
                if not ignored:
                    here.children[name] = node
            else:
                stack.pop()
                if stack and (here.keep or here.children):
                    stack[-1].children[here.name] = here.close()
        return root.close()


def _cleaned(pattern: str) -> str:
    """Return `pattern` in the form of tree paths; one that leads out of the context stays so, and matches nothing."""
    depth = 0
    for name in pattern.split("/") if not pattern.startswith("/") else ():
        depth += -1 if name == ".." else name not in {"", "."}
        if depth < 0:
            return pattern
    return clean(pattern)


class _Kept:
    """A directory on its way through `prune`: what is still to be seen, and what stays."""

    __slots__ = ("children", "keep", "name", "node", "pending", "prefix")

    def __init__(self, path: str, node: Directory, *, keep: bool) -> None:
        self.prefix = f"{path}/" if path else ""
        self.name = path.rpartition("/")[2]
        self.node = node
        self.keep = keep
        self.pending = iter(node.children.items())
        self.children: dict[str, Node] = {}

    def close(self) -> Directory:
        node = self.node
        if len(self.children) == len(node.children) and all(node.children[n] is c for n, c in self.children.items()):
            return node
        return Directory(
            mode=node.mode,
            uid=node.uid,
            gid=node.gid,
            mtime_ns=node.mtime_ns,
            xattrs=node.xattrs,
            children=self.children,
        )


_ANYWHERE = re.compile(r"\*\*([^*?\[\\/][^*?\[\\]*)", re.DOTALL)
_PIECE = re.compile(r"\*\*/?|[*?\[/]|\\.|[^*?\[\\/]+", re.DOTALL)
_MOST_LOOSE = 2


def _expression(pattern: str) -> str:
    """Return the expression that matches, from its beginning, a path that is or is below what `pattern` matches.

    `**` stands for any number of whole components, none included, and at the end for anything. Where another star of
    the same kind follows, the first place that fits is never reconsidered: right, and what keeps the time bounded.
    """
    compile_pattern(pattern)  # refuses what is malformed
    anywhere = _ANYWHERE.fullmatch(pattern)
    if anywhere:  # `**.txt`: with nothing else special the end of the path is all that BuildKit looks at
        return f".*{re.escape(anywhere[1])}(?:/|\\Z)"
    # Three levels: what stands between `**`, in it the components, in those what stands between `*`.
    stretches: list[list[list[str]]] = [[[""]]]
    position = 0
    while piece := _PIECE.match(pattern, position):
        text, position = piece[0], piece.end()
        components = stretches[-1]
        if text.startswith("**"):
            stretches.append([[""]])
        elif text == "*":
            components[-1].append("")
        elif text == "/":
            components.append([""])
        elif text == "[":
            text, position = character_class(pattern, position, without="/")
            components[-1][-1] += text
        else:
            components[-1][-1] += "[^/]" if text == "?" else re.escape(text.removeprefix("\\"))
    first, *rest = stretches
    expression = "/".join(map(_component, first))
    loose = 0
    for index, stretch in enumerate(rest, start=1):
        text = "/".join(map(_component, stretch))
        if index == len(rest):
            expression += f"(?:.*/)?{text}" if text else ".*"
        elif text.endswith("/") or not text:
            expression += f"(?>(?:.*?/)??{text})"
        else:
            loose += 1
            expression += f"(?:.*/)?{text}"
    if loose > _MOST_LOOSE:
        raise InvalidInput("syntax error in pattern: too many ** within names")
    return f"{expression}(?:/|\\Z)"


def _component(chunks: list[str]) -> str:
    first, *rest = chunks
    *middle, last = rest or [""]
    return first + "".join(f"(?>[^/]*?{chunk})" for chunk in middle) + (f"[^/]*{last}" if rest else "")
