"""A git repository, checked out: what a build with a git context copies from."""

import os
import re
from collections.abc import Mapping
from dataclasses import dataclass, field, replace

from imagewright.cancellation import Cancellation
from imagewright.errors import InvalidInput
from imagewright.remote.access import Access, reach
from imagewright.remote.connection import Resolve, look_up
from imagewright.remote.contents import Contents, read_contents, read_submodules
from imagewright.remote.limits import DEFAULT_LIMITS, FetchLimits
from imagewright.remote.program import Git, Outcome
from imagewright.remote.refusals import explain
from imagewright.remote.repository import Repository, resolve_submodule

__all__ = ["fetch_repository"]

_MOST_SUBMODULES = 100
_DEEPEST = 8
_COMMIT = re.compile(r"[0-9a-f]{4,64}")
_FETCHED = re.compile(r"([0-9a-f]{40,64})\t\t(branch|tag) '([^']+)' of ")
_EVERYTHING = ("+refs/heads/*:refs/remotes/origin/*", "+refs/tags/*:refs/tags/*")


def fetch_repository(
    repository: Repository,
    directory: str,
    cancellation: Cancellation,
    *,
    limits: FetchLimits = DEFAULT_LIMITS,
    resolve: Resolve = look_up,
    commit: str = "",
) -> str:
    """Fetch `repository` into `directory`, empty and private, and return the path of its root, with its submodules.

    `subdir` is for the caller to follow. Beside the files there is a `.git`, without history where the server can do
    that, without hooks, times and secrets: the same commit gives the same files. Nothing that the repository holds is
    executed. Raises `InvalidInput`, also where the id of the commit does not begin with `commit`, `NotFound`,
    `Forbidden` or `SystemFailure` in words that hold no secret and no path of this machine, and `Cancelled`; what is in
    `directory` then is for the caller to remove.
    """
    git = Git(directory, cancellation, limits)
    git.check_version()
    fetching = _Fetching(git, cancellation, limits, resolve, expected=commit)
    root = os.path.join(directory, "checkout")
    os.mkdir(root, 0o755)
    fetching.check_out(_Checkout(repository, root, os.path.join(root, ".git")))
    return root


@dataclass(frozen=True, slots=True)
class _Checkout:
    """A repository, where its files go, and where git keeps what it keeps; `depth` counts modules of modules."""

    repository: Repository
    files: str
    store: str
    depth: int = 0

    @property
    def environment(self) -> Mapping[str, str]:
        """Where git finds both: it searches nowhere."""
        return {"GIT_DIR": self.store, "GIT_WORK_TREE": self.files}


@dataclass(slots=True)
class _Fetching:
    """Everything that one context needs."""

    git: Git
    cancellation: Cancellation
    limits: FetchLimits
    resolve: Resolve
    expected: str = ""
    contents: Contents = field(init=False)
    submodules: int = 0

    def __post_init__(self) -> None:
        self.contents = Contents(self.limits)

    def check_out(self, checkout: _Checkout) -> None:
        """Bring `checkout` here, then its submodules."""
        repository = checkout.repository
        limits = replace(self.limits, total=self.git.remaining)
        access = reach(repository, self.cancellation, limits, self.resolve)
        self._run(checkout, "init", "--quiet", "--template=")
        commit = self._fetch(checkout, access)
        if not (checkout.depth or commit.startswith(self.expected)):
            raise InvalidInput(f"expected checksum to match {self.expected}, got {commit}")
        links = read_contents(self.git, commit, checkout.files, checkout.environment, self.contents)
        self._settle(checkout, commit)
        if not links:
            return
        addresses = read_submodules(self.git, commit, checkout.files, checkout.environment)
        for path, linked in links:
            self.submodules += 1
            if self.submodules > _MOST_SUBMODULES or checkout.depth >= _DEEPEST:
                raise InvalidInput("error initializing submodules: there are too many of them")
            if path not in addresses:
                raise InvalidInput(
                    f"error initializing submodules: fatal: No url found for submodule path '{path}' in .gitmodules"
                )
            module = resolve_submodule(repository, addresses[path], linked)
            self.check_out(self._prepare(checkout, path, module))

    def _prepare(self, checkout: _Checkout, path: str, module: Repository) -> _Checkout:
        """Return where the submodule `module` goes: `path` is a directory that git has made for it."""
        files = os.path.join(checkout.files, path)
        # Whatever the repository tried with links: nobody but us writes here, so what is right now stays right.
        if os.path.realpath(files) != files or not os.path.isdir(files) or os.listdir(files):
            raise InvalidInput(f"error initializing submodules: '{path}' is no place for a submodule")
        store = os.path.join(checkout.store, "modules", path)
        os.makedirs(os.path.dirname(store), exist_ok=True)
        with open(os.path.join(files, ".git"), "x", encoding="utf-8", errors="surrogateescape") as link:
            link.write(f"gitdir: {os.path.relpath(store, files)}\n")
        os.chmod(os.path.join(files, ".git"), 0o644)
        return _Checkout(module, files, store, checkout.depth + 1)

    def _fetch(self, checkout: _Checkout, access: Access) -> str:
        """Fetch what is wanted, and return the commit."""
        ref = checkout.repository.ref
        depth = ("--depth=1",) if access.shallow else ()
        outcome = self._git(checkout, access, "fetch", "--quiet", *depth, "--", access.url, ref)
        if not outcome.status:
            return self._parse(checkout, "FETCH_HEAD^{commit}") or self._refuse(checkout, access, outcome)
        if _COMMIT.fullmatch(ref):
            # Not every server gives a commit that no branch ends in, and none knows the beginning of an id.
            everything = self._git(checkout, access, "fetch", "--quiet", "--", access.url, *_EVERYTHING)
            commit = "" if everything.status else self._parse(checkout, f"{ref}^{{commit}}")
            if commit:
                return commit
        return self._refuse(checkout, access, outcome)

    def _parse(self, checkout: _Checkout, name: str) -> str:
        outcome = self.git.run(
            *("rev-parse", "--verify", "--quiet", "--end-of-options", name),
            at=checkout.files,
            environment=checkout.environment,
        )
        return "" if outcome.status else outcome.output.decode().strip()

    def _settle(self, checkout: _Checkout, commit: str) -> None:
        """Write the files of `commit`, and leave of the traces of that only those that are always the same."""
        fetched = os.path.join(checkout.store, "FETCH_HEAD")
        branch = ""
        if os.path.exists(fetched):
            with open(fetched, encoding="utf-8", errors="replace") as file:
                known = _FETCHED.match(file.readline())
            os.unlink(fetched)
            if known and known[2] == "branch":
                branch = known[3]
            elif known:
                self._run(checkout, "update-ref", f"refs/tags/{known[3]}", known[1])
        where = ("-B", branch) if branch and not branch.startswith("-") else ("--detach",)
        self._run(checkout, "checkout", "--quiet", "--force", *where, commit, "--")
        # The index that git has just written knows the times and the numbers of the files.
        os.unlink(os.path.join(checkout.store, "index"))
        self._run(checkout, "read-tree", commit)
        self._run(checkout, "config", "--local", "remote.origin.url", checkout.repository.url)
        self._run(checkout, "config", "--local", "remote.origin.fetch", _EVERYTHING[0])
        if checkout.depth:
            self._run(checkout, "config", "core.worktree", os.path.relpath(checkout.files, checkout.store))

    def _run(self, checkout: _Checkout, *arguments: str) -> None:
        """Run git without the network."""
        outcome = self.git.run(*arguments, at=checkout.files, environment=checkout.environment)
        if outcome.status:
            raise InvalidInput(f"error checking out {checkout.repository.ref}: {explain(outcome, checkout.repository)}")

    def _git(self, checkout: _Checkout, access: Access, *arguments: str) -> Outcome:
        environment = {**checkout.environment, **access.environment}
        return self.git.run(*arguments, at=checkout.files, config=access.config, environment=environment)

    @staticmethod
    def _refuse(checkout: _Checkout, access: Access, outcome: Outcome) -> str:
        text = explain(outcome, checkout.repository, address=access.url)
        prefix = "error initializing submodules" if checkout.depth else "error fetching"
        raise InvalidInput(f"{prefix}: {text}")
