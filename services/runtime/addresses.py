"""Where a call comes from, as far as one client can be told from another by it."""

from ipaddress import IPv6Address, IPv6Network, ip_address

NETWORK_BITS = 64
"""Of IPv6 every client has a network of this prefix to choose addresses from (RFC 4291 §2.5.1, RFC 8981)."""


def network_of(address: str) -> str:
    """An IPv4 address, an IPv6 network, or whatever else the address is."""
    try:
        known = ip_address(address)
    except ValueError:
        return address
    if not isinstance(known, IPv6Address):
        return str(known)
    return str(known.ipv4_mapped or IPv6Network((int(known), NETWORK_BITS), strict=False))
