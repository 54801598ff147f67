"""Whether a RUN may have what it asks for, known before anything runs."""

from collections.abc import Collection

from imagewright.build.request import BuildRequest, Entitlement
from imagewright.errors import InvalidInput
from imagewright.plan import RunCommand

__all__ = ["check_permission"]


def check_permission(op: RunCommand, request: BuildRequest, entitlements: Collection[Entitlement]) -> None:
    """Raise `InvalidInput` if `op` must have a secret or an agent that is not there, or asks for what is not given.

    `entitlements` are what the engine gives to those who ask for it.
    """
    for mount in op.mounts:
        flag = mount.flag
        if flag.required and flag.kind == "secret" and flag.id not in request.secrets:
            raise InvalidInput(f"secret {flag.id}: not found")
        if flag.required and flag.kind == "ssh" and flag.id not in request.agents:
            raise InvalidInput(f"no SSH key {flag.id} forwarded from the client")
    if op.network == "host" and request.network_mode != "host" and "network.host" not in request.allow:
        raise InvalidInput(
            "network.host is not allowed: the build must be given allow=network.host or networkmode=host"
        )
    if op.insecure and "security.insecure" not in entitlements:
        raise InvalidInput("security.insecure is not allowed by this engine")
    if op.insecure and "security.insecure" not in request.allow:
        raise InvalidInput("security.insecure is not allowed: the build must be given allow=security.insecure")
