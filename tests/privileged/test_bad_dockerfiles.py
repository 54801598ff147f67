"""Dockerfiles that no build can be made of, sent to a real daemon: each has a clear error, soon, and nothing is left.

What takes time is bounded by the client's patience, so that a hang fails.
"""

import json
import tarfile
from collections.abc import Iterator, Mapping

import pytest

from support.bases import busybox_base
from support.builder import Content, Member, archive
from support.daemon import Daemon, daemon
from support.engines import leftovers
from support.unixhttp import request

pytestmark = pytest.mark.privileged

_PATIENCE = 20

FROM = b"FROM busybox\n"
_MISSING = "Cannot locate specified Dockerfile: Dockerfile"
_PARSE = "failed to parse Dockerfile: "
_MANY = f"{_PARSE}line 10001: there are more than 10000 instructions"
_LONG = f"{_PARSE}dockerfile line greater than max allowed size of 65535"
_UIDS = "uids and gids must be in range 0-2147483647"


def _lines(pattern: bytes, count: int) -> bytes:
    return b"".join(pattern % number for number in range(count))


def _continued(instruction: bytes, pattern: bytes, count: int) -> bytes:
    """Return an instruction with `count` arguments, one a line."""
    return FROM + instruction + b" \\\n".join([b"", *(pattern % number for number in range(count))]) + b"\n"


# What stands at the Dockerfile's place.
MEMBERS: Mapping[str, tuple[Content | None, str]] = {
    "missing": (None, _MISSING),
    "empty": (b"", "the Dockerfile (Dockerfile) cannot be empty"),
    "pipe": (Member(type=tarfile.FIFOTYPE), _MISSING),
    "directory": (Member.directory(), _MISSING),
    "device": (Member(type=tarfile.CHRTYPE, device=(1, 5)), _MISSING),
    "link out": (Member.symlink("../../../../etc/passwd"), _MISSING),
    "link to itself": (Member.symlink("Dockerfile"), "too many links in /Dockerfile"),
    "10 MiB": (FROM + b"#" * (10 << 20), "the Dockerfile (Dockerfile) is larger than 4 MiB"),
    "long line": (FROM + b"RUN " + b"x" * 3_900_000, _LONG),
    "comments": (b"#\n" * 1_000_000, f"{_PARSE}file with no instructions"),
    "NUL": (b"\0" * 8, f"dockerfile parse error line 1: unknown instruction: {chr(0) * 8}"),
    "UTF-16": ("FROM a".encode("utf-16-le"), "dockerfile parse error line 1: unknown instruction: F\0R\0O\0M\0"),
    "undecodable": (FROM + b"\xff\xfe x", "dockerfile parse error line 2: unknown instruction: \ufffd\ufffd"),
    "no FROM": (b"RUN true\n", "no build stage in current context"),
    **{
        f"100,000 {name.decode()}": (FROM + _lines(name + b" a%d=b\n", 100_000), _MANY)
        for name in (b"ENV", b"ARG", b"LABEL", b"RUN", b"FROM", b"ONBUILD RUN", b"NOTHING")
    },
    "50,000 here-documents": (
        _continued(b"COPY ", b"<<E%d", 50_000).rstrip() + b" /\n" + _lines(b"E%d\n", 50_000),
        "dockerfile parse error line 2: COPY has more than 10000 sources",
    ),
    "open here-document": (FROM + b"RUN <<E\n" + b"x\n" * 1_000_000, f"{_PARSE}unterminated heredoc"),
    "10,000 mounts": (
        _continued(b"RUN ", b"--mount=type=tmpfs,target=/m%d", 10_000).rstrip() + b" true\n",
        "dockerfile parse error line 2: RUN has more than 1000 mounts",
    ),
    "ONBUILD ONBUILD": (
        FROM + b"ONBUILD ONBUILD RUN a\n",
        "dockerfile parse error line 2: Chaining ONBUILD via `ONBUILD ONBUILD` isn't allowed",
    ),
    "ONBUILD FROM": (
        FROM + b"ONBUILD FROM a\n",
        "dockerfile parse error line 2: FROM isn't allowed as an ONBUILD trigger",
    ),
    "no retries": (
        FROM + b"HEALTHCHECK --retries=-1 CMD a\n",
        "dockerfile parse error line 2: --retries must be at least 1 (not -1)",
    ),
    "SHELL": (FROM + b"SHELL bash\n", "dockerfile parse error line 2: SHELL requires the arguments to be in JSON form"),
}

_VALUE = b"ENV a=" + b" \\\n".join([b"", *[b"a" * 60_000] * 16]).replace(b" ", b"") + b"\n"

# What is told in the stream.
LATER: Mapping[str, tuple[bytes, str]] = {
    "doubling": (
        b"ENV a0=0123456789\n" + b"".join(b"ENV a%d=%s\n" % (n + 1, b"$a%d" % n * 10) for n in range(40)),
        f'failed to process "{"$a5" * 10}": the result is too large',
    ),
    "large variables": (
        _VALUE + b"ENV b=$a\nENV c=$a\n" * 2000,
        "the Dockerfile is too large once its variables are expanded",
    ),
    "much expanding": (
        _VALUE + b"LABEL" + b" b=${a%%*b}" * 1000 + b"\n",
        'failed to process "${a%%*b}": the Dockerfile uses too many variables, or too large ones',
    ),
    "deep": (
        b"ENV a=" + b"${a:-" * 8000 + b"}" * 8000 + b"\n",
        f'failed to process "{("${a:-" * 205)[:1024]}...": substitutions are nested too deeply',
    ),
    "a pattern": (
        b"ENV a=" + b"a" * 60_000 + b"\nENV b=${a//" + b"?a" * 400 + b"b/x}\n",
        f'failed to process "${{a//{"?a" * 400}b/x}}": the pattern of a substitution is too long for its value',
    ),
    "ports": (b"EXPOSE" + b" 1-65535" * 1000 + b"\n", "EXPOSE names more than 196608 ports"),
    "a port": (b"EXPOSE 70000\n", "Invalid containerPort: 70000"),
    "STOPSIGNAL": (b"STOPSIGNAL nonsense\n", "Invalid signal: nonsense"),
    "USER 4294967296": (b"USER 4294967296\nRUN true\n", _UIDS),
    "USER -1": (b"USER -1\nRUN true\n", _UIDS),
    "long WORKDIR": (
        b"WORKDIR /" + b"x/" * 30_000 + b"\n",
        f"/{'x/' * 31}x...: file name too long: more than 4096 characters",
    ),
    "long argument": (
        b"RUN : " + b"\\\n".join([b"x" * 60_000] * 3) + b"\n",
        "argument list too long: an argument or variable of 180002 bytes, at most 131071 can be",
    ),
    "NUL in a command": (
        b"RUN a\0b\n",
        "a command, its environment and its working directory cannot hold NUL characters",
    ),
    "itself": (b"COPY --from=0 / /\n", "invalid from flag value 0: refers to current build stage"),
    "later": (
        b"COPY --from=1 / /\nFROM busybox\nCOPY --from=0 / /\n",
        "invalid from flag value 1: index out of bounds",
    ),
    "triggers": (
        b"FROM busybox AS a\n"
        + b"ONBUILD LABEL a=b\n" * 200
        + _lines(b"FROM a AS b%d\n", 101)
        + FROM
        + _lines(b"COPY --from=b%d / /\n", 101),
        "there are more than 20000 instructions once triggers are counted",
    ),
}


@pytest.fixture(scope="module")
def running(tmp_path_factory: pytest.TempPathFactory) -> Iterator[Daemon]:
    with daemon(str(tmp_path_factory.mktemp("daemon"))) as running:
        assert request(running.socket, "POST", "/images/create?fromSrc=-&repo=busybox", busybox_base())[0] == 200
        yield running


@pytest.mark.parametrize("name", MEMBERS)
def test_what_is_refused_before_the_stream(running: Daemon, name: str) -> None:
    content, message = MEMBERS[name]
    body = archive({} if content is None else {"Dockerfile": content})
    for query in ("", "?check=1"):
        status, answer = request(running.socket, "POST", f"/build{query}", body, timeout=_PATIENCE)
        assert (status, json.loads(answer)) == (400, {"message": message})


@pytest.mark.parametrize("name", LATER)
def test_what_is_told_in_the_stream(running: Daemon, name: str) -> None:
    dockerfile, message = LATER[name]
    body = archive({"Dockerfile": FROM + dockerfile})
    _, answer = request(running.socket, "POST", "/build?forcerm=1", body, timeout=_PATIENCE)
    last = json.loads(answer.splitlines()[-1])
    assert last.get("error", last.get("message")) == message
    assert leftovers(running.data_root) == []
    # The checks leave such errors to the build, and end.
    assert request(running.socket, "POST", "/build?check=1", body, timeout=_PATIENCE)[0] == 200


def test_patterns_that_match_badly(running: Daemon) -> None:
    stars = "*a" * 100
    files: dict[str, Content] = {f"dir{number}/{'a' * 200}": b"" for number in range(200)}
    for line in (f"COPY dir*/{stars}b /", f"COPY --parents {'**/' * 50}{stars}b /", f"COPY {'[a-z]' * 10_000} /"):
        body = archive({**files, ".dockerignore": f"{stars}b\n" * 15_000, "Dockerfile": f"FROM busybox\n{line}\n"})
        _, answer = request(running.socket, "POST", "/build?forcerm=1", body, timeout=_PATIENCE)
        assert "error" in json.loads(answer.splitlines()[-1])
