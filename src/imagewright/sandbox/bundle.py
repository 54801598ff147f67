"""The directory of one running container: what the runtime reads, and what is mounted from it.

Most of it is in memory that only the thread which starts the runtime has mounted, and that goes with its mounts: on a
disk, making and removing two dozen files for each RUN takes longer than a process that does nothing.
"""

import os
import socket
from dataclasses import dataclass

import msgspec

from imagewright.sandbox.capabilities import held_capabilities
from imagewright.sandbox.network import ADDRESS, NAME_SERVER, hosts_file, resolv_conf
from imagewright.sandbox.request import RunRequest
from imagewright.sandbox.runtime import architecture
from imagewright.sandbox.spec import CAPABILITIES, ContainerMount, ContainerSpec, runtime_spec

__all__ = ["Bundle"]

_ETC_FILES = ("hosts", "hostname", "resolv.conf")
_RESOLV_CONF = "/etc/resolv.conf"


@dataclass(frozen=True, slots=True)
class Bundle:
    """A bundle in `directory` (absolute), whose last component is the container's id."""

    directory: str

    @property
    def rootfs(self) -> str:
        """Where the root filesystem is mounted."""
        return f"{self.private}/rootfs"

    @property
    def links(self) -> str:
        """Where the short names of layer directories are."""
        return f"{self.private}/l"

    @property
    def mount_points(self) -> str:
        """Where a layer directory of mount points is that no other container has."""
        return f"{self.directory}/init"

    @property
    def started(self) -> bool:
        """Whether the process of the container has been started."""
        return os.path.exists(f"{self.directory}/pid")

    def cgroup(self) -> str:
        """Return the name of the container's control group, "" if that is not written down."""
        try:
            with open(f"{self.directory}/cgroup", encoding="utf-8", errors="surrogateescape") as file:
                return file.read()
        except OSError:
            return ""

    def log(self) -> bytes:
        """Return what the runtime wrote of itself."""
        try:
            with open(f"{self.directory}/log", "rb") as file:
                return file.read(1 << 20)
        except FileNotFoundError:
            return b""

    @property
    def private(self) -> str:
        """Where memory is mounted, and the runtime finds what to run."""
        return f"{self.directory}/private"

    def write_cgroup(self, cgroup: str) -> None:
        """Write the name of the container's control group down, for `cgroup` of a later process."""
        with open(f"{self.directory}/cgroup", "w", encoding="utf-8", errors="surrogateescape") as file:
            file.write(cgroup)

    def write(self, request: RunRequest) -> None:
        """Write everything but the configuration to `private`, which the calling thread has mounted."""
        os.mkdir(self.rootfs, 0o755)
        for name, text in _etc_texts(request, _hostname(request)).items():
            with open(f"{self.private}/{name}", "w", encoding="utf-8", errors="surrogateescape") as file:
                file.write(text)
            os.chmod(f"{self.private}/{name}", 0o644)
        for number, (_, data) in enumerate(request.scripts):
            path = self._script(number)
            with open(path, "xb") as script:
                script.write(data)
            os.chmod(path, 0o755)  # noqa: S103 - any user of the container may be the one to run it

    def _script(self, number: int) -> str:
        return f"{self.private}/script-{number}"

    def write_configuration(
        self,
        request: RunRequest,
        *,
        cwd: str,
        cgroup: str,
        network_namespace: str,
        filtered: bool = False,
        mounts: tuple[ContainerMount, ...] = (),
    ) -> None:
        """Write what the runtime is to run; raises `InvalidInput` for a request that is refused.

        The runtime is `filtered` if it is started under `inherited_filter`.
        """
        hostname = _hostname(request)
        binds = [(f"{self.private}/{name}", f"/etc/{name}") for name in _ETC_FILES]
        binds += [(self._script(number), f"/dev/pipes/{name}") for number, (name, _) in enumerate(request.scripts)]
        spec = runtime_spec(
            ContainerSpec(
                argv=request.argv,
                env=(*_with_hostname(request.env, hostname), *request.secret_env),
                cwd=cwd,
                uid=request.uid,
                gid=request.gid,
                groups=request.groups,
                rootfs=self.rootfs,
                hostname=hostname,
                binds=tuple(binds),
                network=request.network,
                network_namespace=network_namespace,
                cgroup=cgroup,
                architecture=architecture(),
                filtered=filtered,
                limits=request.limits,
                shm_size=request.shm_size,
                mounts=mounts,
                insecure=request.insecure,
                capabilities=held_capabilities() if request.insecure else CAPABILITIES,
            )
        )
        with open(f"{self.private}/config.json", "wb") as document:
            document.write(msgspec.json.encode(spec))


def _hostname(request: RunRequest) -> str:
    if request.hostname:
        return request.hostname
    return socket.gethostname() if request.network == "host" else request.container_id[:12]


def _with_hostname(env: tuple[str, ...], hostname: str) -> tuple[str, ...]:
    return env if any(item.startswith("HOSTNAME=") for item in env) else (*env, f"HOSTNAME={hostname}")


def _etc_texts(request: RunRequest, hostname: str) -> dict[str, str]:
    address, resolver = "127.0.0.1", ""
    if request.network == "host":
        resolver = _host_resolv_conf()
    elif request.network == "default":
        address, resolver = ADDRESS, resolv_conf(_host_resolv_conf(), NAME_SERVER)
    return {
        "hosts": hosts_file(hostname, address, request.extra_hosts),
        "hostname": f"{hostname}\n",
        "resolv.conf": resolver,
    }


def _host_resolv_conf() -> str:
    try:
        with open(_RESOLV_CONF, encoding="utf-8", errors="surrogateescape") as file:
            return file.read(1 << 16)
    except OSError:
        return ""
