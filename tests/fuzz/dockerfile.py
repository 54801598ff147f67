"""Dockerfiles that are nearly right: `python -m fuzz.dockerfile N [SEED]` reads N of them.

Each is made of good and bad lines, then damaged. It must be a `Dockerfile`, which can be compiled and checked, or a
`DockerfileError`; nothing else, and soon.
"""

import contextlib
import random
import sys
import time
from collections.abc import Sequence

from imagewright.checks import Options, check, read_options
from imagewright.dockerfile import Dockerfile, parse, parse_changes
from imagewright.errors import DockerfileError
from imagewright.filesystem import IgnorePatterns
from imagewright.oci import Digest, ImageConfig, Platform, RunConfig
from imagewright.plan import Base, Place
from imagewright.plan import compile as compile_plan

__all__ = ["main", "make", "run"]

_SECONDS = 2.0
_PLATFORM = Platform("linux", "amd64")

_KEYWORDS = (
    *("FROM", "RUN", "CMD", "ENTRYPOINT", "LABEL", "ENV", "ARG", "MAINTAINER", "EXPOSE", "COPY", "ADD", "VOLUME"),
    *("USER", "WORKDIR", "ONBUILD", "STOPSIGNAL", "HEALTHCHECK", "SHELL", "from", "Run", "NOPE", "ONBUILD COPY", "#"),
)
_FLAGS = (
    *("--from=0", "--from=a", "--platform=$TARGETPLATFORM", "--platform=linux/arm64", "--mount=type=bind,from=b", "--"),
    *("--chmod=u=rwX,go-w", "--chmod=0755", "--chmod=9", "--chown=$A", "--exclude=**/x", "--exclude=!", "--parents"),
    *("--link", "--link=false", "--interval=1h", "--retries=3", "--network=none", "--checksum=x", "--unpack", "--nope"),
)
_WORDS = (
    *(
        "a",
        "b",
        "scratch",
        "as",
        "AS",
        "NONE",
        "CMD",
        "/",
        ".",
        "..",
        "x/./y",
        "*",
        "80/TCP",
        "1-2:3-4/udp",
        "KEY",
        "=",
        "A=1",
    ),
    *(
        'A="x y"',
        "A='$B'",
        "$A",
        "${A}",
        "${A:-b}",
        "${A:+$B}",
        "${A#*/}",
        "${A//x/y}",
        "${A:?no}",
        "${",
        "$",
        "$$",
        "\\$A",
    ),
    *(
        '["a", "b"]',
        '["a"',
        "[1]",
        "[]",
        "{}",
        "\\",
        "`",
        '"',
        "'",
        "#",
        "http://x/y",
        "git@x:y",
        "x" * 2000,
        "$A" * 500,
    ),
    *(
        "<<E",
        "<<-E",
        "<<'E'",
        '<<"E" /x',
        "<<",
        "((1<<2))",
        "\t",
        "\0",
        "\ufeff",
        "\udcff",
        "é",
        "\x1c",
        "\u2003",
        "10485760",
    ),
)
_LINES = (
    *(
        "# syntax=x",
        "# escape=`",
        "# escape=\\",
        "# check=skip=all;error=true",
        "# check=experimental=all",
        "# check=x",
        "",
    ),
    *(
        "# a comment",
        "E",
        "\tE",
        "FROM scratch",
        "FROM scratch AS a",
        "FROM a AS B",
        "from a",
        "ARG A=1",
        "ENV A=$A$A",
        "  ",
    ),
    *(
        'CMD ["x"]',
        "ONBUILD RUN <<E",
        "RUN a \\",
        "RUN a `",
        "COPY <<E <<E /",
        "FROM ${A:-scratch}",
        "FROM --platform=$A a",
    ),
)
_GOOD = (
    *(
        "RUN a && b",
        "COPY a b /c/",
        "COPY --from=0 $A /d",
        "ADD --exclude=*.md . /e/",
        "ENV B ${A:-x}",
        "LABEL a=$B c='$D'",
    ),
    *(
        "USER $A:1",
        "VOLUME /a /b",
        'VOLUME ["/$A"]',
        "EXPOSE 80 81/Tcp $A",
        "STOPSIGNAL ${S:-9}",
        "HEALTHCHECK NONE",
        "CMD a",
    ),
    *(
        "WORKDIR a$A",
        "ARG B=$A C",
        'SHELL ["a"]',
        "ONBUILD ADD a b",
        "MAINTAINER a",
        'ENTRYPOINT ["a"]',
        "FROM scratch AS c",
    ),
    *("COPY --parents --chmod=u+x a/./b* /f/", "RUN --mount=type=bind,from=a,target=/x b", "COPY <<'E' /g\n$A\nE"),
)
_ENDS = ("\n", "\n", "\n", "\n", "\r\n", "\\\n", " \\\n\n", "`\n", "")


def make(random_: random.Random) -> bytes:
    """Return the bytes of a file that is more or less a Dockerfile."""
    lines = ["FROM scratch\n"] if random_.random() < 0.7 else []
    for _ in range(random_.randrange(12)):
        kind = random_.random()
        line = random_.choice(_GOOD if kind < 0.7 else _LINES) if kind < 0.85 else _instruction(random_)
        lines.insert(random_.randrange(len(lines) + 1) if random_.random() < 0.1 else len(lines), line)
        lines[-1] += random_.choice(_ENDS)
    data = "".join(lines).encode("utf-8", "surrogateescape")
    if random_.random() < 0.1:
        data = b"\xef\xbb\xbf" + data
    for _ in range(random_.choice([0, 0, 0, 1, 3])):
        data = _damage(random_, data)
    return data


def _instruction(random_: random.Random) -> str:
    words = [random_.choice(_KEYWORDS)]
    words += (random_.choice(_FLAGS) for _ in range(random_.choice([0, 0, 0, 1, 2])))
    words += (random_.choice(_WORDS) for _ in range(random_.randrange(5)))
    return random_.choice([" ", " ", " ", "\t", "  "]).join(words)


def _damage(random_: random.Random, data: bytes) -> bytes:
    if not data:
        return data
    at = random_.randrange(len(data))
    match random_.randrange(4):
        case 0:
            return data[:at]
        case 1:
            return data[:at] + bytes([data[at] ^ (1 << random_.randrange(8))]) + data[at + 1 :]
        case 2:
            return data[:at] + data[at : at + 20] * random_.randrange(2, 200) + data[at + 20 :]
        case _:
            return data[:at] + random_.randbytes(random_.randrange(1, 10)) + data[at:]


def _base(_name: str, _platform: Platform | None, _place: Place) -> Base:
    config = RunConfig(env=("A=base", "PATH=/bin"), on_build=("COPY $A /", "ENV B=$A"), working_dir="/w")
    return Base(Digest.of(b"base"), ImageConfig(architecture="amd64", os="linux", config=config))


def run(data: bytes) -> bool:
    """Read `data`; return whether it was a Dockerfile; raise for anything that must not be."""
    count = len(data.split(b"\n"))
    try:
        dockerfile = parse(data)
    except DockerfileError as error:
        if not 0 <= error.line <= count:
            raise AssertionError(error.line) from error
        str(error).encode()
        return False
    _compile(dockerfile)
    _check(dockerfile, data, count)
    with contextlib.suppress(DockerfileError):
        parse_changes([instruction.text for stage in dockerfile.stages for instruction in stage.instructions])
    return True


def _compile(dockerfile: Dockerfile) -> None:
    try:
        plan = compile_plan(dockerfile, build_args={"A": "given"}, labels={}, platform=_PLATFORM, resolve=_base)
    except DockerfileError:
        return
    for node in plan.nodes:
        assert node.op.canonical() == node.op.canonical()


def _check(dockerfile: Dockerfile, data: bytes, count: int) -> None:
    with contextlib.suppress(DockerfileError):
        read_options(dockerfile)
    findings = check(
        dockerfile,
        data,
        platform=_PLATFORM,
        build_args={"A": "given"},
        ignore=IgnorePatterns.parse(["x", "*.md"]),
        find_base=lambda name: _base(name, _PLATFORM, Place(0)).config.run,
        options=Options(experimental_all=True),
    )
    for finding in findings:
        assert 1 <= finding.span.start <= finding.span.end <= count, finding
        finding.message.encode("utf-8", "surrogateescape")


def main(arguments: Sequence[str]) -> int:
    """Read as many files as the first argument says, from the seed that the second does."""
    count = int(arguments[0]) if arguments else 10_000
    seed = int(arguments[1]) if len(arguments) > 1 else random.SystemRandom().randrange(1 << 32)
    accepted = 0
    for number in range(count):
        data = make(random.Random(seed + number))  # noqa: S311 - a seed is to be told
        began = time.monotonic()
        try:
            accepted += run(data)
            assert time.monotonic() - began < _SECONDS, "too slow"
        except BaseException:
            sys.stderr.write(f"fuzz.dockerfile: python -m fuzz.dockerfile 1 {seed + number}\n")
            raise
    sys.stdout.write(f"fuzz.dockerfile: {count} files from seed {seed}, {accepted} of them good\n")
    return 0


if __name__ == "__main__":
    sys.exit(main(sys.argv[1:]))
