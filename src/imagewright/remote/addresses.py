"""Which addresses of the network are fetched from, and which never."""

import ipaddress

__all__ = ["is_refused"]

# Services of clouds that tell whoever asks from the machine who it is, beyond those at link-local addresses: Amazon's
# in IPv6, Alibaba's, Azure's, Oracle's.
_METADATA = frozenset(map(ipaddress.ip_address, ("fd00:ec2::254", "100.100.100.200", "168.63.129.16", "192.0.0.192")))
_NAT64 = ipaddress.ip_network("64:ff9b::/96")


def is_refused(address: str) -> bool:
    """Whether nothing may be fetched from `address`, an address of IPv4 or IPv6, or from the one that it stands for."""
    ip = ipaddress.ip_address(address.partition("%")[0])
    if isinstance(ip, ipaddress.IPv6Address):
        inner = [ip.ipv4_mapped, ip.sixtofour, *(ip.teredo or ())]
        if ip in _NAT64:
            inner.append(ipaddress.IPv4Address(int(ip) & 0xFFFFFFFF))
        if any(other is not None and is_refused(str(other)) for other in inner):
            return True
    # Most of IPv6 is reserved, its loopback address included.
    reserved = ip.version == 4 and ip.is_reserved
    return ip in _METADATA or ip.is_link_local or ip.is_multicast or ip.is_unspecified or reserved
