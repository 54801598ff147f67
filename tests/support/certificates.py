"""A certificate authority of the test's own, made by the openssl program."""

import os
import ssl
import subprocess
from dataclasses import dataclass

__all__ = ["Authority", "Pair"]


@dataclass(frozen=True)
class Pair:
    """A certificate and its key, as PEM files."""

    certificate: str
    key: str


class Authority:
    """An authority whose files are in `directory`, which must exist; `certificate` is what others are to trust."""

    def __init__(self, directory: str, *, name: str = "authority") -> None:
        self._directory = directory
        self._name = name
        self.pair = self._make(
            name, f"/CN={name}", ("-x509", "-addext", "keyUsage=critical,keyCertSign,digitalSignature")
        )

    @property
    def certificate(self) -> str:
        """The path of the authority's certificate."""
        return self.pair.certificate

    def issue(
        self,
        name: str,
        *,
        addresses: tuple[str, ...] = ("127.0.0.1", "::1"),
        hosts: tuple[str, ...] = ("localhost",),
        days: int = 2,
    ) -> Pair:
        """Return a new certificate, for a server at `addresses` and `hosts` or a client called `name`."""
        alternatives = ",".join([*(f"IP:{address}" for address in addresses), *(f"DNS:{host}" for host in hosts)])
        extensions = ("-addext", f"subjectAltName={alternatives}", "-addext", "basicConstraints=CA:FALSE")
        authority = ("-CA", self.pair.certificate, "-CAkey", self.pair.key)
        return self._make(f"{self._name}-{name}", f"/CN={name}", ("-x509", *extensions, *authority), days=days)

    def issue_rsa(self, name: str) -> Pair:
        """Return a new certificate whose key signs with RSA, as tokens are signed."""
        authority = ("-x509", "-CA", self.pair.certificate, "-CAkey", self.pair.key)
        return self._make(f"{self._name}-{name}", f"/CN={name}", authority, key=("rsa:2048",))

    def server_context(self, pair: Pair, *, clients: str | None = None) -> ssl.SSLContext:
        """Return the context of a server; `clients` is the authority that its clients must be known to."""
        context = ssl.SSLContext(ssl.PROTOCOL_TLS_SERVER)
        context.load_cert_chain(pair.certificate, pair.key)
        if clients is not None:
            context.load_verify_locations(clients)
            context.verify_mode = ssl.CERT_REQUIRED
        return context

    def _make(
        self,
        name: str,
        subject: str,
        arguments: tuple[str, ...],
        *,
        days: int = 2,
        key: tuple[str, ...] = ("ec", "-pkeyopt", "ec_paramgen_curve:P-256"),
    ) -> Pair:
        pair = Pair(os.path.join(self._directory, f"{name}.crt"), os.path.join(self._directory, f"{name}.key"))
        command = ("openssl", "req", "-newkey", *key, "-nodes", "-sha256")
        files = ("-keyout", pair.key, "-out", pair.certificate, "-subj", subject, "-days", str(days))
        subprocess.run([*command, *files, *arguments], check=True, capture_output=True, stdin=subprocess.DEVNULL)
        return pair
