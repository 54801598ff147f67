from urllib.parse import quote

import pytest

from imagewright.api.build_parameters import parse_build
from imagewright.api.query import Query
from imagewright.api.versions import MAXIMUM, ApiVersion
from imagewright.engine import BuildRequest
from imagewright.errors import ImagewrightError, InvalidInput, NotFound, Unsupported
from imagewright.oci import Platform
from imagewright.reference import Reference

MACHINE = Platform("linux", "amd64")

# All that the command lines send when nothing is asked for.
CLI_28 = "dockerfile=Dockerfile&version=1"
CLI_20 = (
    "buildargs=%7B%7D&cachefrom=%5B%5D&cgroupparent=&cpuperiod=0&cpuquota=0&cpusetcpus=&cpusetmems=&cpushares=0"
    "&dockerfile=Dockerfile&labels=%7B%7D&memory=0&memswap=0&networkmode=default&rm=1&shmsize=0&target=&ulimits=null"
    "&version=1"
)
DOCKER_PY = "t=a&q=False&nocache=False&rm=True&forcerm=False&pull=False&dockerfile=Dockerfile"
NOTHING = (
    "remote=&session=&pull=0&cachefrom=null&memory=&memswap=-1&shmsize=67108864&extrahosts=&ulimits=%5B%5D&outputs=null"
    "&buildargs=null&labels=null&t=&isolation=default&platform=&squash=0&version=&networkmode=&unknown=1&memory=abc"
)


def request(text: str, version: ApiVersion = MAXIMUM) -> BuildRequest:
    return parse_build(Query.parse(text), version, MACHINE).request


def refusal(text: str, version: ApiVersion = MAXIMUM) -> ImagewrightError:
    with pytest.raises(ImagewrightError) as raised:
        request(text, version)
    return raised.value


@pytest.mark.parametrize("text", ["", CLI_28, CLI_20, NOTHING])
def test_defaults_of_clients_ask_for_nothing(text: str) -> None:
    wanted = request(text)
    assert wanted == BuildRequest(dockerfile="Dockerfile" if "dockerfile" in text else "")
    assert not parse_build(Query.parse(text), MAXIMUM, MACHINE).quiet


def test_docker_py_sends_words() -> None:
    wanted = request(DOCKER_PY)
    assert wanted.tags == (Reference.parse("a:latest"),)
    assert (wanted.remove, wanted.force_remove, wanted.no_cache) == (True, False, False)


def test_everything_at_once() -> None:
    text = (
        "dockerfile=sub/D&dockerfile=second&t=a:1&t=b/c:2&t=a:1&target=x&nocache=1&rm=0&networkmode=host&q=1"
        "&platform=linux/amd64"
        "&buildargs=" + quote('{"A":"1","B":null}') + "&labels=" + quote('{"l":"v","m":null}')
    )
    options = parse_build(Query.parse(text), MAXIMUM, MACHINE)
    assert options.quiet
    assert options.request == BuildRequest(
        dockerfile="sub/D",
        tags=(Reference.parse("a:1"), Reference.parse("b/c:2")),
        target="x",
        build_args={"A": "1", "B": None},
        labels={"l": "v", "m": ""},
        no_cache=True,
        remove=False,
        platform=MACHINE,
        network_mode="host",
    )


@pytest.mark.parametrize(
    ("text", "remove", "force"),
    [
        ("", True, False),
        ("rm=", True, False),
        ("rm=1", True, False),
        ("rm=True", True, False),
        ("rm=0", False, False),
        ("rm=False", False, False),
        ("rm=0&forcerm=1", True, True),
        ("forcerm=1", True, True),
    ],
)
def test_which_containers_are_removed(text: str, remove: bool, force: bool) -> None:
    wanted = request(text)
    assert (wanted.remove, wanted.force_remove) == (remove, force)


@pytest.mark.parametrize(
    ("mode", "network"),
    [("", "default"), ("default", "default"), ("bridge", "default"), ("none", "none"), ("host", "host")],
)
def test_networks(mode: str, network: str) -> None:
    assert request(f"networkmode={mode}").network_mode == network


@pytest.mark.parametrize(
    ("text", "message"),
    [
        ("buildargs={", "error reading build args: unexpected end of JSON input"),
        (
            "buildargs=[]",
            "error reading build args: json: cannot unmarshal array into Go value of type map[string]*string",
        ),
        (
            'buildargs={"A":1}',
            "error reading build args: json: cannot unmarshal number into Go value of type string",
        ),
        ("labels={", "error reading labels: unexpected end of JSON input"),
        ("ulimits=x", "error reading ulimit settings: invalid character 'x' looking for beginning of value"),
        ("cachefrom=x", "invalid character 'x' looking for beginning of value"),
        ("outputs=x", "invalid character 'x' looking for beginning of value"),
        ("t=UPPER:1", "invalid reference format: repository name must be lowercase"),
        ("t=a+b", "invalid reference format"),
        ("t=a:", "invalid reference format"),
        (f"t=a@sha256:{'0' * 64}", "build tag cannot contain a digest"),
        (f"t={'a' * 64}", f"invalid repository name ({'a' * 64}), cannot specify 64-byte hexadecimal strings"),
        ("shmsize=abc", 'strconv.ParseInt: parsing "abc": invalid syntax'),
        ("shmsize=1.5", 'strconv.ParseInt: parsing "1.5": invalid syntax'),
        ("isolation=foo", 'Unsupported isolation: "foo"'),
        ("platform=foo/bar/baz/qux", '"foo/bar/baz/qux": cannot parse platform specifier: invalid argument'),
        ("version=3", 'invalid version "3"'),
        ("squash=1", "squash is only supported with experimental mode"),
        ("securityopt=", "The daemon on this platform does not support setting security options on build"),
        (
            "remote=client-session",
            "experimental session with v1 builder is no longer supported, use builder version v2 (BuildKit) instead",
        ),
    ],
)
def test_what_cannot_be(text: str, message: str) -> None:
    error = refusal(text)
    assert isinstance(error, InvalidInput)
    assert str(error) == message


@pytest.mark.parametrize(
    ("name", "value"),
    [
        ("remote", "http://x"),
        ("session", "abc"),
        ("cachefrom", '["x"]'),
        ("memory", "67108864"),
        ("memswap", "1"),
        ("cpushares", "2"),
        ("cpuperiod", "1"),
        ("cpuquota", "1"),
        ("cpusetcpus", "0"),
        ("cpusetmems", "0"),
        ("cgroupparent", "x"),
        ("shmsize", "1"),
        ("extrahosts", "foo:1.2.3.4"),
        ("ulimits", '[{"Name":"nofile","Hard":200,"Soft":100}]'),
        ("outputs", "[{}]"),
    ],
)
def test_what_is_not_there_yet_is_named(name: str, value: str) -> None:
    error = refusal(f"{name}={quote(value)}")
    assert isinstance(error, Unsupported)
    assert str(error) == f"the build parameter {name} is not supported yet"


@pytest.mark.parametrize(
    ("text", "message"),
    [
        ("version=2", "the build parameter version=2 (BuildKit) is not supported yet"),
        ("networkmode=container:x", "the build parameter networkmode=container:... is not supported yet"),
        ("platform=linux/arm64", "the platform linux/arm64 is not supported yet: images are built for linux/amd64"),
        ("platform=windows", "the platform windows/amd64 is not supported yet: images are built for linux/amd64"),
    ],
)
def test_other_things_that_are_not_there_yet(text: str, message: str) -> None:
    error = refusal(text)
    assert isinstance(error, Unsupported)
    assert str(error) == message


def test_networks_that_are_not_there() -> None:
    error = refusal("networkmode=nope")
    assert isinstance(error, NotFound)
    assert str(error) == "network nope not found"


@pytest.mark.parametrize("text", ["linux", "amd64", "x86_64", "linux/amd64", "linux/amd64/v1", "Linux/x86-64"])
def test_spellings_of_this_machine(text: str) -> None:
    assert request(f"platform={text}").platform == MACHINE


def test_gates() -> None:
    assert request("platform=linux/arm64", ApiVersion((1, 31))).platform is None
    assert request("outputs=x", ApiVersion((1, 39))) == BuildRequest()
    assert isinstance(refusal("outputs=[1]", ApiVersion((1, 40))), Unsupported)


@pytest.mark.parametrize(
    ("text", "check", "only"),
    [("", False, False), ("check=0", False, False), ("check=warn", True, False), ("check=1", True, True)],
)
def test_checks(text: str, check: bool, only: bool) -> None:
    options = parse_build(Query.parse(text), MAXIMUM, MACHINE)
    assert (options.request.check, options.check_only) == (check, only)
