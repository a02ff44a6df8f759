"""Which IP addresses requests may go to: public ones, and none of a metadata or platform service."""

import ipaddress

_IPV6_PUBLIC = ipaddress.ip_network("2000::/3")  # RFC 4291, 2.4: the only global unicast addresses in use
_BLOCKED = tuple(
    ipaddress.ip_network(network)
    for network in (
        "2001::/32",  # Teredo, which carries an IPv4 address
        "2002::/16",  # 6to4, which carries an IPv4 address
        "192.0.0.0/24",  # IETF's protocols, with the metadata of Oracle Cloud; Python knew only parts of it
        "192.88.99.0/24",  # relays to 6to4
        "168.63.129.16/32",  # Azure's platform services
        "100.100.100.200/32",  # the metadata of Alibaba Cloud
    )
)


def is_public(address: str) -> bool:
    """Return whether an IP address is public: neither private nor a form of an IPv4 address."""
    ip = ipaddress.ip_address(address)
    if ip.is_multicast or not ip.is_global or any(ip in network for network in _BLOCKED):
        return False
    return ip.version == 4 or ip in _IPV6_PUBLIC
