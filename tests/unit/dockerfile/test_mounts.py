import json
from collections.abc import Mapping
from pathlib import Path
from typing import Any

import pytest

from imagewright.dockerfile import MountFlag, check_mount, parse_mount
from imagewright.errors import InvalidInput

GOLDEN = Path(__file__).parents[2] / "golden" / "dockerfile"
MOUNTS = [json.loads(line) for line in (GOLDEN / "mounts.jsonl").read_text().splitlines()]


def as_it_is(text: str) -> str:
    return text


def check_and_parse(text: str) -> None:
    check_mount(text)
    parse_mount(text, as_it_is)


@pytest.mark.parametrize(
    ("text", "expected"),
    [
        ("target=/a", {"target": "/a"}),
        ("type=bind,from=b,source=/s,target=/a,rw", {"from_": "b", "source": "/s", "target": "/a", "readonly": False}),
        ("dst=/a,src=s", {"target": "/a", "source": "s"}),
        ("destination=/a", {"target": "/a"}),
        ("type=CACHE,target=/c", {"kind": "cache", "target": "/c", "readonly": False}),
        ("type=cache,target=/c,ro", {"kind": "cache", "target": "/c"}),
        ("type=cache,target=/c,readonly=0", {"kind": "cache", "target": "/c", "readonly": False}),
        ("target=/a,readwrite=false", {"target": "/a"}),
        ("target=/a,ro,rw", {"target": "/a", "readonly": False}),
        (
            "type=cache,id=x,sharing=Locked,mode=0700,uid=1,gid=2",
            {"kind": "cache", "id": "x", "sharing": "locked", "mode": 0o700, "uid": 1, "gid": 2, "readonly": False},
        ),
        ("type=tmpfs,target=/t,size=1.5k", {"kind": "tmpfs", "target": "/t", "size": 1536, "readonly": False}),
        ("type=tmpfs,target=/t,size=2GiB", {"kind": "tmpfs", "target": "/t", "size": 2 << 30, "readonly": False}),
        ("type=secret,id=s,required", {"kind": "secret", "id": "s", "required": True}),
        ("type=secret,id=s,required=false,env=T", {"kind": "secret", "id": "s", "env": "T"}),
        ("type=ssh", {"kind": "ssh"}),
        ('"target=/with,comma",type=tmpfs', {"kind": "tmpfs", "target": "/with,comma", "readonly": False}),
        ("TARGET=/a,TARGET=/b", {"target": "/b"}),
    ],
)
def test_what_a_mount_says(text: str, expected: Mapping[str, Any]) -> None:
    assert parse_mount(text, as_it_is) == MountFlag(**expected)


@pytest.mark.parametrize(("text", "message"), MOUNTS)
def test_what_cannot_be(text: str, message: str) -> None:
    with pytest.raises(InvalidInput) as caught:
        check_and_parse(text)
    assert str(caught.value) == message


def test_values_are_expanded_and_names_are_not() -> None:
    assert parse_mount("target=$T,id=$ID", lambda word: word.replace("$", "/")) == MountFlag(target="/T", id="/ID")
    with pytest.raises(InvalidInput, match="unexpected key"):
        parse_mount("$K=1", str.upper)


def test_from_is_known_before_any_variable() -> None:
    assert check_mount("type=cache,from=stage,target=$T") == "stage"
    assert check_mount("target=$T") == ""
    with pytest.raises(InvalidInput, match="'from' doesn't support variable expansion"):
        check_mount("from=${STAGE}")
    assert check_mount("from=a$") == "a$"
