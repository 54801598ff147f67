"""The parameters of `POST /build`: what each means, which are refused, and which values of those do no harm.

Clients send parameters at their default values all the time, so those are accepted even where a parameter is not.
"""

from collections.abc import Callable, Mapping
from dataclasses import dataclass
from typing import Any

from imagewright.api.go_json import decode
from imagewright.api.query import Query
from imagewright.api.versions import ApiVersion
from imagewright.engine import BuildRequest, Network
from imagewright.errors import InvalidInput, NotFound, Unsupported
from imagewright.oci import Platform
from imagewright.reference import Reference
from imagewright.registry import Credential

__all__ = ["BuildOptions", "parse_build", "parse_platform"]

_DEFAULT_SHM_SIZE = 64 << 20
_NO_CREDENTIALS: Mapping[str, Credential] = {}
# The one network there is goes by the name of the engine's first one too.
_NETWORKS: Mapping[str, Network] = {
    "": "default",
    "default": "default",
    "bridge": "default",
    "none": "none",
    "host": "host",
}
_SAME_MACHINE = frozenset({("amd64", "v1"), ("arm64", "v8")})


@dataclass(frozen=True, slots=True)
class BuildOptions:
    """What a client asks for: `quiet` is about the answer, `check_only` is to build nothing, the rest for the build."""

    request: BuildRequest
    quiet: bool
    check_only: bool = False


def parse_build(
    query: Query, version: ApiVersion, machine: Platform, credentials: Mapping[str, Credential] = _NO_CREDENTIALS
) -> BuildOptions:
    """Return what the parameters ask for; `machine` is what builds are for, `credentials` what registries may see.

    Raises `InvalidInput` or `NotFound` for what cannot be, in the order in which the engine looks at the parameters,
    then `Unsupported`, which names the parameter, for what imagewright does not do.
    """
    _check_resources(query, version)
    build_args = _json(query, "buildargs", "map[string]*string", "error reading build args: ") or {}
    labels = _json(query, "labels", "map[string]string", "error reading labels: ") or {}
    _json(query, "cachefrom", "[]string")
    _check_builder(query)
    tags = _tags(query.get_all("t"))
    platform = parse_platform(query, version, machine)
    _check_supported(query, version)
    force_remove = query.boolean("forcerm")
    request = BuildRequest(
        dockerfile=query.get("dockerfile"),
        tags=tags,
        target=query.get("target"),
        check=query.boolean("check"),
        build_args=build_args,
        labels=labels,
        no_cache=query.boolean("nocache"),
        remove=force_remove or not query.get("rm") or query.boolean("rm"),
        force_remove=force_remove,
        platform=platform,
        network_mode=_network(query.get("networkmode")),
        pull=query.boolean("pull"),
        keychain=credentials.get,
    )
    # ours: the engine's classic builder checks nothing
    check_only = request.check and query.get("check") != "warn"
    return BuildOptions(request, query.boolean("q"), check_only)


def parse_platform(query: Query, version: ApiVersion, machine: Platform) -> Platform | None:
    """Return the platform that a request names, None if it names none or speaks a version that cannot.

    Raises `InvalidInput` for what names none, `Unsupported` for another than the `machine`'s.
    """
    text = query.get("platform")
    if not (text and version.at_least(1, 32)):
        return None
    platform = Platform.parse(text, default=machine)
    if (platform.architecture, platform.variant) in _SAME_MACHINE:
        platform = Platform(platform.os, platform.architecture)
    if platform != machine:
        raise Unsupported(f"the platform {platform} is not supported yet: images are built for {machine}")
    return platform


def _check_resources(query: Query, version: ApiVersion) -> None:
    if version.at_least(1, 40):
        _json(query, "outputs", "[]any")
    if query.get("shmsize"):
        query.integer("shmsize")
    if query.get("isolation").lower() not in {"", "default"}:
        raise InvalidInput(f'Unsupported isolation: "{query.get("isolation")}"')
    if "securityopt" in query.values:
        raise InvalidInput("The daemon on this platform does not support setting security options on build")
    _json(query, "ulimits", "[]any", "error reading ulimit settings: ")


def _check_builder(query: Query) -> None:
    version = query.get("version")
    if version == "2":
        raise Unsupported("the build parameter version=2 (BuildKit) is not supported yet")
    if version not in {"", "1"}:
        raise InvalidInput(f'invalid version "{version}"')
    if query.get("remote") == "client-session":
        raise InvalidInput(
            "experimental session with v1 builder is no longer supported, use builder version v2 (BuildKit) instead"
        )
    if query.boolean("squash"):
        raise InvalidInput("squash is only supported with experimental mode")


def _tags(names: tuple[str, ...]) -> tuple[Reference, ...]:
    tags: dict[Reference, None] = {}
    for name in filter(None, names):
        reference = Reference.parse(name)
        if reference.digest is not None:
            raise InvalidInput("build tag cannot contain a digest")
        tags[reference.with_default_tag()] = None
    return tuple(tags)


def _network(mode: str) -> Network:
    if mode.startswith("container:"):
        raise Unsupported("the build parameter networkmode=container:... is not supported yet")
    if mode not in _NETWORKS:
        raise NotFound(f"network {mode} not found")
    return _NETWORKS[mode]


def _json(query: Query, name: str, go_type: str, prefix: str = "") -> Any:
    """Return what the JSON parameter `name` says, None for nothing; errors begin with `prefix`."""
    text = query.get(name)
    if not text:
        return None
    try:
        return decode(text, go_type)
    except InvalidInput as error:
        raise InvalidInput(f"{prefix}{error}") from error


def _blank(query: Query, name: str) -> bool:
    return not any(query.get_all(name))


def _zero(query: Query, name: str) -> bool:
    # What is no number counts as 0, as it does for the engine.
    return query.integer_or_zero(name) == 0


def _nothing(query: Query, name: str) -> bool:
    return not _json(query, name, "any")


# Whether the value of a parameter that imagewright does not have asks for nothing.
_HARMLESS: dict[str, Callable[[Query, str], bool]] = {
    "remote": _blank,
    "session": _blank,
    "cachefrom": _nothing,
    "memory": _zero,
    # -1 is no limit, which is what there is.
    "memswap": lambda query, name: query.integer_or_zero(name) in {0, -1},
    "cpushares": _zero,
    "cpuperiod": _zero,
    "cpuquota": _zero,
    "cpusetcpus": _blank,
    "cpusetmems": _blank,
    "cgroupparent": _blank,
    "shmsize": lambda query, name: query.integer_or_zero(name) in {0, _DEFAULT_SHM_SIZE},
    "extrahosts": _blank,
    "ulimits": _nothing,
    "outputs": _nothing,
}


def _check_supported(query: Query, version: ApiVersion) -> None:
    for name, harmless in _HARMLESS.items():
        if name == "outputs" and not version.at_least(1, 40):
            continue
        if not harmless(query, name):
            raise Unsupported(f"the build parameter {name} is not supported yet")
