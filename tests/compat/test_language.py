"""Every part of the Dockerfile language gives the image that a real engine makes, or that the reference describes.

The cases are data: see language/cases/*.toml, and language/cases.py for what their fields mean.
"""

import json
import os
from collections.abc import Iterator, Mapping
from concurrent.futures import ThreadPoolExecutor
from dataclasses import dataclass, field
from typing import Any
from urllib.parse import urlencode

import pytest

from compat.language.cases import SUBJECTS, Case, body, read_cases
from compat.language.snapshot import Snapshot, read_snapshots
from support.bases import busybox_base
from support.daemon import daemon
from support.differential import Difference, read_known, review
from support.dockerd import dockerd
from support.unixhttp import request

pytestmark = pytest.mark.compat

_KNOWN = os.path.join(os.path.dirname(__file__), "language", "differences.toml")
_ABSENT = "(absent)"
_VERSIONS = {"classic": "1", "buildkit": "2"}


@dataclass(frozen=True, slots=True)
class Side:
    """One of the two engines; `trees` are those that have been read already."""

    socket: str
    trees: dict[str, Any] = field(default_factory=dict)

    def build(self, case: Case, tag: str, version: str) -> str:
        """Build `case`; return the error, "" if there was none."""
        query = urlencode({"t": tag, "version": version, **case.query})
        dockerfile = case.dockerfile if "FROM" in case.dockerfile else f"FROM base\n{case.dockerfile}"
        status, answer = request(self.socket, "POST", f"/v1.41/build?{query}", body(dockerfile), timeout=120)
        messages = [json.loads(line) for line in answer.splitlines() if line.strip()]
        if status != 200:
            return str(messages[0]["message"])
        return next((str(message["error"]) for message in messages if "error" in message), "")

    def outcomes(self, cases: Mapping[str, Case], versions: Mapping[str, str]) -> dict[str, Snapshot | str]:
        """Build `cases`, each under its tag; return the images and the errors."""
        with ThreadPoolExecutor(2) as pool:
            told = pool.map(lambda tag: self.build(cases[tag], tag, versions[cases[tag].like]), cases)
            errors = dict(zip(cases, told, strict=True))
        built = [tag for tag, error in errors.items() if not error]
        images = dict(zip(built, read_snapshots(self.socket, built, self.trees), strict=True)) if built else {}
        return {tag: images.get(tag, error) for tag, error in errors.items()}


@pytest.fixture(scope="module")
def sides(tmp_path_factory: pytest.TempPathFactory) -> Iterator[tuple[Side, Side]]:
    directory = tmp_path_factory.mktemp("pair")
    with dockerd(str(directory)) as engine, daemon(str(directory)) as ours:
        version = json.loads(request(engine.socket, "GET", "/version")[1])["ApiVersion"]
        if version != "1.41":
            # The list of differences is that of one engine.
            reason = f"compares with an engine of API 1.41; this machine's has {version}"
            if os.environ.get("CI") == "true":
                pytest.fail(f"{reason}, and CI=true", pytrace=False)
            pytest.skip(reason)
        base = busybox_base()
        pair = Side(engine.socket), Side(ours.socket)
        for side in pair:
            status, answer = request(side.socket, "POST", "/images/create?fromSrc=-&repo=base&tag=latest", base)
            assert status == 200, answer
        for side in pair:
            for dockerfile, tag in _BASES.items():
                assert not side.build(Case(name=tag, dockerfile=dockerfile), tag, "1")
        yield pair


_BASES = {
    "FROM base\nRUN mkdir -p /opt/real /opt/full/sub && echo old >/opt/full/one && ln -s real /opt/link"
    " && ln -s /opt/real /opt/abs && ln -s nowhere /opt/dangling && ln -s ../../.. /opt/up && echo f >/opt/file"
    " && chown -R 1000:1000 /opt/full && ln -s file /opt/filelink\n": "world",
    "FROM base\nENV INHERITED=yes\nONBUILD ENV TRIGGERED=yes\nONBUILD COPY a.txt /triggered\n": "triggers",
    'FROM base\nENTRYPOINT ["/bin/entry"]\nCMD ["command"]\nENV A=base B=base\nLABEL a=base b=base\nEXPOSE 1\n'
    "VOLUME /base\nUSER user\nWORKDIR /base\nSTOPSIGNAL SIGINT\nHEALTHCHECK --retries=7 CMD base\n"
    'SHELL ["/bin/sh", "-ec"]\n': "configured",
}


def test_the_tables_are_in_order() -> None:
    cases = [case for subject in SUBJECTS for case in read_cases(subject)]
    names = [case.name for case in cases]
    assert len(names) == len(set(names)), "two cases have one name"
    assert len(cases) >= 250


@pytest.mark.parametrize("subject", SUBJECTS)
def test_same_image(sides: tuple[Side, Side], subject: str) -> None:
    cases = {f"{subject}-{number}": case for number, case in enumerate(read_cases(subject))}
    compared = {tag: case for tag, case in cases.items() if case.like != "reference"}
    engine, imagewright = sides
    with ThreadPoolExecutor(1) as pool:
        waiting = pool.submit(engine.outcomes, compared, _VERSIONS)
        ours = imagewright.outcomes(cases, dict.fromkeys(("classic", "buildkit", "reference"), "1"))
        theirs = waiting.result()
    found = [
        difference
        for tag, case in cases.items()
        for difference in _differences(case, ours[tag], theirs.get(tag, Snapshot(case.files, case.config)))
    ]
    report = review(found, read_known(_KNOWN, subject))
    assert not report, report


def _differences(case: Case, ours: Snapshot | str, theirs: Snapshot | str) -> Iterator[Difference]:
    """Yield what is different; of an image that the reference describes, only what it says is looked at."""
    described = case.like == "reference"
    if case.error:
        if isinstance(theirs, Snapshot) and not described:
            yield Difference(case.name, "outcome", "an image", f"error: {case.error}")
        told = ours if isinstance(ours, str) else "an image"
        if case.error not in told:
            yield Difference(case.name, "error", case.error, told)
    elif isinstance(theirs, str) or isinstance(ours, str):
        outcomes = (f"error: {each}" if isinstance(each, str) else "an image" for each in (theirs, ours))
        if isinstance(theirs, str) and isinstance(ours, str):
            yield Difference(case.name, "a case without `error`", *outcomes)
        else:
            yield Difference(case.name, "outcome", *outcomes)
    else:
        yield from _compared(case.name, theirs.config, ours.config, described=described)
        their_files = {path: text or _ABSENT for path, text in theirs.files.items()}
        yield from _compared(case.name, their_files, ours.files, described=described)


def _compared(
    case: str, theirs: Mapping[str, Any], ours: Mapping[str, Any], *, described: bool
) -> Iterator[Difference]:
    for key in sorted(theirs.keys() if described else theirs.keys() | ours.keys()):
        if theirs.get(key, _ABSENT) != ours.get(key, _ABSENT):
            yield Difference(case, key, theirs.get(key, _ABSENT), ours.get(key, _ABSENT))
