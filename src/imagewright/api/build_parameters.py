"""The parameters of `POST /build`: what each means, which are refused, and which values of those do no harm.

Clients send parameters at their default values all the time, so those are accepted even where a parameter is not.
"""

from collections.abc import Mapping
from dataclasses import dataclass
from typing import Any

from imagewright.api.build_outputs import parse_output, parse_tag
from imagewright.api.build_surroundings import parse_surroundings
from imagewright.api.go_json import decode
from imagewright.api.query import Query
from imagewright.api.versions import ApiVersion
from imagewright.engine import BuildRequest, Entitlement, Network, parse_contexts
from imagewright.errors import InvalidInput, NotFound, Unsupported
from imagewright.oci import Platform
from imagewright.reference import Reference
from imagewright.registry import Credential
from imagewright.remote import parse_remote

__all__ = ["BuildOptions", "parse_build", "parse_platform"]

_NO_CREDENTIALS: Mapping[str, Credential] = {}
# The one network there is goes by the name of the engine's first one too.
_NETWORKS: Mapping[str, Network] = {
    "": "default",
    "default": "default",
    "bridge": "default",
    "none": "none",
    "host": "host",
}
_ENTITLEMENTS: Mapping[str, Entitlement] = {
    "network.host": "network.host",
    "security.insecure": "security.insecure",
}
# Those that Go knows; alone, another word is no platform.
_ARCHITECTURES = frozenset(
    "386 amd64 amd64p32 arm armbe arm64 arm64be ppc ppc64 ppc64le loong64 mips mipsle mips64 mips64le "  # noqa: SIM905
    "mips64p32 mips64p32le riscv riscv64 s390 s390x sparc sparc64 wasm".split()
)
_SAME_MACHINE = frozenset({("amd64", "v1"), ("arm64", "v8")})


@dataclass(frozen=True, slots=True)
class BuildOptions:
    """What a client asks for: `quiet`, `files` (a tar of them) and `check_only` are about the answer."""

    request: BuildRequest
    quiet: bool
    files: bool = False
    check_only: bool = False


def parse_build(
    query: Query,
    version: ApiVersion,
    machine: Platform,
    credentials: Mapping[str, Credential] = _NO_CREDENTIALS,
    *,
    experimental: bool = False,
) -> BuildOptions:
    """Return what the parameters ask for; `machine` is what builds are for, `credentials` what registries may see.

    `experimental` is whether the daemon does what the engine calls so. Raises `InvalidInput` or `NotFound` for what
    cannot be, in the order in which the engine looks at the parameters, then `Unsupported`, which names the parameter,
    for what imagewright does not do.
    """
    output = parse_output(query, version)
    _check_isolation(query)
    surroundings = parse_surroundings(query)
    build_args = _json(query, "buildargs", "map[string]*string", "error reading build args: ") or {}
    labels = _json(query, "labels", "map[string]string", "error reading labels: ") or {}
    cache_from = _json(query, "cachefrom", "[]string") or ()
    _check_builder(query)
    if query.boolean("squash") and not experimental:
        raise InvalidInput("squash is only supported with experimental mode")
    tags = _tags(query.get_all("t"))
    platform = parse_platform(query, version, machine)
    _check_supported(query)
    contexts = _json(query, "contexts", "map[string]string") or {}
    parse_contexts(contexts)
    force_remove = query.boolean("forcerm")
    request = BuildRequest(
        remote=_remote(query),
        dockerfile=query.get("dockerfile"),
        tags=tuple(dict.fromkeys((*tags, *output.tags))),
        target=query.get("target"),
        check=query.boolean("check"),
        build_args=build_args,
        labels=labels,
        no_cache=query.boolean("nocache"),
        remove=force_remove or not query.get("rm") or query.boolean("rm"),
        force_remove=force_remove,
        platform=platform,
        network_mode=_network(query.get("networkmode")),
        surroundings=surroundings,
        squash=query.boolean("squash"),
        pull=query.boolean("pull"),
        cache_from=tuple(cache_from),
        contexts=contexts,
        explain=query.boolean("explain"),
        allow=_allow(query),
        keychain=credentials.get,
    )
    # ours: the engine's classic builder checks nothing
    check_only = request.check and query.get("check") != "warn"
    return BuildOptions(request, query.boolean("q"), files=output.files, check_only=check_only)


def parse_platform(query: Query, version: ApiVersion, machine: Platform) -> Platform | None:
    """Return the platform that a request names, None if it names none or speaks a version that cannot.

    What it leaves out is the `machine`'s. Raises `InvalidInput` for what names none, and for images that are not for
    Linux.
    """
    text = query.get("platform")
    if not (text and version.at_least(1, 32)):
        return None
    platform = Platform.parse(text, default=machine)
    if (platform.architecture, platform.variant) in _SAME_MACHINE:
        platform = Platform(platform.os, platform.architecture)
    if "/" not in text and platform.os == machine.os and platform.architecture not in _ARCHITECTURES:
        raise InvalidInput(f'"{text[:100]}": unknown operating system or architecture: invalid argument')
    if platform.os != "linux":
        raise InvalidInput(f"operating system is not supported: platform={platform}")
    return platform


def _check_isolation(query: Query) -> None:
    if query.get("isolation").lower() not in {"", "default"}:
        raise InvalidInput(f'Unsupported isolation: "{query.get("isolation")}"')
    if "securityopt" in query.values:
        raise InvalidInput("The daemon on this platform does not support setting security options on build")


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


def _tags(names: tuple[str, ...]) -> tuple[Reference, ...]:
    return tuple(parse_tag(name, "t") for name in names if name)


def _remote(query: Query) -> str:
    remote = query.get("remote")
    if remote:
        parse_remote(remote)
    return remote


def _network(mode: str) -> Network:
    if mode.startswith("container:"):
        # Containers of builds do not run once they can be named.
        name = mode.removeprefix("container:")
        raise NotFound(f"No such container: {name[:200]}") if name else InvalidInput('invalid name or ID supplied: ""')
    if mode not in _NETWORKS:
        raise NotFound(f"network {mode} not found")
    return _NETWORKS[mode]


def _allow(query: Query) -> frozenset[Entitlement]:
    """Return what RUN steps may ask for, which the engine's own builder is asked in a message of its session."""
    names = [name for name in query.get_all("allow") if name]
    for name in names:
        if name not in _ENTITLEMENTS:
            known = ", ".join(_ENTITLEMENTS)
            raise InvalidInput(f"allow: unknown entitlement {name[:100]!r}: it is one of {known}")
    return frozenset(_ENTITLEMENTS[name] for name in names)


def _json(query: Query, name: str, go_type: str, prefix: str = "") -> Any:
    """Return what the JSON parameter `name` says, None for nothing; errors begin with `prefix`, or else with `name`."""
    text = query.get(name)
    if not text:
        return None
    try:
        return decode(text, go_type)
    except InvalidInput as error:
        raise InvalidInput(f"{prefix or f'{name}: '}{error}") from error


def _check_supported(query: Query) -> None:
    if any(query.get_all("session")):
        raise Unsupported("the build parameter session is not supported yet")
