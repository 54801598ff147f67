import ipaddress
import socket
import struct

from imagewright.sandbox.network import REFUSED, hosts_file, resolv_conf, route_message


def test_hosts() -> None:
    text = hosts_file("abc", "10.0.2.100", [("x", "1.2.3.4"), ("y", "::5")])
    assert text.startswith("127.0.0.1\tlocalhost\n")
    assert text.endswith("1.2.3.4\tx\n::5\ty\n10.0.2.100\tabc\n")
    assert "abc" not in hosts_file("abc", "", [])


def test_resolv_conf_keeps_how_names_are_completed() -> None:
    host = "# nameserver 9.9.9.9\nnameserver 10.1.1.1\n\nsearch a.example b.example\noptions ndots:2\n"
    assert resolv_conf(host, "10.0.2.3") == "nameserver 10.0.2.3\nsearch a.example b.example\noptions ndots:2\n"
    assert resolv_conf("", "10.0.2.3") == "nameserver 10.0.2.3\n"


def test_what_is_refused_covers_the_metadata_services() -> None:
    networks = [ipaddress.ip_network(f"{address}/{length}") for address, length in REFUSED]
    for address in ("169.254.169.254", "169.254.170.2", "100.100.100.200", "192.0.0.192", "168.63.129.16"):
        assert any(ipaddress.ip_address(address) in network for network in networks), address


def test_route_message() -> None:
    message = route_message("169.254.0.0", 16)
    length, kind, flags, sequence, port = struct.unpack_from("=IHHII", message)
    assert (length, kind, flags, sequence, port) == (len(message), 24, 0x405, 1, 0)
    family, destination_length, _, _, table, _, _, route_type, _ = struct.unpack_from("=BBBBBBBBI", message, 16)
    assert (family, destination_length, table, route_type) == (socket.AF_INET, 16, 254, 7)
    assert struct.unpack_from("=HH4s", message, 28) == (8, 1, bytes([169, 254, 0, 0]))
