"""A container made into an image: what `docker commit` asks for."""

from collections.abc import Callable, Sequence

from msgspec.structs import replace

from imagewright.dockerfile import parse_changes
from imagewright.oci import Digest, Healthcheck, History, RootfsConfig, RunConfig, encode_config, format_time
from imagewright.plan import apply_changes
from imagewright.reference import Reference
from imagewright.store import Container, Store

__all__ = ["commit_container"]

_METADATA_ONLY = "#(nop) "


def commit_container(
    store: Store,
    container: Container,
    *,
    references: Sequence[Reference],
    changes: Sequence[str],
    message: str,
    author: str,
    clock: Callable[[], int],
) -> Digest:
    """Make an image of `container`, a child of the image it was made from, and return its id; one transaction.

    It has a layer more if the container's process changed something. Raises `NotFound` if the container's image is not
    here any more, and `InvalidInput` for a change that is no instruction or not one that only configures.
    """
    with store.lease() as lease:
        image = store.get_image(container.image)
        for diff_id in container.diff_ids:
            lease.keep(diff_id)
        created = format_time(clock())
        entry = History(
            created=created,
            author=author,
            created_by=" ".join(container.command),
            comment=message,
            empty_layer=container.diff_ids == image.config.diff_ids,
        )
        config = replace(
            image.config,
            config=apply_changes(_run_config(container, image.config.run), parse_changes(changes)),
            author=author,
            created=created,
            comment=message,
            history=(*(image.config.history or ()), entry),
            rootfs=RootfsConfig(diff_ids=tuple(str(diff_id) for diff_id in container.diff_ids)),
        )
        return store.add_image(encode_config(config), parent=image.id, references=references)


def _run_config(container: Container, image: RunConfig) -> RunConfig:
    """Return the configuration that the engine has for such a container.

    A RUN goes past the entrypoint and has no health check, and triggers were carried out when the build began. The
    build args that it saw are in its environment, as the engine has it.
    """
    run = replace(image, cmd=container.command, on_build=None)
    if container.process is not None:
        run = replace(run, env=container.process.env)
    if any(part.startswith(_METADATA_ONLY) for part in container.command):
        return run
    return replace(run, entrypoint=None, healthcheck=Healthcheck(test=("NONE",)))
