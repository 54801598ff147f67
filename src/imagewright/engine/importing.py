"""A filesystem as a tar, made into an image: what `docker import` asks for."""

from collections.abc import Callable, Sequence

from imagewright.archive import Readable
from imagewright.cancellation import Cancellation
from imagewright.dockerfile import (
    Cmd,
    Entrypoint,
    Env,
    Expose,
    Healthcheck,
    Label,
    OnBuild,
    StopSignal,
    User,
    Volume,
    Workdir,
    parse,
    parse_instruction,
)
from imagewright.errors import InvalidInput
from imagewright.oci import Digest, History, ImageConfig, Platform, RootfsConfig, RunConfig, encode_config, format_time
from imagewright.plan import Base
from imagewright.plan import compile as compile_plan
from imagewright.reference import Reference
from imagewright.store import Store

__all__ = ["apply_changes", "import_image"]

_ALLOWED = (
    Cmd,
    Entrypoint,
    Env,
    Expose,
    Healthcheck,
    Label,
    OnBuild,
    StopSignal,
    User,
    Volume,
    Workdir,
)


def import_image(
    store: Store,
    stream: Readable,
    *,
    references: Sequence[Reference],
    changes: Sequence[str],
    message: str,
    platform: Platform,
    clock: Callable[[], int],
    cancellation: Cancellation,
) -> Digest:
    """Make an image of one layer from the tar `stream`, in any compression; return its id.

    `changes` are instructions as in a Dockerfile. Raises `InvalidInput` for what is no tar, and for a change that is
    no instruction or not one of those that only configure; that is found before `stream` is read.
    """
    run = apply_changes(RunConfig(), changes, platform)
    with store.lease():
        diff_id = store.add_layer_stream(stream)
        cancellation.check()
        created = format_time(clock())
        config = ImageConfig(
            architecture=platform.architecture,
            os=platform.os,
            variant=platform.variant,
            config=run,
            created=created,
            comment=message,
            history=(History(created=created, comment=message),),
            rootfs=RootfsConfig(diff_ids=(str(diff_id),)),
        )
        return store.add_image(encode_config(config), references=references)


def apply_changes(config: RunConfig, changes: Sequence[str], platform: Platform) -> RunConfig:
    """Return `config` as the instructions `changes` make it.

    Raises `InvalidInput` with the engine's text for an instruction that cannot stand there.
    """
    lines = [line for change in changes for line in change.splitlines() if line.strip()]
    for line in lines:
        _check(line)
    if not lines:
        return config

    def resolve(_name: str, _platform: Platform) -> Base:
        return Base(Digest.of(b""), ImageConfig(architecture=platform.architecture, os=platform.os, config=config))

    dockerfile = parse("\n".join(["FROM base", *lines]).encode("utf-8", "surrogateescape"))
    plan = compile_plan(dockerfile, build_args={}, labels={}, platform=platform, resolve=resolve)
    return plan.nodes[plan.target].config


def _check(line: str) -> None:
    word = line.split(maxsplit=1)[0]
    allowed = {kind.__name__.lower() for kind in _ALLOWED}
    if word.lower() not in allowed:
        raise InvalidInput(f"{word.lower()[:100]} is not a valid change command")
    parse_instruction(line)
