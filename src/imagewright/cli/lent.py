"""Options about what a build is lent and allowed: secrets, ssh agents, entitlements."""

import functools
from collections.abc import Callable, Mapping, Sequence
from dataclasses import dataclass, field
from typing import Any, TypeVar

import click

from imagewright.cli.secrets import parse_secrets
from imagewright.cli.ssh_agents import parse_forwarded
from imagewright.engine import Entitlement

__all__ = ["Lent", "lent_options"]

_Function = TypeVar("_Function", bound=Callable[..., object])
_OPTIONS = (
    click.option(
        "--secret",
        "secret_texts",
        multiple=True,
        metavar="id=ID[,src=FILE|,env=VAR]",
        help="Show this to RUN --mount=type=secret, and to nobody else; may be repeated.",
    ),
    click.option(
        "--ssh",
        "ssh_texts",
        multiple=True,
        metavar="default|ID[=SOCKET]",
        help="Lend RUN --mount=type=ssh an ssh agent, by default that of SSH_AUTH_SOCK; may be repeated.",
    ),
    click.option(
        "--allow",
        "allowed",
        multiple=True,
        type=click.Choice(["network.host", "security.insecure"]),
        help="Let RUN --network=host or --security=insecure have what they ask for; may be repeated.",
    ),
)


@dataclass(frozen=True, slots=True, kw_only=True)
class Lent:
    """What a build is lent: `secrets` and the sockets of `agents` by id, and what it may `allow` its steps."""

    secrets: Mapping[str, bytes] = field(default_factory=dict, repr=False)
    agents: Mapping[str, str] = field(default_factory=dict)
    allow: frozenset[Entitlement] = frozenset()


def lent_options(function: _Function) -> _Function:
    """Add --secret, --ssh and --allow to a command, which gets a `Lent` as `lent`."""

    @functools.wraps(function)
    def command(
        *, secret_texts: Sequence[str], ssh_texts: Sequence[str], allowed: Sequence[Entitlement], **others: Any
    ) -> Any:
        lent = Lent(
            secrets=parse_secrets("--secret", secret_texts),
            agents=parse_forwarded("--ssh", ssh_texts),
            allow=frozenset(allowed),
        )
        return function(lent=lent, **others)

    for option in reversed(_OPTIONS):
        option(command)
    # The signature is not that of `function`, but click asks for none.
    return command  # type: ignore[return-value]
