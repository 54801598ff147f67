"""What an engine does with the intermediate containers that its builds have left."""

import time
from collections.abc import Iterator, Mapping, Sequence

from imagewright.build.debugging import debug_container
from imagewright.cancellation import Cancellation
from imagewright.engine.chronicle import Chronicle
from imagewright.engine.committing import commit_container
from imagewright.events import Reporter, ignore
from imagewright.oci import Digest
from imagewright.reference import Reference
from imagewright.sandbox import Attachment, Sandbox
from imagewright.store import Container, LogLine, Store

__all__ = ["Containers"]


class Containers:
    """The part of an `Engine` that is about containers; the engine makes what it has."""

    _store: Store
    _sandbox: Sandbox
    _chronicle: Chronicle

    def containers(self) -> Sequence[Container]:
        """Return the intermediate containers that builds have left, the newest first."""
        return self._store.list_containers()

    def container(self, name: str) -> Container:
        """Return the intermediate container with this id, beginning of an id, or name."""
        return self._store.get_container(name)

    def logs(self, name: str, *, tail: int | None = None) -> Iterator[LogLine]:
        """Return what the process of the intermediate container `name` printed, line by line, or the last `tail` lines.

        Raises `NotFound` at once. The lines can be read to their end also if the container is removed meanwhile.
        """
        return self._store.read_log(name, tail=tail)

    def debug(
        self,
        name: str,
        argv: Sequence[str] = (),
        *,
        attachment: Attachment,
        env: Sequence[str] = (),
        secrets: Mapping[str, bytes] | None = None,
        agents: Mapping[str, str] | None = None,
        report: Reporter = ignore,
        cancellation: Cancellation | None = None,
    ) -> int:
        """Run `argv`, a shell if it is empty, in what the intermediate container `name` left; return the exit code.

        It has the environment (and `env`), user, directory, mounts, limits and rights of the container's own process,
        and the streams of `attachment`, which may be a terminal. `secrets` and `agents` are as in `BuildRequest`; a
        `BuildWarning` tells of each mount that is gone. What it changes is thrown away.
        """
        return debug_container(
            self._store.get_container(name),
            argv,
            store=self._store,
            runner=self._sandbox,
            attachment=attachment,
            env=env,
            secrets=secrets or {},
            agents=agents or {},
            report=report,
            cancellation=cancellation or Cancellation(),
        )

    def remove_container(self, name: str) -> None:
        """Remove the intermediate container `name`."""
        self._chronicle.tell_container("destroy", self._store.remove_container(name))

    def commit(
        self,
        container: str,
        *,
        reference: Reference | None = None,
        changes: Sequence[str] = (),
        message: str = "",
        author: str = "",
    ) -> Digest:
        """Make an image of the intermediate container `container`; return its id.

        `changes` are Dockerfile instructions that configure. Raises `NotFound` for an unknown container, or if the
        image it was made from was removed by force.
        """
        found = self._store.get_container(container)
        image = commit_container(
            self._store,
            found,
            references=() if reference is None else (reference.with_default_tag(),),
            changes=changes,
            message=message,
            author=author,
            clock=time.time_ns,
        )
        if reference is not None:
            self._chronicle.tell_tagged(image, reference)
        name = "" if reference is None else reference.with_default_tag().familiar
        self._chronicle.tell_container("commit", found, {"comment": message, "imageID": str(image), "imageRef": name})
        return image
