"""A build on both engines, and what was different.

Messages are compared byte for byte, but for ids: these are told apart by the order in which they come up. What a RUN
writes comes in pieces of any size, and the two channels in any order, so each channel is put together.
"""

import json
import re
from collections.abc import Iterator
from concurrent.futures import ThreadPoolExecutor
from dataclasses import asdict, dataclass, field
from difflib import SequenceMatcher
from typing import Any

from compat.build_differential.cases import BuildCase
from support.build_exchange import BuildAnswer, post_build
from support.differential import Difference, Pair, Request, Side, answers_differ
from support.engines import flatten

__all__ = ["compare"]

_ID = re.compile(r"(?<![0-9a-zA-Z_])([0-9a-f]{12})([0-9a-f]{52})?(?![0-9a-zA-Z_])")
_PASSING_HEADERS = frozenset({"date", "content-length", "transfer-encoding"})
_RUNNING = '{"stream":" ---\\u003e Running in '
_AFTER_OUTPUT = ('{"stream":"Removing intermediate container ', '{"stream":" ---\\u003e ')
# How far a download is, at any moment that an engine likes.
_ON_THE_WAY = re.compile(r'\{"status":"Downloading","progressDetail":\{"current":(\d+),"total":(?!\1\})')
_STREAM = re.compile(r'\{"stream":"(.*)"\}\s*', re.DOTALL)
_RED = re.compile(r"\\u001b\[91m(.*)\\u001b\[0m", re.DOTALL)
# Of an inspected image; the rest is compared by the suite for images.
_INSPECTED = ("Comment", "Author", "Config", "Architecture", "Os")
_ALL_CONTAINERS = "/v1.41/containers/json?all=1"


@dataclass(slots=True)
class _Names:
    """Names for ids, numbered by the order in which they come up; an image and its short form have one."""

    known: dict[str, str] = field(default_factory=dict)

    def in_text(self, text: str) -> str:
        return _ID.sub(self._name, text)

    def in_value(self, value: Any) -> Any:
        if isinstance(value, str):
            return self.in_text(value)
        if isinstance(value, list):
            return [self.in_value(item) for item in value]
        if isinstance(value, dict):
            return {self.in_text(key): self.in_value(item) for key, item in value.items()}
        return value

    def _name(self, match: re.Match[str]) -> str:
        name = self.known.setdefault(match[1], str(len(self.known) + 1))
        return f"<{name}>" if match[2] else f"<{name}.12>"


def compare(pair: Pair, case: BuildCase) -> list[Difference]:
    """Build `case` on both sides; return what is different."""
    found: list[Difference] = []
    with ThreadPoolExecutor(2) as pool:
        for version in case.versions:
            name = f"{case.name} v{version}" if len(case.versions) > 1 else case.name
            theirs, ours = pool.map(lambda side, v=version: list(_build(side, case, v)), pair.sides)
            for (part, their), (_, our) in zip(theirs, ours, strict=True):
                found += _differences(f"{name}{part}", their, our)
    return found


def _differences(case: str, theirs: dict[str, Any], ours: dict[str, Any]) -> Iterator[Difference]:
    """Yield the differences of two parts; of two streams each run of messages that differs is one."""
    their_body, our_body = theirs["body"], ours["body"]
    if not (isinstance(their_body, list) and isinstance(our_body, list)):
        yield from answers_differ(case, theirs, ours)
        return
    yield from answers_differ(case, {**theirs, "body": ""}, {**ours, "body": ""})
    texts = [[json.dumps(message, sort_keys=True) for message in body] for body in (their_body, our_body)]
    for kind, a, b, c, d in SequenceMatcher(None, texts[0], texts[1], autojunk=False).get_opcodes():
        if kind != "equal":
            yield Difference(case, f"body/{a}", _joined(their_body[a:b]), _joined(our_body[c:d]))


def _joined(messages: list[Any]) -> str:
    return " ".join(message if isinstance(message, str) else json.dumps(message) for message in messages)


def _build(side: Side, case: BuildCase, version: str) -> Iterator[tuple[str, dict[str, Any]]]:
    """Yield the parts of what `side` answers, in their normal form."""
    names = _Names()
    if case.containers:
        _remove_containers(side)
    for number in range(case.repeat):
        answer = post_build(side.socket, case.target(version), case.body, case.headers)
        yield (f" again {number}" if number else ""), _normal(answer, names)
    if case.containers:
        found = json.loads(side.send(Request("", "GET", _ALL_CONTAINERS)).body)
        commands = [{key: entry[key] for key in ("Id", "Command", "Image")} for entry in found]
        yield " containers", {"status": 200, "body": names.in_value(commands)}
        yield " states", {"status": 200, "body": {str(n): entry["State"] for n, entry in enumerate(found)}}
        _remove_containers(side)
    if case.image:
        yield " image", names.in_value(_inspected(side, case.image))
        yield " history", names.in_value(_history(side, case.image))
    if case.look:
        yield " files", _files(side, case.image)


def _normal(answer: BuildAnswer, names: _Names) -> dict[str, Any]:
    headers = {name: value for name, value in sorted(answer.headers) if name.lower() not in _PASSING_HEADERS}
    form: dict[str, Any] = {"status": answer.status, "header": headers, "framing": answer.framing}
    if answer.streamed:
        form["body"] = list(_messages(names.in_text(answer.body.decode()).removesuffix("\r\n").split("\r\n")))
    else:
        form["body"] = names.in_text(answer.body.decode(errors="replace"))
    return form


def _messages(messages: list[str]) -> Iterator[Any]:
    """Yield the messages; those that are output of a RUN put together, and of a download only the last."""
    output: dict[str, str] | None = None
    for message in messages:
        if _ON_THE_WAY.match(message):
            continue
        piece = _STREAM.fullmatch(message)
        if output is not None and piece and not message.startswith(_AFTER_OUTPUT):
            red = _RED.fullmatch(piece[1])
            output["stderr" if red else "stdout"] += red[1] if red else piece[1]
            continue
        if output is not None:
            if any(output.values()):
                yield output
            output = None
        yield message
        if message.startswith(_RUNNING):
            output = {"stdout": "", "stderr": ""}
    if output is not None and any(output.values()):
        yield output


def _inspected(side: Side, image: str) -> dict[str, Any]:
    answer = side.send(Request("", "GET", f"/v1.41/images/{image}/json"))
    document = json.loads(answer.body)
    if answer.status != 200:
        return {"status": answer.status, "body": document}
    body = {key: document[key] for key in _INSPECTED}
    # The order of its keys is the business of the suite for images.
    body["Config"] = dict(sorted(body["Config"].items()))
    return {"status": 200, "body": body | {"layers": len(document["RootFS"].get("Layers") or ())}}


def _history(side: Side, image: str) -> dict[str, Any]:
    answer = side.send(Request("", "GET", f"/v1.41/images/{image}/history"))
    body = json.loads(answer.body)
    if answer.status == 200:
        body = [{key: entry[key] for key in ("CreatedBy", "Comment", "Size")} for entry in body]
    return {"status": answer.status, "body": body}


def _files(side: Side, image: str) -> dict[str, Any]:
    answer = side.send(Request("", "GET", f"/v1.41/images/{image}/get"))
    if answer.status != 200:
        return {"status": answer.status, "body": ""}
    files, _ = flatten(answer.body)
    # dockerd's own tar writer makes something of a symlink's mode.
    return {
        "status": 200,
        "body": {
            path: {**asdict(file), "mode": 0 if file.type == "2" else file.mode, "data": file.data.decode("latin-1")}
            for path, file in files.items()
            if not path.startswith("bin/")
        },
    }


def _remove_containers(side: Side) -> None:
    for entry in json.loads(side.send(Request("", "GET", _ALL_CONTAINERS)).body):
        side.send(Request("", "DELETE", f"/v1.41/containers/{entry['Id']}?force=1"))
