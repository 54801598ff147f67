"""What every test may count on: a marked test runs where it can, and says why where it cannot."""

import functools
import os
import shutil

import pytest
from hypothesis import settings

# Machines that run tests have other things to do too: no example is failed for its time alone.
settings.register_profile("imagewright", deadline=None)
settings.register_profile("fuzz", deadline=None, max_examples=int(os.environ.get("FUZZ_EXAMPLES", "10000")))
settings.load_profile("imagewright")

_PROGRAMS = {
    "privileged": ("runc", "slirp4netns", "busybox", "unshare", "ps"),
    "compat": ("runc", "slirp4netns", "busybox", "unshare", "ps", "dockerd", "docker"),
}


@functools.cache
def _missing(marker: str, extra: tuple[str, ...]) -> str:
    """Return why a test with `marker` cannot run on this machine, empty if it can."""
    if os.geteuid() != 0:
        return "needs root"
    search = os.pathsep.join([os.environ.get("PATH", ""), "/usr/sbin", "/sbin"])
    missing = [program for program in (*_PROGRAMS[marker], *extra) if shutil.which(program, path=search) is None]
    return f"needs {', '.join(missing)}" if missing else ""


def pytest_runtest_setup(item: pytest.Item) -> None:
    """Skip a test whose programs are missing; under CI they must not be. `privileged("git")` names further ones."""
    for name in _PROGRAMS:
        marker = item.get_closest_marker(name)
        reason = _missing(name, marker.args) if marker else ""
        if reason and os.environ.get("CI") == "true":
            pytest.fail(f"{name} test {reason}, and CI=true", pytrace=False)
        if reason:
            pytest.skip(f"{name} test {reason}")
