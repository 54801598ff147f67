"""Every build that the protocol has a word for, against a real engine's classic builder."""

import fnmatch
import json
import os
import tomllib
from collections.abc import Iterator

import pytest

from compat.build_differential.cases import SUBJECTS, read_cases, read_not_yet
from compat.build_differential.comparison import compare
from support.bases import busybox_base
from support.daemon import daemon
from support.differential import Pair, Side, read_known, review
from support.dockerd import dockerd
from support.unixhttp import request

pytestmark = pytest.mark.compat

KNOWN = os.path.join(os.path.dirname(__file__), "build_differential", "differences.toml")


@pytest.fixture(scope="module")
def pair(tmp_path_factory: pytest.TempPathFactory) -> Iterator[Pair]:
    directory = tmp_path_factory.mktemp("pair")
    with dockerd(str(directory)) as engine, daemon(str(directory)) as ours:
        version = json.loads(request(engine.socket, "GET", "/version")[1])["ApiVersion"]
        if version != "1.41":
            # The list of differences is that of one engine.
            reason = f"compares with an engine of API 1.41; this machine's has {version}"
            if os.environ.get("CI") == "true":
                pytest.fail(f"{reason}, and CI=true", pytrace=False)
            pytest.skip(reason)
        pair = Pair(Side(engine.socket), Side(ours.socket))
        base = busybox_base()
        for side in pair.sides:
            status, body = request(side.socket, "POST", "/images/create?fromSrc=-&repo=base&tag=1", base)
            assert status == 200, body
        try:
            yield pair
        finally:
            for side in pair.sides:
                side.close()


def test_the_lists_are_in_order() -> None:
    with open(KNOWN, "rb") as file:
        entries = tomllib.load(file)["difference"]
    assert not [entry for entry in entries if not entry.get("reason", "").endswith(".")]
    assert {name for entry in entries for name in entry.get("groups", "").split()} <= {*SUBJECTS}
    names = [case.name for subject in SUBJECTS for case in read_cases(subject)]
    assert len(names) == len(set(names)), "two cases have one name"
    patterns = [pattern for patterns in read_not_yet().values() for pattern in patterns]
    assert not [pattern for pattern in patterns if not fnmatch.filter(names, pattern)]
    assert len(names) >= 120


@pytest.mark.parametrize("subject", SUBJECTS)
def test_same_build(pair: Pair, subject: str) -> None:
    excused = [pattern for patterns in read_not_yet().values() for pattern in patterns]
    cases = [
        case for case in read_cases(subject) if not any(fnmatch.fnmatchcase(case.name, pattern) for pattern in excused)
    ]
    found = [difference for case in cases for difference in compare(pair, case)]
    report = review(found, read_known(KNOWN, subject))
    assert not report, report
