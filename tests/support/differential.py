"""The same requests to a real engine and to imagewright, and what is different in the answers.

Answers are compared whole: status, headers, framing and body. Only what cannot be equal is made so: ids of what was
made on either side, and times of now. Differences on purpose stand in a list, each with its reason.
"""

import fnmatch
import hashlib
import http.client
import io
import json
import re
import tarfile
import time
import tomllib
from collections.abc import Callable, Iterator, Mapping, Sequence
from dataclasses import dataclass, field
from datetime import UTC, datetime
from typing import Any

from support.unixhttp import UnixConnection

__all__ = [
    "ById",
    "Difference",
    "KnownDifference",
    "Pair",
    "Request",
    "Side",
    "Unordered",
    "answers_differ",
    "read_known",
    "review",
]

# `__name__` in a target, a header or a body stands for the hexadecimal id that was learnt under this name, and
# `__name.12__` for its first twelve digits.
_PLACEHOLDER = re.compile(r"__([a-z0-9-]+?)(?:\.(\d+))?__")
_ID = re.compile(r"(?<![0-9a-f])[0-9a-f]{64}(?![0-9a-f])")
_SHORT_ID = re.compile(r"(?<![0-9A-Za-z_])[0-9a-f]{12}(?![0-9A-Za-z_])")
_TIME = re.compile(r"\d{4}-\d\d-\d\dT\d\d:\d\d:\d\d(?:\.\d+)?(?:Z|[+-]\d\d:\d\d)")
_AGO = re.compile(r"(?:Less than a second|About a minute|\d+ (?:second|minute)s?) ago")
_CONTAINER_NAME = re.compile(r"/?[a-z]+_[a-z]+\d?")
_NOW_SECONDS = 3600
_ABSENT = "(absent)"
# What is of the connection, or says the same as the body.
_PASSING_HEADERS = frozenset({"date", "content-length", "transfer-encoding"})


@dataclass(frozen=True, slots=True)
class Request:
    """One request for both sides, and what is done with the answer.

    `learn` names the image that `subject` is afterwards, or the newest container; `ours` replaces the target on our
    side; `mark` names the time before the request; `view` takes from the parsed body what is compared.
    """

    case: str
    method: str
    target: str
    body: bytes | None = None
    headers: Mapping[str, str] = field(default_factory=dict)
    learn: str = ""
    subject: str = ""
    ours: str = ""
    mark: str = ""
    view: Callable[[Any], Any] | None = None


@dataclass(frozen=True, slots=True)
class Difference:
    """One place where the answers differ; `where` is a path such as `body/0/Size`."""

    case: str
    where: str
    engine: Any
    imagewright: Any

    def __str__(self) -> str:
        engine, imagewright = _shown(self.engine), _shown(self.imagewright)
        return f"{self.case} | {self.where}\n    engine:      {engine}\n    imagewright: {imagewright}"


@dataclass(frozen=True, slots=True)
class KnownDifference:
    """Differences on purpose: `cases` and `where` are patterns of the shell; the values count where they are given.

    `sometimes` is one that a race of the engine decides about, and that need not be there.
    """

    groups: str
    cases: tuple[str, ...]
    where: tuple[str, ...]
    reason: str
    values: Mapping[str, Any]
    sometimes: bool = False

    def covers(self, difference: Difference) -> bool:
        """Whether `difference` is one of these."""
        return (
            any(fnmatch.fnmatchcase(difference.case, case) for case in self.cases)
            and any(fnmatch.fnmatchcase(difference.where, where) for where in self.where)
            and all(_agrees(getattr(difference, side), value) for side, value in self.values.items())
        )


def read_known(path: str, group: str) -> list[KnownDifference]:
    """Return what the list at `path` has for `group`."""
    with open(path, "rb") as file:
        entries = tomllib.load(file)["difference"]
    known = [
        KnownDifference(
            groups=entry.get("groups", "*"),
            cases=_strings(entry.get("cases", "*")),
            where=_strings(entry["where"]),
            reason=entry["reason"],
            values={side: entry[side] for side in ("engine", "imagewright") if side in entry},
            sometimes=entry.get("sometimes", False),
        )
        for entry in entries
    ]
    return [entry for entry in known if any(fnmatch.fnmatchcase(group, name) for name in entry.groups.split())]


def review(found: Sequence[Difference], known: Sequence[KnownDifference]) -> str:
    """Return what is wrong: every difference that is not `known`, every known one that is not there; "" if nothing."""
    used = {index for index, entry in enumerate(known) for difference in found if entry.covers(difference)}
    unknown = [difference for difference in found if not any(entry.covers(difference) for entry in known)]
    lines = [f"{len(unknown)} differences that are not in the list:", *map(str, unknown)] if unknown else []
    stale = [entry for index, entry in enumerate(known) if index not in used and not entry.sometimes]
    if stale:
        lines.append(f"{len(stale)} entries of the list that no longer differ:")
        lines += [f"{' '.join(entry.cases)} | {' '.join(entry.where)}: {entry.reason}" for entry in stale]
    return "\n".join(lines)


class ById(dict[str, Any]):
    """Things by their ids: where one side has another than the other, the ids say enough."""


class Unordered(list[Any]):
    """Things that come in no order."""


@dataclass(slots=True)
class _Answer:
    status: int
    headers: list[tuple[str, str]]
    body: bytes


class Side:
    """One of the two engines, by its unix socket, and the ids it gave."""

    def __init__(self, socket: str) -> None:
        self.names: dict[str, str] = {}
        self.socket = socket
        self._connection: UnixConnection | None = None

    def close(self) -> None:
        """Close the connection."""
        if self._connection is not None:
            self._connection.close()
            self._connection = None

    def send(self, request: Request, target: str = "") -> _Answer:
        """Send the request over the one connection, or a new one if the last answer ended it."""
        if self._connection is None:
            self._connection = UnixConnection(self.socket, timeout=30)
        connection = self._connection
        try:
            headers = {name: self._filled(value) for name, value in request.headers.items()}
            connection.request(request.method, self._filled(target or request.target), request.body, headers)
            response = connection.getresponse()
            answer = _Answer(response.status, response.getheaders(), response.read())
        except (OSError, http.client.HTTPException) as error:
            self.close()
            return _Answer(0, [], f"{type(error).__name__}\n".encode())
        if response.will_close:
            self.close()
        return answer

    def learn(self, name: str, subject: str) -> None:
        """Remember the id of the image called `subject` as `name`, and those of its parents as `name-1`, ....

        Without a subject it is the newest container.
        """
        if not subject:
            containers = json.loads(self.send(Request("", "GET", "/v1.41/containers/json?all=1&limit=1")).body)
            self.names[name] = containers[0]["Id"] if containers else ""
            return
        history = self.send(Request("", "GET", f"/v1.41/images/{subject}/history"))
        if history.status != 200:
            return
        entries = json.loads(history.body)
        ids = [entry["Id"].removeprefix("sha256:") for entry in entries if entry["Id"] != "<missing>"]
        for depth, digest in enumerate(ids):
            if digest not in self.names.values():
                self.names[f"{name}-{depth}" if depth else name] = digest

    def normal(self, answer: _Answer, request: Request) -> Any:
        """Return the answer in the form in which two answers can be equal."""
        return _Normal(self.names).answer(answer, request)

    def _filled(self, text: str) -> str:
        def fill(match: re.Match[str]) -> str:
            value = self.names.get(match[1], match[0])
            return value[: int(match[2])] if match[2] else value

        return _PLACEHOLDER.sub(fill, text)


@dataclass(slots=True)
class Pair:
    """The real engine and imagewright, asked the same."""

    engine: Side
    imagewright: Side

    def ask(self, request: Request) -> list[Difference]:
        """Send `request` to both; return what is different in the answers."""
        if request.mark:
            for side in self.sides:
                side.names[request.mark] = f"{time.time():.9f}"
        theirs = self.engine.send(request)
        ours = self.imagewright.send(request, request.ours)
        if request.learn:
            for side in self.sides:
                side.learn(request.learn, request.subject)
        return list(
            answers_differ(request.case, self.engine.normal(theirs, request), self.imagewright.normal(ours, request))
        )

    @property
    def sides(self) -> tuple[Side, Side]:
        """Both."""
        return self.engine, self.imagewright

    def know(self, name: str, digest: str) -> None:
        """Call the hexadecimal `digest`, which both sides have, `name`."""
        for side in self.sides:
            side.names[name] = digest


class _Normal:
    """The normal form of one answer: ids by the names that they have, times of now all alike."""

    def __init__(self, names: Mapping[str, str]) -> None:
        self._known = {digest: name for name, digest in names.items() if len(digest) == 64}
        self._short = {digest[:12]: name for digest, name in self._known.items()}
        self._now = time.time()

    def answer(self, answer: _Answer, request: Request) -> Any:
        headers = {
            name: self._text(value) for name, value in sorted(answer.headers) if name.lower() not in _PASSING_HEADERS
        }
        names = {name.lower() for name, _ in answer.headers}
        framing = "chunked" if "transfer-encoding" in names else "length" if "content-length" in names else "close"
        kind = headers.get("Content-Type", "")
        form: dict[str, Any] = {"status": answer.status, "header": headers, "framing": framing}
        if kind.startswith("application/json"):
            documents, ends = _documents(answer.body)
            form["ends"] = ends
            form["escapes"] = b"\\u003c" in answer.body
            body = documents[0] if len(documents) == 1 else documents
        elif answer.status == 200 and kind == "application/x-tar":
            body = _archive(answer.body)
        else:
            body = answer.body.decode(errors="replace")
        if request.view:
            body = request.view(body)
        form["body"] = self._list(body, form) if _is_image_list(body) else self._value(body)
        return form

    def _list(self, entries: list[dict[str, Any]], form: dict[str, Any]) -> Any:
        """Return a list of images by id, and in `form` whether they came newest first."""
        times = [entry["Created"] for entry in entries]
        if times != sorted(times, reverse=True):
            form["newest first"] = False
        return self._by_id(entries)

    def _by_id(self, entries: list[dict[str, Any]]) -> ById:
        """Return entries by the names of their ids; those without are told apart by what else there is of them."""
        found: dict[str, list[Any]] = {}
        for entry in entries:
            found.setdefault(self._text(entry["Id"]), []).append(self._value(entry))
        by_id = ById()
        for name, values in found.items():
            for number, value in enumerate(sorted(values, key=json.dumps)):
                by_id[f"{name}{number or ''}"] = value
        return by_id

    def _value(self, value: Any, key: str = "") -> Any:
        if isinstance(value, ById):
            return self._by_id(list(value.values()))
        if isinstance(value, dict):
            return {self._text(name): self._value(item, name) for name, item in value.items()}
        if isinstance(value, Unordered):
            return sorted((self._value(item, key) for item in value), key=json.dumps)
        if isinstance(value, list):
            return [self._value(item, key) for item in value]
        if isinstance(value, str):
            if key in {"name", "Name", "Names"} and _CONTAINER_NAME.fullmatch(value):
                return "<name>"
            return self._text(value)
        if key in {"Created", "time"} and abs(value - self._now) < _NOW_SECONDS:
            return "<now>"
        if key == "timeNano" and abs(value / 1e9 - self._now) < _NOW_SECONDS:
            return "<now>"
        return value

    def _text(self, text: str) -> str:
        text = _ID.sub(lambda match: self._name(match[0]), text)
        text = _SHORT_ID.sub(lambda match: self._name(match[0]), text)
        text = _TIME.sub(lambda match: self._time(match[0]), text)
        return _AGO.sub("<now>", text)

    def _name(self, digest: str) -> str:
        name = self._known.get(digest)
        if name:
            return f"<{name}>"
        name = self._short.get(digest[:12])
        if name:
            return f"<{name}.12>" if len(digest) == 12 else f"<{name}>"
        return "<id.12>" if len(digest) == 12 else "<id>"

    def _time(self, text: str) -> str:
        moment = datetime.fromisoformat(re.sub(r"(\.\d{6})\d+", r"\1", text))
        then = moment.replace(tzinfo=UTC) - datetime(1970, 1, 1, tzinfo=UTC)
        return "<now>" if abs(then.total_seconds() - self._now) < _NOW_SECONDS else text


def _is_image_list(body: Any) -> bool:
    entries = body if isinstance(body, list) else []
    return bool(entries) and all(isinstance(entry, dict) and "RepoTags" in entry for entry in entries)


def _documents(body: bytes) -> tuple[list[Any], list[str]]:
    """Return the JSON documents of a body, and what stands behind them, each once."""
    decoder = json.JSONDecoder()
    text = body.decode(errors="replace")
    documents: list[Any] = []
    ends: dict[str, None] = {}
    position = 0
    while position < len(text):
        document, position = decoder.raw_decode(text, position)
        documents.append(document)
        end = re.compile(r"\s*").match(text, position)
        ends[end[0] if end else ""] = None
        position = end.end() if end else position
    return documents, list(ends)


def _archive(body: bytes) -> Any:
    """Return what an archive of images says, with digests in place of paths: these are each program's own."""
    with tarfile.open(fileobj=io.BytesIO(body)) as tar:
        members = {member.name: member for member in tar.getmembers()}

        def read(name: str) -> bytes:
            member = members[name]
            while member.issym():
                member = members[_joined(member.name, member.linkname)]
            file = tar.extractfile(member)
            return file.read() if file else b""

        entries = json.loads(read("manifest.json"))
        repositories = json.loads(read("repositories")) if "repositories" in members else None
        manifest = [
            {
                **entry,
                "Config": hashlib.sha256(read(entry["Config"])).hexdigest(),
                "Layers": [hashlib.sha256(read(layer)).hexdigest() for layer in entry["Layers"] or []],
            }
            for entry in entries or []
        ]
    for entry in manifest:
        entry.pop("LayerSources", None)
    manifest.sort(key=lambda entry: str(entry["Config"]))
    if repositories is not None:
        repositories = {name: sorted(tags) for name, tags in sorted(repositories.items())}
    return {"manifest.json": None if entries is None else manifest, "repositories": repositories}


def _joined(path: str, link: str) -> str:
    parts = path.split("/")[:-1]
    for part in link.split("/"):
        if part == "..":
            parts.pop()
        else:
            parts.append(part)
    return "/".join(parts)


def answers_differ(case: str, theirs: dict[str, Any], ours: dict[str, Any]) -> Iterator[Difference]:
    """Yield where two answers in their normal form (`status`, `body` and whatever else) are different."""
    if (theirs["status"] < 400) == (ours["status"] < 400):
        yield from _differences(case, "", theirs, ours)
        return
    # One did it, the other refused: the rest would only say so again.
    yield Difference(case, "answer", *(f"{answer['status']} {_shown(answer['body'])}" for answer in (theirs, ours)))


def _differences(case: str, where: str, theirs: Any, ours: Any) -> Iterator[Difference]:
    if isinstance(theirs, ById) or isinstance(ours, ById):
        theirs, ours = (ById() if value == [] else value for value in (theirs, ours))
    if isinstance(theirs, ById) and isinstance(ours, ById):
        if theirs.keys() != ours.keys():
            only = [", ".join(sorted(a.keys() - b.keys())) for a, b in ((theirs, ours), (ours, theirs))]
            yield Difference(case, f"{where}/only there", *only)
        for name in sorted(theirs.keys() & ours.keys()):
            yield from _differences(case, f"{where}/{name}", theirs[name], ours[name])
    elif isinstance(theirs, dict) and isinstance(ours, dict):
        for name in sorted(theirs.keys() | ours.keys()):
            path = f"{where}/{name}" if where else name
            yield from _differences(case, path, theirs.get(name, _ABSENT), ours.get(name, _ABSENT))
        their_order, our_order = ([name for name in a if name in b] for a, b in ((theirs, ours), (ours, theirs)))
        if their_order != our_order:
            yield Difference(case, f"{where}/order", " ".join(their_order), " ".join(our_order))
    elif isinstance(theirs, list) and isinstance(ours, list) and len(theirs) == len(ours):
        for index, (their, our) in enumerate(zip(theirs, ours, strict=True)):
            yield from _differences(case, f"{where}/{index}", their, our)
    elif theirs != ours or type(theirs) is not type(ours):
        yield Difference(case, where, theirs, ours)


def _agrees(value: Any, pattern: Any) -> bool:
    if isinstance(pattern, str):
        return fnmatch.fnmatchcase(_shown(value), pattern) or value == pattern
    return bool(value == pattern)


def _shown(value: Any) -> str:
    text = value if isinstance(value, str) else json.dumps(value, ensure_ascii=False)
    return text if len(text) <= 600 else f"{text[:600]}... ({len(text)} characters)"


def _strings(value: Any) -> tuple[str, ...]:
    return (value,) if isinstance(value, str) else tuple(value)
