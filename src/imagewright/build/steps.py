"""What each op of a plan does to the state of its stage."""

import tempfile
from collections.abc import Callable, Iterator, Sequence
from contextlib import contextmanager, nullcontext, suppress
from dataclasses import dataclass, field, replace

from imagewright.build.cache import cache_key, layer_content
from imagewright.build.context import Context
from imagewright.build.copying import Selection, select_files
from imagewright.build.downloading import Downloads, FetchedFile
from imagewright.build.explanation import Explainer
from imagewright.build.flights import Flights
from imagewright.build.imported_cache import ImportedCache
from imagewright.build.kept_mounts import keep_mounts
from imagewright.build.known_contexts import Taken
from imagewright.build.mounting import Mounting
from imagewright.build.permission import Permissions
from imagewright.build.remains import Remains
from imagewright.build.request import Network, Surroundings
from imagewright.build.running import Runner, check_surroundings, run_command
from imagewright.build.state import State, advance, start
from imagewright.cancellation import Cancellation
from imagewright.errors import Cancelled, DockerfileError, ImagewrightError, InvalidInput, SystemFailure
from imagewright.events import (
    BuildWarning,
    CacheHit,
    CacheMiss,
    ContainerRemoved,
    ContainerStarted,
    Event,
    Output,
    Reporter,
    StageFinished,
    StepFinished,
    StepStarted,
    TriggersStarted,
)
from imagewright.filesystem import Layer, Tree, workdir_layer
from imagewright.oci import Digest, Platform, chain_id, describe_platform, encode_config, suits
from imagewright.plan import (
    AddFiles,
    Base,
    Configure,
    Continue,
    CopyFiles,
    Fail,
    Image,
    MakeDirectory,
    Node,
    Op,
    Remote,
    RunCommand,
    Scratch,
    Step,
)
from imagewright.solve import Transcript
from imagewright.store import Record, Store

__all__ = ["Settings", "Steps"]

# A miss is explained by the newest results: what is older is not what anybody expects to find.
_MOST_COMPARED = 5000


def _cannot_fetch(source: Remote) -> FetchedFile | Tree:
    raise AssertionError(source)


def _ground(op: Op, parent: State) -> Digest | None:
    """Return the chain_id of the layers that what `op` makes depends on: none with `--link`, else those of `parent`."""
    linked = isinstance(op, CopyFiles | AddFiles) and op.link
    return None if linked else chain_id(parent.diff_ids)


def _fetches(op: Op) -> bool:
    """Return whether `op` has sources that are elsewhere."""
    return isinstance(op, AddFiles) and any(isinstance(source, Remote) for source in op.sources)


@dataclass(frozen=True, slots=True, kw_only=True)
class Settings:
    """What holds for all steps of one build; see `BuildRequest`. `directory` is empty and the build's own."""

    directory: str
    platform: Platform
    network: Network = "default"
    surroundings: Surroundings = field(default_factory=Surroundings)
    no_cache: bool = False
    explain: bool = False
    remove: bool = True
    force_remove: bool = False


class Steps:
    """Evaluates the nodes of a plan: the `Work` that the solver is given. Safe for use by many threads.

    `told` are the steps whose beginning has been told, because their images had to be found before they had a node.
    `clock` gives nanoseconds since 1970, `new_id` 64 random hexadecimal digits.
    """

    def __init__(
        self,
        *,
        store: Store,
        runner: Runner,
        context: Context,
        downloads: Downloads,
        mounting: Mounting,
        permissions: Permissions,
        settings: Settings,
        transcript: Transcript[Event],
        told: set[Step],
        flights: Flights,
        imported: ImportedCache,
        clock: Callable[[], int],
        new_id: Callable[[], str],
    ) -> None:
        self._store = store
        self._runner = runner
        self._context = context
        self._downloads = downloads
        self._mounting = mounting
        self._permissions = permissions
        self._settings = settings
        self._transcript = transcript
        self._told = told
        self._flights = flights
        self._imported = imported
        self._clock = clock
        self._new_id = new_id
        self._explainer = Explainer(lambda: store.newest_records(_MOST_COMPARED))
        self._selections: dict[int, Selection] = {}
        self._taken: dict[int, Taken] = {}

    def recall(self, node: Node, inputs: Sequence[State]) -> State | None:
        """Tell that `node` begins, and return its state if it starts a stage or is in the cache."""
        report = self._transcript.reporter(node.index)
        if node.step is not None and node.step not in self._told:
            report(StepStarted(node.step.number, node.step.total, node.step.text))
        with _blaming(node):
            state = self._begin(node, inputs)
            if _fetches(node.op):
                return None  # what comes is known only once it is here
            if state is None and isinstance(node.op, Configure | CopyFiles | AddFiles | MakeDirectory | RunCommand):
                state = self._cached(node, inputs, report)
        return state if state is None else self._finish(node, state)

    def perform(self, node: Node, inputs: Sequence[State], cancellation: Cancellation) -> State:
        """Carry out `node`, record what came of it, and return the state after it."""
        report = self._transcript.reporter(node.index)
        cancellation.check()
        with _blaming(node):
            state = self._fetch(node, inputs, report, cancellation) if _fetches(node.op) else None
            if state is None:
                record = self._share(node, inputs, report, cancellation)
                state = self._commit(node, inputs[0], record)
        return self._finish(node, state)

    def _fetch(self, node: Node, inputs: Sequence[State], report: Reporter, cancellation: Cancellation) -> State | None:
        """Bring here what `node` adds from elsewhere; return the state after it if it is in the cache then."""

        def fetch(source: Remote) -> FetchedFile | Tree:
            try:
                fetched = self._downloads.fetch(source, report, cancellation)
            except Cancelled:
                raise
            except ImagewrightError as error:
                raise type(error)(f"ADD failed: {error}") from error
            report(Output("stdout", b"\n"))
            return fetched

        if isinstance(node.op, AddFiles):
            self._select(node, node.op, inputs, fetch)
        return self._cached(node, inputs, report)

    def _share(self, node: Node, inputs: Sequence[State], report: Reporter, cancellation: Cancellation) -> Record:
        """Carry out `node` and record what came of it, or take over what a build at the same time makes of it."""
        if self._settings.no_cache or isinstance(node.op, Fail):
            record = self._carry_out(node, inputs, report, cancellation)
            self._store.put_record(cache_key(record.leaves), record)
            return record
        key = cache_key(self._leaves(node, inputs))
        with self._flights.turn(key, cancellation) as turn:
            found = self._store.find_record(key)
            if found is None:
                record = self._carry_out(node, inputs, turn.telling(report), cancellation)
                self._store.put_record(key, record)
                return record
        report(CacheHit())
        return found

    def _carry_out(self, node: Node, inputs: Sequence[State], report: Reporter, cancellation: Cancellation) -> Record:
        match node.op:
            case Fail(error):
                raise error
            case CopyFiles() | AddFiles():
                return self._copy(node, node.op, inputs, cancellation)
            case RunCommand() | MakeDirectory() | Configure():
                return self._in_container(node, inputs, report, cancellation)
        raise AssertionError(node.op)

    def _begin(self, node: Node, inputs: Sequence[State]) -> State | None:
        match node.op:
            case Scratch(platform):
                return replace(start(platform or self._settings.platform), platform=platform)
            case Image(base, platform):
                return State(base.config, self._image_of(base, node), platform)
            case Continue():
                return inputs[0]
        return None

    def _image_of(self, base: Base, node: Node) -> Digest | None:
        """Return the image of `base`; it becomes one where a stage begins with it."""
        if base.stored:
            return base.image_id
        return self._store.add_image(encode_config(base.config)) if node.step else None

    def _finish(self, node: Node, state: State) -> State:
        report = self._transcript.reporter(node.index)
        if node.triggers:
            report(TriggersStarted(node.triggers))
        if node.closes_step:
            report(StepFinished(state.image))
        if node.last_of_stage and state.image is not None:
            report(StageFinished(state.image))
        self._transcript.finish(node.index)
        return state

    def _cached(self, node: Node, inputs: Sequence[State], report: Reporter) -> State | None:
        if self._settings.no_cache:
            return None
        leaves = self._leaves(node, inputs)
        record = self._imported.find(node, inputs[0].config, self._created_by(node))
        if record is None or (record.diff_id is not None and not self._store.has_layer(record.diff_id)):
            record = self._store.find_record(cache_key(leaves))
        if record is None:
            if self._settings.explain:
                report(CacheMiss(self._explainer.explain(leaves)))
            return None
        report(CacheHit())
        return self._commit(node, inputs[0], record)

    def _commit(self, node: Node, parent: State, record: Record) -> State:
        """Return the state after `node`, its intermediate image in the store."""
        config = advance(
            parent.config,
            node,
            created_ns=record.created_ns,
            diff_id=record.diff_id,
            created_by=self._created_by(node),
        )
        image = self._store.add_image(encode_config(config), parent=parent.image)
        return State(config, image, parent.platform)

    def _created_by(self, node: Node) -> str:
        """Return the text of the history entry of `node`, whose sources have been selected where it has some."""
        taken = self._taken.get(node.index)
        return node.created_by if taken is None else node.created_by_with(taken.label)

    def _leaves(self, node: Node, inputs: Sequence[State]) -> dict[str, str]:
        """Return all that the result of `node` depends on, by name.

        Files depend on the layers below, unless they are linked to them, and not on the configuration of the image that
        has them, so that a LABEL before a RUN leaves the RUN alone; a change of the configuration depends on the image
        that it changes.
        """
        leaves = dict(node.op.canonical())
        parent = inputs[0]
        if isinstance(node.op, Configure):
            return {**leaves, "parent": str(parent.image)}
        leaves["parent"] = str(_ground(node.op, parent))
        if isinstance(node.op, RunCommand):
            # A stage for the machine that builds is the same, whatever the build is for.
            platform = parent.platform or self._settings.platform
            leaves |= {"platform": str(platform), "network": self._network(node.op)}
            leaves |= self._mounting.leaves(node.op, inputs)
        if isinstance(node.op, CopyFiles | AddFiles):
            leaves["source"] = str(self._take(node, node.op, inputs).digest)
        return leaves

    def _take(self, node: Node, op: CopyFiles | AddFiles, inputs: Sequence[State]) -> Taken:
        """Return what `op` takes, without looking for it if it is known what that was in the same context before."""
        taken = self._taken.get(node.index)
        if taken is None:
            # What ADD takes may be elsewhere.
            known = self._context.known if isinstance(op, CopyFiles) and len(inputs) == 1 else None
            taken = known.find(op) if known is not None and isinstance(op, CopyFiles) else None
            if taken is None:
                selection = self._select(node, op, inputs)
                taken = Taken(selection.digest, selection.label)
                if known is not None and isinstance(op, CopyFiles):
                    known.remember(op, taken)
            self._taken[node.index] = taken
        return taken

    def _select(
        self,
        node: Node,
        op: CopyFiles | AddFiles,
        inputs: Sequence[State],
        fetch: Callable[[Remote], FetchedFile | Tree] = _cannot_fetch,
    ) -> Selection:
        if node.index not in self._selections:
            context = len(inputs) == 1
            source = self._context.tree if context else self._store.tree(inputs[1].diff_ids)
            directory = self._scratch() if op.documents else ""
            self._selections[node.index] = select_files(
                op, source, context=context, directory=directory, now_ns=self._clock(), fetch=fetch
            )
        return self._selections[node.index]

    def _copy(
        self, node: Node, op: CopyFiles | AddFiles, inputs: Sequence[State], cancellation: Cancellation
    ) -> Record:
        now_ns = self._clock()
        tree = self._store.tree(inputs[0].diff_ids)
        selection = self._select(node, op, inputs)
        layer = selection.layer(tree, directory=self._scratch(), now_ns=now_ns, cancellation=cancellation)
        return self._record(
            node, inputs, layer, lambda: self._store.add_layer(layer, cancellation=cancellation), now_ns
        )

    def _network(self, op: Op) -> Network:
        wanted = op.network if isinstance(op, RunCommand) else ""
        return wanted or self._settings.network

    def _in_container(
        self, node: Node, inputs: Sequence[State], report: Reporter, cancellation: Cancellation
    ) -> Record:
        """Carry out an op for which the engine makes a container, and keep or remove that container as asked."""
        container = self._new_id()
        directory = self._scratch()
        check_surroundings(self._settings.surroundings)
        self._warn_of_platform(inputs[0], report)
        remains = Remains(
            container,
            node,
            inputs[0],
            store=self._store,
            directory=directory,
            network=self._network(node.op),
            surroundings=self._settings.surroundings,
            clock=self._clock,
        )
        record: Record | None = None
        error: BaseException | None = None
        report(ContainerStarted(container))
        try:
            record = self._contained(
                node,
                inputs,
                container,
                directory=directory,
                report=report if self._settings.force_remove else remains.recording(report),
                cancellation=cancellation,
            )
        except BaseException as problem:
            error = problem
            raise
        finally:
            # What failed is told of, and not what cannot be kept of it, perhaps for the same reason.
            told = suppress(SystemFailure) if error is not None else nullcontext()
            with told:
                remains.close()
            removed = self._settings.force_remove or (self._settings.remove and record is not None)
            if removed:
                report(ContainerRemoved(container))
            # A client that has left is noticed first where something is written to it.
            elif not (cancellation.cancelled or isinstance(error, Cancelled)):
                mounts = keep_mounts(node.op, inputs, self._store) if isinstance(node.op, RunCommand) else ()
                with told:
                    remains.keep(error, None if record is None else record.diff_id, mounts, cancellation)
        return record

    def _warn_of_platform(self, parent: State, report: Reporter) -> None:
        wanted, actual = self._settings.platform, parent.config
        if parent.platform is None and not suits(actual, wanted):
            text = f"The requested image's platform ({describe_platform(actual)}) does not match"
            text = f"{text} the detected host platform ({wanted}) and no specific platform was requested"
            report(BuildWarning(f" ---> [Warning] {text}"))

    def _contained(
        self,
        node: Node,
        inputs: Sequence[State],
        container: str,
        *,
        directory: str,
        report: Reporter,
        cancellation: Cancellation,
    ) -> Record:
        parent = inputs[0]
        match node.op:
            case RunCommand() as op:
                self._permissions.check(op)
                tree = self._store.tree(parent.diff_ids)
                with self._mounting.made(op, inputs, tree, cancellation) as mounted:
                    changes = run_command(
                        op,
                        parent.diff_ids,
                        store=self._store,
                        runner=self._runner,
                        container=container,
                        network=self._network(op),
                        surroundings=self._settings.surroundings,
                        mounted=mounted,
                        directory=directory,
                        report=report,
                        cancellation=cancellation,
                    )
                return self._record(
                    node,
                    inputs,
                    changes.layer,
                    lambda: self._store.add_layer_directory(
                        changes.layer, changes.directory, below=parent.diff_ids, cancellation=cancellation
                    ),
                    self._clock(),
                )
            case MakeDirectory(path):
                now_ns = self._clock()
                layer = workdir_layer(self._store.tree(parent.diff_ids), path, 0, 0, now_ns)
                return self._record(node, [parent], layer, lambda: self._store.add_layer(layer), now_ns)
        return Record(diff_id=None, created_ns=self._clock(), leaves=self._leaves(node, [parent]))

    def _record(
        self, node: Node, inputs: Sequence[State], layer: Layer, add: Callable[[], Digest], now_ns: int
    ) -> Record:
        """Return the record of a step that made `layer`, which `add` stores.

        If a step on the same layers made an equal layer before, times aside, that one is taken instead, with its time:
        what comes after it then finds its old results in the cache.
        """
        leaves = self._leaves(node, inputs)
        if not layer.changes:
            return Record(diff_id=None, created_ns=now_ns, leaves=leaves)
        parent, content = _ground(node.op, inputs[0]), layer_content(layer)
        known = None if self._settings.no_cache else self._store.find_adoptable(parent, content)
        return Record(
            diff_id=add() if known is None else known.diff_id,
            created_ns=now_ns if known is None else known.created_ns,
            leaves=leaves,
            parent=parent,
            content=content,
        )

    def _scratch(self) -> str:
        return tempfile.mkdtemp(dir=self._settings.directory)


@contextmanager
def _blaming(node: Node) -> Iterator[None]:
    """Say of what cannot be right where in the Dockerfile it stands."""
    try:
        yield
    except DockerfileError:
        raise
    except InvalidInput as error:
        if node.step is None or not node.step.line:
            raise
        raise DockerfileError(str(error), line=node.step.line, source=node.step.source) from error
