"""Whether a RUN may have what it asks for."""

from collections.abc import Collection, Iterable, Sequence

from imagewright.build.request import BuildRequest, Entitlement
from imagewright.dockerfile import Instruction, MountFlag, Run
from imagewright.errors import DockerfileError, InvalidInput
from imagewright.plan import RunCommand, plan_mounts

__all__ = ["Permissions"]


class Permissions:
    """What `request` gives to RUN steps, of which `entitlements` are what the engine lets requests give."""

    def __init__(self, request: BuildRequest, entitlements: Collection[Entitlement]) -> None:
        self._request = request
        self._entitlements = entitlements

    def check_file(self, instructions: Iterable[Instruction]) -> None:
        """Raise `DockerfileError` for the first of `instructions` that asks for too much, as far as its text says so.

        What a variable decides is known when its step is reached: then `check` is for it.
        """
        for instruction in instructions:
            if not isinstance(instruction, Run):
                continue
            plain = [text for text in instruction.mounts if "$" not in text]
            try:
                mounts, _ = plan_mounts(plain, expand=str, workdir="/", find_source=lambda _: 0)
            except InvalidInput:
                continue  # told when the instruction is compiled
            try:
                self._check(
                    [mount.flag for mount in mounts],
                    network=instruction.network,
                    insecure=instruction.security == "insecure",
                )
            except InvalidInput as error:
                line, source = instruction.span.start, instruction.source
                raise DockerfileError(str(error), line=line, source=source) from error

    def check(self, op: RunCommand) -> None:
        """Raise `InvalidInput` if `op` must have what is not there, or asks for what is not given."""
        self._check([mount.flag for mount in op.mounts], network=op.network, insecure=op.insecure)

    def _check(self, flags: Sequence[MountFlag], *, network: str, insecure: bool) -> None:
        request = self._request
        for flag in flags:
            if flag.required and flag.kind == "secret" and flag.id not in request.secrets:
                raise InvalidInput(f"secret {flag.id}: not found")
            if flag.kind == "secret" and flag.env:
                _check_variable(flag, request.secrets.get(flag.id, b""))
            if flag.required and flag.kind == "ssh" and flag.id not in request.agents:
                raise InvalidInput(f"no SSH key {flag.id} forwarded from the client")
        if network == "host" and request.network_mode != "host" and "network.host" not in request.allow:
            raise InvalidInput("network.host is not allowed: the build must have allow=network.host")
        if insecure and "security.insecure" not in self._entitlements:
            raise InvalidInput("security.insecure is not allowed by this engine")
        if insecure and "security.insecure" not in request.allow:
            raise InvalidInput("security.insecure is not allowed: the build must have allow=security.insecure")


def _check_variable(flag: MountFlag, value: bytes) -> None:
    """Raise `InvalidInput`, which does not quote `value`, if that cannot be the value of a variable."""
    if "=" in flag.env or "\0" in flag.env:
        raise InvalidInput(f"secret {flag.id}: there is no variable of the name {flag.env!r}")
    if b"\0" in value:
        raise InvalidInput(f"secret {flag.id}: it has NUL characters, which the variable {flag.env} cannot hold")
    # Not `from` it: the cause would quote the value.
    valid = value.decode(errors="ignore").encode() == value
    if not valid:
        raise InvalidInput(f"secret {flag.id}: it is no UTF-8, which the variable {flag.env} must be")
