import json
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
    "remote=&session=&pull=0&cachefrom=null&memory=&memswap=0&shmsize=67108864&ulimits=%5B%5D&outputs=null"
    "&buildargs=null&labels=null&t=&isolation=default&platform=&squash=0&version=&networkmode=&unknown=1"
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
        "&platform=linux/amd64&explain=1"
        "&buildargs="
        + quote('{"A":"1","B":null}')
        + "&labels="
        + quote('{"l":"v","m":null}')
        + "&cachefrom="
        + quote('["c:1","d"]')
    )
    options = parse_build(Query.parse(text), MAXIMUM, MACHINE)
    assert options.quiet
    assert options.request == BuildRequest(
        dockerfile="sub/D",
        tags=(Reference.parse("a:1"), Reference.parse("b/c:2")),
        target="x",
        build_args={"A": "1", "B": None},
        labels={"l": "v", "m": ""},
        cache_from=("c:1", "d"),
        explain=True,
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
        ("cachefrom=x", "cachefrom: invalid character 'x' looking for beginning of value"),
        ("outputs=x", "outputs: invalid character 'x' looking for beginning of value"),
        ("t=UPPER:1", "t: invalid reference format: repository name must be lowercase"),
        ("t=a+b", "t: invalid reference format"),
        ("t=a:", "t: invalid reference format"),
        (f"t=a@sha256:{'0' * 64}", "t: build tag cannot contain a digest"),
        (f"t={'a' * 64}", f"t: invalid repository name ({'a' * 64}), cannot specify 64-byte hexadecimal strings"),
        ("shmsize=abc", 'shmsize: strconv.ParseInt: parsing "abc": invalid syntax'),
        ("shmsize=1.5", 'shmsize: strconv.ParseInt: parsing "1.5": invalid syntax'),
        ("isolation=foo", 'Unsupported isolation: "foo"'),
        ("platform=foo/bar/baz/qux", '"foo/bar/baz/qux": cannot parse platform specifier: invalid argument'),
        ("platform=foo", '"foo": unknown operating system or architecture: invalid argument'),
        ("platform=windows", "operating system is not supported: platform=windows/amd64"),
        ("networkmode=container:", 'invalid name or ID supplied: ""'),
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
        ("session", "abc"),
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
    error = refusal("networkmode=container:x")
    assert isinstance(error, NotFound)
    assert str(error) == "No such container: x"


@pytest.mark.parametrize(
    ("text", "platform"),
    [
        ("linux/arm64", Platform("linux", "arm64")),
        ("arm", Platform("linux", "arm")),
        ("linux/arm/v7", Platform("linux", "arm", "v7")),
        ("linux/anything", Platform("linux", "anything")),
    ],
)
def test_other_platforms(text: str, platform: Platform) -> None:
    assert request(f"platform={text}").platform == platform


@pytest.mark.parametrize("text", ["linux", "amd64", "x86_64", "linux/amd64", "linux/amd64/v1", "Linux/x86-64"])
def test_spellings_of_this_machine(text: str) -> None:
    assert request(f"platform={text}").platform == MACHINE


def test_gates() -> None:
    assert request("platform=linux/arm64", ApiVersion((1, 31))).platform is None
    assert request("outputs=x", ApiVersion((1, 39))) == BuildRequest()
    assert isinstance(refusal("outputs=[1]", ApiVersion((1, 40))), InvalidInput)


@pytest.mark.parametrize("remote", ["http://h/x", "https://h/x.git#v1:d", "git@h:x"])
def test_contexts_from_elsewhere(remote: str) -> None:
    assert request(f"remote={quote(remote, safe='')}&dockerfile=D") == BuildRequest(remote=remote, dockerfile="D")


@pytest.mark.parametrize(
    "remote",
    [
        *("foo", "file:///x", "ext::sh -c id", "git://h/x#--upload-pack=x", "git://h/x#a:../..", "http://h/\0"),
        *("http://169.254.169.254 /", "git://h/" + "x" * (64 << 10), "https://-h/x.git", "-x", "[]", "{"),
    ],
)
def test_contexts_from_nowhere(remote: str) -> None:
    error = refusal(f"remote={quote(remote, safe='')}")
    assert isinstance(error, InvalidInput)
    assert "remote" in str(error)
    assert len(str(error)) < 400


def test_named_contexts() -> None:
    contexts = {"base": "docker-image://one:1", "src": "http://h/x.tar"}
    assert request(f"contexts={quote(json.dumps(contexts))}").contexts == contexts
    assert request("contexts=null").contexts == {}


@pytest.mark.parametrize(
    "text", ["x", "[]", '"a"', '{"a": 5}', '{"a": null}', '{"a": ""}', '{"": "a"}', '{"a": "x://y"}']
)
def test_named_contexts_that_are_none(text: str) -> None:
    error = refusal(f"contexts={quote(text)}")
    assert isinstance(error, InvalidInput)
    assert str(error).startswith("contexts: ")


@pytest.mark.parametrize(
    ("text", "check", "only"),
    [("", False, False), ("check=0", False, False), ("check=warn", True, False), ("check=1", True, True)],
)
def test_checks(text: str, check: bool, only: bool) -> None:
    options = parse_build(Query.parse(text), MAXIMUM, MACHINE)
    assert (options.request.check, options.check_only) == (check, only)


def test_entitlements() -> None:
    assert request("allow=network.host&allow=&allow=security.insecure").allow == {"network.host", "security.insecure"}
    error = refusal("allow=network.host&allow=device")
    assert isinstance(error, InvalidInput)
    assert str(error) == "allow: unknown entitlement 'device': it is one of network.host, security.insecure"
