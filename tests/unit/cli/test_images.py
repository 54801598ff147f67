import json
import time

import pytest
from click.testing import CliRunner

from imagewright.cli.images import parse_query
from imagewright.cli.main import program
from imagewright.engine import ImageQuery
from imagewright.errors import InvalidInput
from support.scripted import Answer, scripted_engine
from support.terminal import terminal

HEX = "0123456789abcdef" * 4
DIGEST = "sha256:" + "f" * 64


def run(entries: list[dict[str, object]], *arguments: str) -> tuple[list[str], dict[str, list[str]]]:
    with scripted_engine({"GET /images/json": Answer(json.dumps(entries).encode())}) as engine:
        result = CliRunner().invoke(program, ["images", "-H", engine.host, *arguments])
    assert result.exit_code == 0, result.output
    return result.stdout.splitlines(), engine.requests[0].query


def entry(tags: list[str], digests: list[str] | None = None) -> dict[str, object]:
    created = int(time.time()) - 7200
    return {"Id": f"sha256:{HEX}", "Created": created, "Size": 1_984_172, "RepoTags": tags, "RepoDigests": digests}


def test_table() -> None:
    lines, query = run([entry(["a:1", "localhost:5000/bb:2"]), entry([])])
    assert query == {}
    assert [line.split() for line in lines] == [
        ["REPOSITORY", "TAG", "IMAGE", "ID", "CREATED", "SIZE"],
        ["a", "1", HEX[:12], "2", "hours", "ago", "1.98MB"],
        ["localhost:5000/bb", "2", HEX[:12], "2", "hours", "ago", "1.98MB"],
        ["<none>", "<none>", HEX[:12], "2", "hours", "ago", "1.98MB"],
    ]
    assert len({line.index(word) for line, word in zip(lines, ["TAG", "1 ", "2 ", "<none>  "], strict=True)} - {0}) >= 1


def test_empty_table() -> None:
    assert run([])[0] == ["REPOSITORY   TAG   IMAGE ID   CREATED   SIZE"]


def test_digests() -> None:
    lines, _ = run([entry(["a:1", "b:1"], [f"a@{DIGEST}", f"c@{DIGEST}"])], "--digests", "--no-trunc")
    assert [line.split()[:4] for line in lines[1:]] == [
        ["a", "1", DIGEST, f"sha256:{HEX}"],
        ["b", "1", "<none>", f"sha256:{HEX}"],
        ["c", "<none>", DIGEST, f"sha256:{HEX}"],
    ]


def test_quiet() -> None:
    assert run([entry(["a:1", "b:1"])], "-q")[0] == [HEX[:12]]
    assert run([entry(["a:1"])], "-q", "--no-trunc")[0] == [f"sha256:{HEX}"]


def test_query_is_sent() -> None:
    _, query = run([], "-a", "--filter", "dangling=true", "--filter", "label=a=b", "busybox")
    assert query["all"] == ["1"]
    assert json.loads(query["filters"][0]) == {"dangling": ["true"], "label": ["a=b"], "reference": ["busybox"]}


def test_parse_query() -> None:
    assert parse_query(
        ["label=a", "label=b=c", "before=x", "since=y", "reference=z*", "dangling=0"], show_all=True
    ) == (ImageQuery(all=True, dangling=False, labels=("a", "b=c"), before=("x",), since=("y",), references=("z*",)))
    assert parse_query([], show_all=False) == ImageQuery()


@pytest.mark.parametrize("text", ["label", "nope=1", "dangling=maybe", "=x"])
def test_refuses_filter(text: str) -> None:
    with pytest.raises(InvalidInput):
        parse_query([text], show_all=False)


def test_table_on_a_terminal(monkeypatch: pytest.MonkeyPatch) -> None:
    answer = Answer(json.dumps([entry(["a:[1]"])]).encode())
    with scripted_engine({"GET /images/json": answer}) as engine, terminal(monkeypatch) as screen:
        program.main(["images", "-H", engine.host], standalone_mode=False)
    head, rule, *rows = [line.split() for line in screen.lines]
    assert head == ["REPOSITORY", "TAG", "IMAGE", "ID", "CREATED", "SIZE"]
    assert set("".join(rule)) == {"─"}
    assert rows == [
        ["a", "[1]", HEX[:12], "2", "hours", "ago", "1.98MB"],
    ]
