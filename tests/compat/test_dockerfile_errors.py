"""What the recorded answers say is what a classic engine answers, and what it stores is what we read."""

import json
from collections.abc import Iterator
from pathlib import Path
from typing import Any

import pytest

from imagewright.dockerfile import (
    Command,
    Env,
    Expose,
    Healthcheck,
    Label,
    OnBuild,
    Volume,
    expand,
    expand_words,
    parse,
)
from imagewright.errors import InvalidInput
from support.builder import archive
from support.dockerd import Dockerd, dockerd
from support.unixhttp import request

pytestmark = pytest.mark.compat

GOLDEN = Path(__file__).parents[1] / "golden" / "dockerfile"
ERRORS = [json.loads(line) for line in (GOLDEN / "errors.jsonl").read_text().splitlines()]
STEPS = [json.loads(line) for line in (GOLDEN / "steps.jsonl").read_text().splitlines()]
EXPANSIONS = [json.loads(line) for line in (GOLDEN / "expansions.jsonl").read_text().splitlines()]

VARIABLES = 'ENV E="" V=val W=a/b/c U=\xe4\xf6 S="s p"\n'
METADATA = r"""
FROM scratch
ENV a1  b  c
ENV a2 "b c" d
ENV a3="b c" a4=b\ c a\ 5=c "a 6"=c 'a7'=c
ENV a8=b=c a9==c a10="" a11=
ENV a12='b c' a13="b\"c" a14="b"c a15=x$a1 a16=b"c d"e
ENV a17=1 a18=$a17
ENV a19 =b
ENV a20 = b
ENV a21 b # c
ENV a22 b\ c
ENV a23 it\'s
ENV "a"24 c=d
ENV a25='x\ y' a26="$" a27=\$a1 a28=${none:-"x y"}
ENV a29 b\
LABEL a=b c=d "e f"="g h" $a17=1 i.j=k\
l
LABEL a b c
LABEL m="n" "o"="p" q="${none:-x y}" q=2
ENV P="80 81" Q="/q /r"
EXPOSE $P 82/udp "83"
VOLUME $Q /s
VOLUME [" /t ", "/u v", "$a17"]
ONBUILD RUN a
ONBUILD   RUN   a \
  b
onbuild -- RUN a
ONBUILD ENV $X y
HEALTHCHECK --interval=1h1m1.5s --timeout=1m --start-period=2s --retries=+3 CMD ["a", "b c"]
"""


@pytest.fixture(scope="module")
def engine(tmp_path_factory: pytest.TempPathFactory) -> Iterator[Dockerd]:
    with dockerd(str(tmp_path_factory.mktemp("engine"))) as running:
        yield running


def ask(engine: Dockerd, dockerfile: str) -> tuple[int, list[dict[str, Any]]]:
    """Build `dockerfile`; return the status and the messages."""
    body = archive([("Dockerfile", dockerfile.encode("utf-8", "surrogateescape")), ("f", "")])
    status, answer = request(engine.socket, "POST", "/build", body)
    return status, [json.loads(line) for line in answer.split(b"\n") if line.strip()]


def config(engine: Dockerd, dockerfile: str) -> Any:
    """Build `dockerfile`, and return the configuration of the image."""
    status, messages = ask(engine, dockerfile)
    assert status == 200
    assert [message for message in messages if "error" in message] == []
    image = next(message["aux"]["ID"] for message in reversed(messages) if "aux" in message)
    return json.loads(request(engine.socket, "GET", f"/images/{image}/json")[1])["Config"]


@pytest.mark.parametrize(("_line", "dockerfile", "message"), ERRORS)
def test_errors(engine: Dockerd, _line: int, dockerfile: str, message: str) -> None:
    assert ask(engine, dockerfile) == (400, [{"message": message}])


def test_the_longest_line(engine: Dockerd) -> None:
    longest = f"FROM scratch\nLABEL a=b\n{'# '.ljust(65535, 'x')}\n"
    assert ask(engine, longest)[0] == 200
    assert len(parse(longest.encode()).stages) == 1

    status, messages = ask(engine, f"{longest[:-1]}x\n")
    with pytest.raises(InvalidInput) as caught:
        parse(f"{longest[:-1]}x\n".encode())
    assert (status, messages) == (400, [{"message": str(caught.value)}])


@pytest.mark.parametrize(("dockerfile", "steps", "warning"), STEPS)
def test_steps(engine: Dockerd, dockerfile: str, steps: list[str], warning: str) -> None:
    status, messages = ask(engine, dockerfile)

    assert status == 200
    streams = [message["stream"] for message in messages if "stream" in message]
    assert [stream.partition(" : ")[2] for stream in streams if stream.startswith("Step ")] == steps
    assert "".join(stream for stream in streams if "[WARNING]" in stream) == warning


@pytest.mark.parametrize("escape", ["\\", "`"])
def test_expansions(engine: Dockerd, escape: str) -> None:
    results = [(word, result) for word, each, result, _ in EXPANSIONS if each == escape and result is not None]
    head = f"# escape={escape}\nFROM scratch\n{VARIABLES}"

    # the last line is the one place where an escape character at the end continues nothing
    results.sort(key=lambda each: each[0].endswith(escape))
    labels = config(engine, head + "".join(f"LABEL r{number}={word}\n" for number, (word, _) in enumerate(results)))

    assert {word: labels["Labels"][f"r{number}"] for number, (word, _) in enumerate(results)} == dict(results)


@pytest.mark.parametrize(("word", "message"), [(word, message) for word, _, _, message in EXPANSIONS if message])
def test_words_that_do_not_expand(engine: Dockerd, word: str, message: str) -> None:
    escape = next(each for other, each, _, _ in EXPANSIONS if other == word)
    _, messages = ask(engine, f"# escape={escape}\nFROM scratch\n{VARIABLES}LABEL r={word}\n")

    assert messages[-1]["error"] == message


def test_metadata_is_read_as_the_engine_reads_it(engine: Dockerd) -> None:
    found = config(engine, METADATA)
    env = dict(entry.split("=", 1) for entry in found["Env"] if entry.startswith("PATH="))
    labels: dict[str, str] = {}
    ports: set[str] = set()
    volumes: set[str] = set()
    triggers: list[str] = []
    for instruction in parse(METADATA.encode()).stages[0].instructions:
        match instruction:
            case Env(pairs=pairs):
                env |= [(expand(name, env), expand(value, env)) for name, value in pairs]
            case Label(pairs=pairs):
                labels |= [(expand(name, env), expand(value, env)) for name, value in pairs]
            case Expose():
                ports |= {port for word in instruction.ports for port in expand_words(word, env)}
            case Volume():
                volumes |= {expand(path, env) for path in instruction.paths}
            case OnBuild():
                triggers.append(instruction.trigger.strip())
            case Healthcheck():
                assert found["Healthcheck"] == {
                    "Test": ["CMD", *(instruction.command or Command(())).argv],
                    "Interval": instruction.interval,
                    "Timeout": instruction.timeout,
                    "StartPeriod": instruction.start_period,
                    "Retries": instruction.retries,
                }

    assert found["Env"] == [f"{name}={value}" for name, value in env.items()]
    assert found["Labels"] == labels
    assert set(found["ExposedPorts"]) == {port if "/" in port else f"{port}/tcp" for port in ports}
    assert set(found["Volumes"]) == volumes
    assert [trigger.strip() for trigger in found["OnBuild"]] == triggers
