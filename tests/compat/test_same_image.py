"""The same context, built by a real engine and by imagewright: the same files, the same configuration."""

import io
import re
from collections.abc import Iterator, Mapping
from dataclasses import dataclass, replace
from pathlib import Path
from typing import Any

import pytest

from imagewright.engine import BuildRequest, Engine
from support.bases import busybox_base
from support.builder import Content, Member, archive, context
from support.dockerd import Dockerd, dockerd
from support.engines import Entry, build, flatten, reference, saved

pytestmark = pytest.mark.compat


@dataclass(frozen=True)
class Pair:
    """The referee and ours, with the same base in both."""

    docker: Dockerd
    engine: Engine


@pytest.fixture(scope="module")
def pair(tmp_path_factory: pytest.TempPathFactory) -> Iterator[Pair]:
    directory = tmp_path_factory.mktemp("pair")
    base = busybox_base()
    with dockerd(str(directory)) as docker, Engine(str(directory / "imagewright")) as engine:
        docker.docker("import", "-", "base:latest", data=base)
        engine.import_(io.BytesIO(base), reference=reference("base"))
        yield Pair(docker, engine)


_THREE_STAGES = """\
FROM base AS build
ARG VERSION=1.2
ENV PREFIX=/opt/app
WORKDIR /src
COPY src ./
RUN mkdir -p $PREFIX/bin && cp main $PREFIX/bin/main && ln $PREFIX/bin/main $PREFIX/bin/alias \
 && echo $VERSION > $PREFIX/version && chmod 4755 $PREFIX/bin/main

FROM base AS files
RUN mkdir -p /data/keep /data/drop /real && echo 1 > /data/keep/a && echo 2 > /data/drop/b && ln -s /real /link
COPY extra/ /link/
RUN rm -rf /data/drop && rm /link/gone && mkdir /data/drop && echo 3 > /data/drop/new
USER user
RUN echo mine > /home/user/mine && id -un > /tmp/who

FROM base
LABEL org.example.a="b c" d=e
COPY --from=build /opt/app /app
COPY --from=files /home/user /theirs
COPY --from=1 /data /data
COPY --from=files --chown=user:staff /home/user/mine /tmp/who /owned/
ADD bundle.tar /bundle/
ENV PATH=/app/bin:$PATH MODE="a b"
EXPOSE 80 90-91/udp
VOLUME ["/var/state"]
WORKDIR /app
USER 1000:50
HEALTHCHECK --interval=5s CMD true
STOPSIGNAL SIGINT
ENTRYPOINT ["/app/bin/main"]
CMD ["--help"]
"""

_FILES: Mapping[str, Content] = {
    "src/main": Member(b"#!/bin/sh\necho main\n", mode=0o755),
    "src/sub/data": "data",
    "src/sub/again": Member.hard_link("src/sub/data"),
    "src/sub/points": Member.symlink("../main"),
    "extra/stays": "s",
    "extra/gone": "g",
    "bundle.tar": archive({"d": Member.directory(0o750, 7, 8), "d/f": Member(b"f", uid=7, gid=8)}),
}

_CASES = {
    "three stages": _THREE_STAGES,
    "files become directories and the reverse": (
        "FROM base\nRUN mkdir /x && touch /x/f /y\nRUN rm -r /x && touch /x && rm /y && mkdir /y && touch /y/g\n"
    ),
    "hard links across layers": (
        "FROM base\nRUN echo 1 > /a && ln /a /b && ln /a /c\nRUN echo 2 >> /b\nRUN rm /a\nRUN ln /bin/busybox /bb\n"
    ),
    "links, pipes, sockets and modes": (
        "FROM base\nRUN mkfifo /p && ln -s nowhere /dangling && mkdir -m 1777 /sticky && touch /s && chmod 6711 /s"
        " && chown 5:6 /s && mknod /null c 1 3\n"
    ),
    "a directory renamed": "FROM base\nRUN mkdir -p /d/e && touch /d/e/f\nRUN mv /d /m\nRUN chmod 700 /m/e\n",
    "symlinked parents": (
        "FROM base\nRUN mkdir /t && ln -s t /l1 && ln -s /l1 /l2\nCOPY extra /l2/deep/er/\nWORKDIR /l2/w\n"
    ),
    "shell and onbuild": (
        'FROM base\nSHELL ["/bin/sh", "-e", "-c"]\nRUN echo $0 > /zero\nCMD echo hi\n'
        "ONBUILD RUN echo x\nMAINTAINER me <m@e>\n"
    ),
    "arguments": (
        "ARG TAG=latest\nFROM base:${TAG}\nARG TAG\nARG A=${B:-default}\nENV C=${A}x D=$A\n"
        "RUN echo $TAG $A $C > /args\n"
    ),
}


@pytest.mark.parametrize("name", _CASES)
def test_same_files_and_configuration(pair: Pair, name: str) -> None:
    tag = f"case-{list(_CASES).index(name)}"
    data = context(_CASES[name], _FILES)
    pair.docker.docker("build", "--tag", tag, "-", data=data)
    build(pair.engine, _CASES[name], _FILES, request=BuildRequest(tags=(reference(tag),)))
    theirs, their_config = flatten(pair.docker.docker("save", tag))
    ours, our_config = flatten(saved(pair.engine, tag))
    assert _comparable(ours) == _comparable(theirs)
    assert _runtime(our_config) == _runtime(their_config)
    assert [_story(entry) for entry in our_config["history"]] == [_story(entry) for entry in their_config["history"]]


def test_imagewright_archives_load_into_the_engine(pair: Pair, tmp_path: Path) -> None:
    build(pair.engine, "FROM base\nRUN echo x > /x\n", request=BuildRequest(tags=(reference("ours:1"),)))
    loaded = pair.docker.docker("load", data=saved(pair.engine, "ours:1"))
    assert b"Loaded image: ours:1" in loaded
    image = pair.docker.docker("image", "inspect", "--format", "{{.Id}}", "ours:1").decode().strip()
    assert image == str(pair.engine.inspect("ours:1").id)
    (tmp_path / "theirs.tar").write_bytes(pair.docker.docker("save", "ours:1"))
    with (tmp_path / "theirs.tar").open("rb") as file:
        pair.engine.load(file)
    assert str(pair.engine.inspect("ours:1").id) == image


def _comparable(files: Mapping[str, Entry]) -> dict[str, Entry]:
    """Leave out what dockerd's own tar writer makes of modes: a symlink's, and the bytes kept for messages."""
    return {path: replace(entry, mode=0 if entry.type == "2" else entry.mode) for path, entry in files.items()}


def _runtime(config: Mapping[str, Any]) -> dict[str, Any]:
    """Return the part of the configuration that says how a container runs, without what is null or empty."""
    ignored = {"Hostname", "Domainname", "AttachStdin", "AttachStdout", "AttachStderr", "Tty", "OpenStdin", "StdinOnce"}
    run = {key: value for key, value in config["config"].items() if value and key not in ignored | {"Image"}}
    return {**run, "os": config["os"], "architecture": config["architecture"], "author": config.get("author", "")}


def _story(entry: Mapping[str, Any]) -> tuple[str, bool]:
    """Return a history entry's text, the digests of copied files left out, which each engine takes in its own way."""
    return re.sub(r"(file|dir|multi):[0-9a-f]{64}", "SOURCE", entry.get("created_by", "")), entry.get(
        "empty_layer", False
    )
