"""A Debian base, and RUNs that fetch packages: real programs on a real network."""

from collections.abc import Iterator

import pytest

from imagewright.engine import BuildRequest, Engine
from support.bases import debian_base
from support.engines import Log, build, flatten, reference, saved

pytestmark = pytest.mark.privileged("mmdebstrap")

_DOCKERFILE = """\
FROM debian
ENV DEBIAN_FRONTEND=noninteractive
RUN apt-get update && apt-get install --yes --no-install-recommends hello && rm -rf /var/lib/apt/lists/*
RUN hello > /said
USER nobody
RUN id -un > /tmp/who
"""


@pytest.fixture(scope="module")
def engine(tmp_path_factory: pytest.TempPathFactory) -> Iterator[Engine]:
    with Engine(str(tmp_path_factory.mktemp("engine"))) as engine, open(debian_base(), "rb") as base:
        engine.import_(base, reference=reference("debian"))
        yield engine


@pytest.mark.timeout(300)
def test_packages_are_fetched_and_installed_by_a_run(engine: Engine) -> None:
    log = Log()
    build(engine, _DOCKERFILE, request=BuildRequest(tags=(reference("hello"),)), log=log)
    assert "Setting up hello" in log.output
    files, _ = flatten(saved(engine, "hello"))
    assert files["said"].data == b"Hello, world!\n"
    assert files["tmp/who"].data == b"nobody\n"
    assert "usr/bin/hello" in files
    assert not [path for path in files if path.startswith("var/lib/apt/lists/") and files[path].type == "file"]
