"""Cache mounts as a docker program shows and prunes them."""

import pathlib
import re
from collections.abc import Iterator

import pytest

from support.bases import busybox_base
from support.clients import DockerCli, docker_clis
from support.daemon import Daemon, daemon
from support.unixhttp import request

pytestmark = pytest.mark.compat

CACHES = """\
FROM base:1 AS seed
RUN mkdir -p /s/sub && echo seed > /s/sub/f && chown 7:8 /s/sub/f
FROM base:1
RUN --mount=type=cache,target=/large dd if=/dev/zero of=/large/x bs=1M count=3
RUN --mount=type=cache,id=small,target=/c echo first > /c/x
RUN --mount=type=cache,id=small,target=/elsewhere,sharing=locked cat /elsewhere/x
RUN --mount=type=cache,id=owned,target=/c,uid=1000,gid=50,mode=0710 stat -c 'owned %u:%g %a' /c
RUN --mount=type=cache,id=seeded,target=/c,from=seed,source=/s/sub stat -c 'seeded %u:%g' /c/f && cat /c/f
"""
# Each waits for the other one.
PRIVATE = "--mount=type=cache,id=private,target=/p,sharing=private --mount=type=cache,id=met,target=/m"
STAGES = f"""\
FROM base:1 AS one
RUN {PRIVATE} touch /p/1 /m/1; until [ -e /m/2 ]; do sleep 0.05; done; [ "$(ls /p)" = 1 ]
FROM base:1 AS two
RUN {PRIVATE} touch /p/2 /m/2; until [ -e /m/1 ]; do sleep 0.05; done; [ "$(ls /p)" = 2 ]
FROM scratch
COPY --from=one /etc/passwd /1
COPY --from=two /etc/passwd /2
"""


@pytest.fixture(scope="module")
def engine(tmp_path_factory: pytest.TempPathFactory) -> Iterator[Daemon]:
    with daemon(str(tmp_path_factory.mktemp("engine"))) as running:
        assert request(running.socket, "POST", "/images/create?fromSrc=-&repo=base&tag=1", busybox_base())[0] == 200
        yield running


def test_caches_are_used_listed_and_pruned(engine: Daemon, tmp_path: pathlib.Path) -> None:
    cli = (docker_clis() or (DockerCli("docker", ()),))[-1]
    (tmp_path / "Dockerfile").write_text(CACHES)
    (tmp_path / "stages").write_text(STAGES)

    def docker(*arguments: str) -> str:
        return cli.ok(engine.host, *arguments)

    def listed() -> list[list[str]]:
        """Return the type and the size of each cache directory that `system df -v` has."""
        _, _, rows = docker("system", "df", "-v").partition("CACHE ID")
        return [re.split(r" {2,}", row)[1:3] for row in rows.splitlines()[1:] if row]

    def prune(*arguments: str) -> list[str]:
        """Prune; return the ids of what went."""
        return re.findall(r"^[0-9a-f]{32}(?:-[0-9]+)?$", docker("builder", "prune", "-f", *arguments), re.MULTILINE)

    log = docker("build", str(tmp_path))
    for shown in ("\nfirst\n", "\nowned 1000:50 710\n", "\nseeded 7:8\nseed\n"):
        assert shown in log
    assert sorted(kind for kind, _ in listed()) == ["exec.cachemount"] * 4
    assert "3.15MB" in {size for _, size in listed()}
    docker("build", "-f", str(tmp_path / "stages"), str(tmp_path))
    # Two that had it at once have one each.
    assert len(listed()) == 7
    assert prune("--filter", "unused-for=1h") == prune("--filter", "type=regular") == []
    assert len(prune("--filter", "description=private")) == 2
    assert len(prune("--keep-storage", "1MB")) == 1
    assert len(listed()) == 4
    assert (
        "Invalid filter 'nope'" in cli.run(engine.host, "builder", "prune", "-f", "--filter", "nope=1").stderr.decode()
    )
    assert len(prune("--all")) == 4
    assert listed() == []
    assert "\nseed\n" in docker("build", "--no-cache", str(tmp_path))
