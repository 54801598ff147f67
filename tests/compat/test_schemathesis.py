"""Requests made from the published API descriptions, and whether the answers are what these promise."""

import copy
import functools
import os
import time
from collections.abc import Iterator
from pathlib import Path
from typing import Any

import pytest
import requests
import schemathesis
from docker.transport import UnixHTTPAdapter
from hypothesis import HealthCheck, Phase, given, settings
from hypothesis import strategies as st
from schemathesis.core import NotSet
from schemathesis.specs.openapi.checks import content_type_conformance, response_schema_conformance

from support.bases import busybox_base
from support.builder import archive, context
from support.daemon import Daemon, daemon
from support.unixhttp import request

# The daemon runs builds, as root.
pytestmark = pytest.mark.privileged

VERSIONS = ("1.41", "1.51")
# Registries (push, search, auth, distribution) are not asked: they come later, and a test has none.
OPERATIONS = (
    *("GET /_ping", "HEAD /_ping", "GET /version", "GET /info", "GET /images/json", "GET /images/{name}/json"),
    *("GET /images/{name}/history", "GET /images/{name}/get", "GET /images/get", "POST /images/{name}/tag"),
    *("POST /images/create", "POST /images/load", "POST /build", "POST /build/prune", "GET /system/df", "GET /events"),
    *("POST /commit", "POST /images/prune", "DELETE /images/{name}"),
)
EXAMPLES = 20
NAMES = (
    "base:1",
    "base",
    "built",
    "ns/built:2",
    "nope",
    "sha256:0",
    "docker.io/library/base:1",
    "..",
    "a b",
    "base%31",
)
BODIES = (
    b"",
    b"x" * 600,
    archive({"a": "b"}),
    context("FROM base:1\nENV A=1\nRUN true\n"),
    context("FROM base:1\nFOO\n"),
    context("FROM scratch\nCOPY Dockerfile /\n"),
)


@schemathesis.serializer("application/x-tar")
def _as_it_is(_context: Any, value: bytes) -> bytes:
    return value


@functools.cache
def directory() -> Path | None:
    """Return the shared descriptions' directory, beside the repository or one of the directories it is in."""
    found = (parent / "shared" / "spec" for parent in Path(__file__).resolve().parents)
    return next((path for path in found if path.is_dir()), None)


@functools.cache
def description(version: str) -> schemathesis.schemas.BaseSchema:
    path = directory()
    assert path is not None
    document = copy.deepcopy(schemathesis.openapi.from_path(path / f"engine-api-v{version}.yaml").raw_schema)
    _allow_null(document)
    return schemathesis.openapi.from_dict(document)


def _allow_null(node: Any) -> None:
    """Let lists and maps be null: the engine, in Go, writes empty ones so, which its description does not say.

    Where they are and where not, test_images_differential.py compares with the engine itself.
    """
    if isinstance(node, dict):
        if node.get("type") in ("array", "object"):
            node["x-nullable"] = True
        for value in node.values():
            _allow_null(value)
    elif isinstance(node, list):
        for value in node:
            _allow_null(value)


@pytest.fixture(scope="module")
def served(tmp_path_factory: pytest.TempPathFactory) -> Iterator[Daemon]:
    if directory() is None:
        reason = "the published API descriptions are not at ../shared/spec"
        if os.environ.get("CI") == "true":
            pytest.fail(f"{reason}, and CI=true", pytrace=False)
        pytest.skip(reason)
    with daemon(str(tmp_path_factory.mktemp("described"))) as running:
        yield running


@pytest.fixture
def engine(served: Daemon) -> Daemon:
    """The daemon, with a few images, whatever became of those before."""
    for target, body in (
        ("/images/create?fromSrc=-&repo=base&tag=1", busybox_base()),
        ("/build?t=built", context("FROM base:1\nLABEL a=b\nCOPY x /x\nHEALTHCHECK CMD true\n", {"x": "x"})),
        ("/build?t=built&t=ns/built:2", context("FROM base:1\nEXPOSE 80\nVOLUME /v\nCMD x\n")),
        ("/build", context("FROM base:1\nRUN exit 3\n")),
    ):
        status, answer = request(served.socket, "POST", target, body)
        assert status == 200, answer
    return served


@pytest.mark.parametrize("operation", OPERATIONS)
@pytest.mark.parametrize("version", VERSIONS)
def test_answers_are_as_described(engine: Daemon, version: str, operation: str) -> None:
    method, path = operation.split(" ")
    described = description(version)[path][method]
    with requests.Session() as session:
        session.mount("http://", UnixHTTPAdapter(engine.socket, timeout=20))

        # What fails is found again by the next run: nothing is random, nothing is kept.
        @settings(
            max_examples=EXAMPLES,
            derandomize=True,
            database=None,
            phases=[Phase.generate],
            suppress_health_check=list(HealthCheck),
        )
        @given(case=described.as_strategy(), data=st.data())
        def check(case: schemathesis.Case[Any], data: st.DataObject) -> None:
            _adapt(case, path, data)
            extra: dict[str, Any] = {"data": data.draw(st.sampled_from(BODIES))} if path in _BODIED else {}
            if method == "DELETE":
                request(engine.socket, "POST", "/images/base:1/tag?repo=base")
            response = case.call(base_url=f"http://localhost/v{version}", session=session, **extra)
            what = f"{case.formatted_path} {case.query}: {response.status_code} {response.content[:500]!r}"
            assert response.status_code < 500 or response.status_code == 501, what
            if path == "/events":
                # A stream of documents, of which the description describes one.
                response.content = response.content.partition(b"\n")[0] or b"{}"
            # Errors are JSON where files are promised too: the description says so of few.
            documented = content_type_conformance if response.status_code < 400 else response_schema_conformance
            case.validate_response(response, checks=[response_schema_conformance, documented])

        check()


_BODIED = {"/build", "/images/load", "/images/create"}


def _adapt(case: schemathesis.Case[Any], path: str, data: st.DataObject) -> None:
    """Let half of the requests be about what there is; let none wait, and none leave this machine."""
    if "name" in case.path_parameters and data.draw(st.booleans()):
        case.path_parameters["name"] = data.draw(st.sampled_from(NAMES))
    if path in _BODIED:
        case.body, case.media_type = NotSet(), None
        for name in ("remote", "fromImage"):
            case.query.pop(name, None)
    if path == "/images/create":
        case.query["fromSrc"] = "-"
    if path == "/events":
        case.query["until"] = str(int(time.time()))
