"""Authorities and client certificates for each registry, in a directory laid out as Docker's `certs.d`.

https://docs.docker.com/engine/security/certificates/: under `HOST:PORT/`, `*.crt` are authorities; each `NAME.cert` is
a client certificate with its key in `NAME.key`.
"""

import os
import ssl

from imagewright.errors import SystemFailure
from imagewright.registry.addresses import Origin

__all__ = ["has_authorities", "tls_context"]


def has_authorities(directory: str, origin: Origin) -> bool:
    """Tell whether the operator gave authorities for `origin`, and so wants it verified."""
    return any(name.endswith(".crt") for name in _list(_find(directory, origin)))


def tls_context(directory: str, origin: Origin, *, verify: bool) -> ssl.SSLContext:
    """Return how to speak TLS to `origin`: the system's authorities and those of the directory, TLS 1.2 or newer.

    Raises `SystemFailure` for a certificate that cannot be read, or one whose key is missing.
    """
    context = ssl.SSLContext(ssl.PROTOCOL_TLS_CLIENT)
    context.minimum_version = ssl.TLSVersion.TLSv1_2
    if verify:
        # Reading them takes some 20 ms, which a registry without certificates need not pay.
        context.load_default_certs()
    else:
        context.check_hostname = False
        context.verify_mode = ssl.CERT_NONE
    found = _find(directory, origin)
    names = _list(found)
    for name in names:
        stem, dot, suffix = name.rpartition(".")
        if not dot or suffix not in {"crt", "cert", "key"}:
            continue
        partner = {"cert": f"{stem}.key", "key": f"{stem}.cert"}.get(suffix)
        if partner and partner not in names:
            kind = "key" if suffix == "cert" else "certificate"
            raise SystemFailure(f"missing {kind} {partner} for {name} among the certificates of {origin.authority}")
        try:
            if suffix == "crt":
                context.load_verify_locations(os.path.join(found, name))
            elif suffix == "cert":
                context.load_cert_chain(os.path.join(found, name), os.path.join(found, f"{stem}.key"), password="")
        except (OSError, ValueError) as error:
            raise SystemFailure(f"cannot use {name} among the certificates of {origin.authority}") from error
    return context


def _find(directory: str, origin: Origin) -> str:
    """Return where the certificates of `origin` are; the port may be left out if it is that of https."""
    with_port = os.path.join(directory, origin.dialled)
    return with_port if os.path.isdir(with_port) else os.path.join(directory, origin.authority)


def _list(directory: str) -> list[str]:
    try:
        return sorted(os.listdir(directory))
    except OSError:
        return []
