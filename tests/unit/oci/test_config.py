import json
from typing import Any

import pytest

from imagewright.errors import InvalidInput
from imagewright.oci import (
    Digest,
    Healthcheck,
    History,
    ImageConfig,
    RootfsConfig,
    RunConfig,
    encode_config,
    format_time,
    parse_config,
    parse_time,
)

LAYER = Digest.of(b"layer")
FULL = ImageConfig(
    architecture="arm64",
    os="linux",
    variant="v8",
    created="2024-01-02T03:04:05Z",
    author="someone",
    comment="a comment",
    docker_version="20.10.24",
    os_version="10.0",
    os_features=("win32k",),
    config=RunConfig(  # noqa: S604 - no shell is called
        user="1000:1000",
        exposed_ports={"80/tcp": {}},
        env=("PATH=/bin", "A=b"),
        entrypoint=("/bin/sh", "-c"),
        cmd=("true",),
        volumes={"/data": {}},
        working_dir="/work",
        labels={"b": "2", "a": "1"},
        stop_signal="SIGINT",
        args_escaped=True,
        healthcheck=Healthcheck(
            test=("CMD", "true"), interval=1, timeout=2, start_period=3, start_interval=4, retries=5
        ),
        shell=("/bin/ash", "-c"),
        on_build=("RUN true",),
    ),
    rootfs=RootfsConfig(diff_ids=(str(LAYER),)),
    history=(History(created="2024-01-02T03:04:05Z", created_by="ADD", author="x", comment="y", empty_layer=True),),
)


def test_config_is_read_back() -> None:
    assert parse_config(encode_config(FULL)) == FULL


def test_encoding_is_canonical() -> None:
    data = encode_config(FULL)
    document = json.loads(data)
    assert data == json.dumps(document, sort_keys=True, separators=(",", ":")).encode()
    assert encode_config(parse_config(data)) == data


def test_keys_are_those_of_the_engine() -> None:
    document = json.loads(encode_config(FULL))
    assert document["os.version"] == "10.0"
    assert document["os.features"] == ["win32k"]
    assert set(document["config"]) == {
        "User", "ExposedPorts", "Env", "Entrypoint", "Cmd", "Volumes", "WorkingDir", "Labels", "StopSignal",
        "ArgsEscaped", "Healthcheck", "Shell", "OnBuild",
    }  # fmt: skip
    assert set(document["config"]["Healthcheck"]) == {
        "Test", "Interval", "Timeout", "StartPeriod", "StartInterval", "Retries",
    }  # fmt: skip
    assert document["history"] == [
        {"created": "2024-01-02T03:04:05Z", "created_by": "ADD", "author": "x", "comment": "y", "empty_layer": True}
    ]


@pytest.mark.parametrize("history", [(), None])
def test_what_clients_expect_is_always_there(history: tuple[History, ...] | None) -> None:
    config = ImageConfig(architecture="amd64", os="linux", history=history, rootfs=RootfsConfig(diff_ids=None))
    assert json.loads(encode_config(config)) == {
        "architecture": "amd64",
        "os": "linux",
        "config": {},
        "rootfs": {"type": "layers", "diff_ids": []},
        "history": [],
    }


def test_unset_and_empty_commands_differ() -> None:
    unset = ImageConfig(architecture="amd64", os="linux", config=RunConfig())
    empty = ImageConfig(architecture="amd64", os="linux", config=RunConfig(cmd=(), entrypoint=()))
    assert "Cmd" not in json.loads(encode_config(unset))["config"]
    assert json.loads(encode_config(empty))["config"] == {"Cmd": [], "Entrypoint": []}
    assert parse_config(encode_config(empty)).run.cmd == ()


def test_nulls_of_the_engine_are_read() -> None:
    keys = ("Env", "Cmd", "Entrypoint", "Volumes", "Labels", "OnBuild", "ExposedPorts", "Shell", "Healthcheck")
    document: dict[str, Any] = {
        "architecture": "amd64",
        "os": "linux",
        "config": dict.fromkeys(keys),
        "rootfs": {"type": "layers", "diff_ids": None},
        "history": None,
        "created": None,
        "container_config": {"Hostname": "x"},
    }
    config = parse_config(json.dumps(document).encode())
    assert config.run == RunConfig()
    assert config.diff_ids == ()


def test_images_without_a_platform_are_read() -> None:
    assert parse_config(b'{"rootfs":{"type":"layers","diff_ids":[]}}') == ImageConfig(architecture="", os="")


def test_run_has_defaults_where_the_document_is_silent() -> None:
    assert ImageConfig(architecture="amd64", os="linux").run == RunConfig()
    assert FULL.run.user == "1000:1000"


def test_diff_ids() -> None:
    assert FULL.diff_ids == (LAYER,)
    with pytest.raises(InvalidInput, match="invalid digest"):
        _ = ImageConfig(architecture="a", os="l", rootfs=RootfsConfig(diff_ids=("md5:0",))).diff_ids


@pytest.mark.parametrize(
    "data", [b"", b"{", b"[]", b'{"os":1}', b'{"rootfs":{"diff_ids":[1]}}', b"[" * 100_000, b'{"os":"\xff"}']
)
def test_refuses(data: bytes) -> None:
    with pytest.raises(InvalidInput, match=r"^invalid image configuration: "):
        parse_config(data)


@pytest.mark.parametrize(
    ("text", "time_ns"),
    [
        ("1970-01-01T00:00:00Z", 0),
        ("1970-01-01T00:00:01.5Z", 1_500_000_000),
        ("2009-02-13T23:31:30.123456789Z", 1_234_567_890_123_456_789),
        ("1969-12-31T23:59:59.9Z", -100_000_000),
        ("0001-01-01T00:00:00Z", -62_135_596_800_000_000_000),
        ("9999-12-31T23:59:59.999999999Z", 253_402_300_799_999_999_999),
    ],
)
def test_times_are_written_and_read(text: str, time_ns: int) -> None:
    assert parse_time(text) == time_ns
    assert format_time(time_ns) == text


@pytest.mark.parametrize(
    ("text", "time_ns"),
    [
        ("1970-01-01t01:00:00+01:00", 0),
        ("1969-12-31T23:00:00-01:00", 0),
        ("1970-01-01T00:00:00z", 0),
        ("1970-01-01T00:00:00.0000000019Z", 1),
    ],
)
def test_other_spellings_are_read(text: str, time_ns: int) -> None:
    assert parse_time(text) == time_ns


@pytest.mark.parametrize(
    "text",
    [
        "",
        "1970",
        "1970-01-01",
        "1970-01-01 00:00:00Z",
        "1970-01-01T00:00:00",
        "1970-13-01T00:00:00Z",
        "1970-01-01T00:00:60Z",
        "0000-01-01T00:00:00Z",
        "1970-01-01T00:00:00+99:00",
        "1970-01-01T00:00:00.٣Z",
        "x" * 999,
    ],
)
def test_refuses_time(text: str) -> None:
    with pytest.raises(InvalidInput, match=r"^invalid time: "):
        parse_time(text)


@pytest.mark.parametrize("time_ns", [-62_135_596_800_000_000_001, 253_402_300_800_000_000_000, 10**40])
def test_times_out_of_range_are_refused(time_ns: int) -> None:
    with pytest.raises(InvalidInput, match=r"^time out of range: "):
        format_time(time_ns)
