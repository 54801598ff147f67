"""The builds that both engines are asked for: data, in a file for each subject."""

import gzip
import os
import re
import tomllib
from collections.abc import Mapping, Sequence
from dataclasses import dataclass, field
from typing import Any
from urllib.parse import quote, urlencode

from compat.build_differential.bodies import BODIES
from support.builder import Content, Member, archive, context

__all__ = ["SUBJECTS", "BuildCase", "read_cases"]

_DIRECTORY = os.path.dirname(__file__)
SUBJECTS = tuple(sorted(name.removesuffix(".toml") for name in os.listdir(os.path.join(_DIRECTORY, "cases"))))
_NAME = re.compile(r"[a-z0-9][a-z0-9/._-]*(?::[\w.-]+)?")
_KEYS = frozenset(
    {
        "name",
        "dockerfile",
        "files",
        "query",
        "raw",
        "headers",
        "versions",
        "repeat",
        "body",
        "image",
        "look",
        "containers",
    }
)


@dataclass(frozen=True, slots=True, kw_only=True)
class BuildCase:
    """A build that is asked for `repeat` times, on each of `versions` ("" is none in the path).

    Afterwards the image of the name `image`, if there is one, is compared: its configuration and history, with `look`
    its files too, with `containers` what containers are there.
    """

    name: str
    query: str
    body: bytes
    headers: Mapping[str, str] = field(default_factory=dict)
    versions: Sequence[str] = ("1.41",)
    repeat: int = 1
    image: str = ""
    look: bool = False
    containers: bool = False

    def target(self, version: str) -> str:
        """Return the target of the request."""
        prefix = f"/v{version}" if version else ""
        return f"{prefix}/build?{self.query}" if self.query else f"{prefix}/build"


def read_cases(subject: str, address: str = "http://localhost:1") -> list[BuildCase]:
    """Return the cases of a subject, in the order in which they are asked; files are served at `address`."""
    with open(os.path.join(_DIRECTORY, "cases", f"{subject}.toml"), encoding="utf-8", newline="") as file:
        document = tomllib.loads(file.read().replace("__address__", address))
    defaults = document.get("defaults", {})
    return [_case({**defaults, **entry}) for entry in document["case"]]


def _case(entry: Mapping[str, Any]) -> BuildCase:
    assert entry.keys() <= _KEYS, f"{entry['name']}: {sorted(entry.keys() - _KEYS)}"
    slug = re.sub(r"[^a-z0-9]+", "-", entry["name"].lower()).strip("-")
    query = {
        key: value.replace("$", slug) if key == "t" and isinstance(value, str) else value
        for key, value in entry.get("query", {}).items()
    }
    tags = query.get("t", "")
    first = tags if isinstance(tags, str) else tags[0]
    plain = context(
        entry.get("dockerfile", "FROM base:1\n"), {k: _content(v) for k, v in entry.get("files", {}).items()}
    )
    return BuildCase(
        name=entry["name"],
        query=entry.get("raw") or urlencode(query, doseq=True, quote_via=quote),
        body=BODIES[entry.get("body", "tar")](plain),
        headers=entry.get("headers", {"Content-Type": "application/x-tar"}),
        versions=entry.get("versions", ("1.41",)),
        repeat=entry.get("repeat", 1),
        image=entry.get("image", first if _NAME.fullmatch(first) else ""),
        look=entry.get("look", False),
        containers=entry.get("containers", False),
    )


def _content(value: Any) -> Content:
    """Return what a file of a case is: text, or a table with what else there is to say."""
    if isinstance(value, str):
        return value
    if "symlink" in value:
        return Member.symlink(value["symlink"])
    if "hardlink" in value:
        return Member.hard_link(value["hardlink"], value["mode"])
    if value.get("directory"):
        return Member.directory(value.get("mode", 0o755))
    if "archive" in value:
        return gzip.compress(archive({name: _content(content) for name, content in value["archive"].items()}))
    data = value.get("text", "").encode()
    return Member(data, mode=value.get("mode", 0o644), uid=value.get("uid", 0), gid=value.get("gid", 0))
