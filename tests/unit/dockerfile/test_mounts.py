from collections.abc import Mapping
from typing import Any

import pytest

from imagewright.dockerfile import MountFlag, check_mount, parse_mount
from imagewright.errors import InvalidInput


def as_it_is(text: str) -> str:
    return text


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


@pytest.mark.parametrize(
    ("text", "message"),
    [
        ("type=bnd,target=/a", 'unsupported mount type "bnd"'),
        ("target", "invalid field 'target' must be a key=value pair"),
        ("foo=1", "unexpected key 'foo' in 'foo=1'"),
        ("ro=maybe", "invalid value for ro: maybe"),
        ("target=/a,required", "unexpected key 'required' for mount type 'bind'"),
        ("type=ssh,required=2", "invalid value for required: 2"),
        ("target=/a,size=1", "unexpected key 'size' for mount type 'bind'"),
        ("type=tmpfs,size=big", "invalid value for size: big"),
        ("type=tmpfs,size=99999999999999P", "invalid value for size: 99999999999999P"),
        ("type=cache,env=A", "unexpected key 'env' for mount type 'cache'"),
        ("type=cache,sharing=no", 'unsupported sharing value "no"'),
        ("target=/a,sharing=locked", "invalid cache sharing set for bind mount"),
        ("type=cache,mode=9", "invalid value 9 for mode"),
        ("type=cache,mode=10000", "invalid value 10000 for mode"),
        ("type=cache,uid=-1", "invalid value -1 for uid"),
        ("type=cache,gid=4294967296", "invalid value 4294967296 for gid"),
        ("target=/a,mode=0700", 'mode not allowed for "bind" type mounts'),
        ("type=tmpfs,uid=0", 'uid not allowed for "tmpfs" type mounts'),
        ("type=secret", "invalid secret mount. one of source, target required"),
        ("type=secret,id=a,from=b", "secret mount should not have a from"),
        ("type=secret,id=a,sharing=locked", "secret mount should not define sharing"),
        ("type=secret,id=a,source=b", "both source and id can't be set"),
        ('"target=a', "failed to parse csv mounts: "),
    ],
)
def test_what_cannot_be(text: str, message: str) -> None:
    with pytest.raises(InvalidInput) as caught:
        parse_mount(text, as_it_is)
    assert str(caught.value).startswith(message)


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
