# SPDX-License-Identifier: GPL-2.0-or-later
"""Packets made by hand, of both families: for sources that are not the sender's, for fragments and extension headers,
and for SCTP, of which the kernel need not know more than conntrack does.

A packet bears a token of 32 bits, by which it is known where it arrives."""
import socket
import struct

TCP, UDP, ICMP, ICMP6, SCTP = 6, 17, 1, 58, 132
HOP_BY_HOP, ROUTING, FRAGMENT, DESTINATION = 0, 43, 44, 60  # extension headers of IPv6
INIT, INIT_ACK, COOKIE = 1, 2, 7


def family_of(ip):
    return socket.AF_INET6 if ":" in ip else socket.AF_INET


def packed(ip):
    return socket.inet_pton(family_of(ip), ip)


# --- checksums ---

def checksum(data):
    if len(data) % 2:
        data += b"\0"
    total = sum(struct.unpack(f"!{len(data) // 2}H", data))
    while total >> 16:
        total = (total & 0xFFFF) + (total >> 16)
    return ~total & 0xFFFF


def crc32c(data):
    crc = 0xFFFFFFFF
    for byte in data:
        crc ^= byte
        for _ in range(8):
            crc = crc >> 1 ^ (0x82F63B78 if crc & 1 else 0)
    return crc ^ 0xFFFFFFFF


def summed(number, src, dst, body, place):
    """The body with its checksum, which covers a part of the IP header too."""
    length = struct.pack("!I3xB" if ":" in dst else "!xBH", *((len(body), number) if ":" in dst else (number, len(body))))
    total = checksum(packed(src) + packed(dst) + length + body)
    return body[:place] + struct.pack("!H", total) + body[place + 2:]


# --- SCTP ---

def sctp(kind, sport, dport, tag, words=b""):
    """One chunk that begins an association (RFC 9260), or answers; words go where an answer has its cookie."""
    cookie = struct.pack("!HH", COOKIE, 4 + len(words)) + words + b"\0" * (-len(words) % 4) if words else b""
    chunk = struct.pack("!BBHIIHHI", kind, 0, 20 + len(cookie), 0x12345678, 65536, 1, 1, 1) + cookie
    head = struct.pack("!HHII", sport, dport, tag, 0)
    return head[:8] + struct.pack("<I", crc32c(head + chunk)) + chunk


def sctp_of(body):
    """(sport, dport, kind, words) of what sctp() makes, else None."""
    if len(body) < 32 or body[12] not in (INIT, INIT_ACK):
        return None
    words = body[36:32 + struct.unpack("!H", body[34:36])[0]] if len(body) > 36 else b""
    return (*struct.unpack("!HH", body[:4]), body[12], words)


# --- IP ---

def ip_packet(number, src, dst, body, options=b"", fragment=0):
    """IPv4. fragment: flags and offset, as the header has them."""
    head = struct.pack("!BBHHHBBH", 0x45 + len(options) // 4, 0, 20 + len(options) + len(body), 0x4857 if fragment else 0, fragment,
                       64, number, 0) + packed(src) + packed(dst) + options
    return head[:10] + struct.pack("!H", checksum(head)) + head[12:] + body


def ip6_packet(number, src, dst, body, extensions=()):
    """extensions: (number, the header without its first byte), the outermost first."""
    for kind, rest in reversed(extensions):
        body, number = bytes([number]) + rest + body, kind
    return struct.pack("!IHBB", 6 << 28, len(body), number, 64) + packed(src) + packed(dst) + body


def simple(number, src, dst, body, **more):
    return (ip6_packet if ":" in dst else ip_packet)(number, src, dst, body, **more)


PADDING = b"\0\1\4\0\0\0\0"  # a header of eight bytes that says nothing
EXTENSIONS = {
    "hop-by-hop": [(HOP_BY_HOP, PADDING)],
    "destination": [(DESTINATION, PADDING)],
    "routing": [(ROUTING, b"\0\xfd\0\0\0\0\0")],  # which has been gone all the way
    "many": [(HOP_BY_HOP, PADDING), (DESTINATION, PADDING), (ROUTING, b"\0\xfd\0\0\0\0\0"), (DESTINATION, PADDING)],
}


# How a message may look, by family. Of the broken ones nothing needs to arrive.
WHOLE = {4: ["plain", "options", "fragments", "last fragment first"],
         6: ["plain", *EXTENSIONS, "fragments", "last fragment first", "atomic fragment", "extension in fragments"]}
BROKEN = ["tiny fragment", "first fragment alone"]


def fragments(number, src, dst, body, first, extensions=()):
    """Two; `first`: bytes of the body in the first one. Extensions stand in what is cut, and so in the first."""
    if ":" not in dst:
        return [ip_packet(number, src, dst, body[:first], fragment=0x2000), ip_packet(number, src, dst, body[first:], fragment=first // 8)]
    for kind, rest in reversed(extensions):
        body, number, first = bytes([number]) + rest + body, kind, first + 1 + len(rest)
    return [ip6_packet(number, src, dst, part, [(FRAGMENT, struct.pack("!xHI", offset | more, 0x48574857))])
            for part, offset, more in ((body[:first], 0, 1), (body[first:], first, 0))]


def shaped(form, number, src, dst, body):
    """The IP packets of one message. form: how it looks."""
    if form == "plain":
        return [simple(number, src, dst, body)]
    if form == "options":  # of IPv4: nothing, four times
        return [ip_packet(number, src, dst, body, options=b"\1\1\1\1")]
    if form in EXTENSIONS:
        return [ip6_packet(number, src, dst, body, EXTENSIONS[form])]
    parts = {"fragments": lambda: fragments(number, src, dst, body, 24),
             "last fragment first": lambda: fragments(number, src, dst, body, 24)[::-1],
             "tiny fragment": lambda: fragments(number, src, dst, body, 8),
             "extension in fragments": lambda: fragments(number, src, dst, body, 24, EXTENSIONS["destination"]),
             "first fragment alone": lambda: fragments(number, src, dst, body, 24)[:1],
             "atomic fragment": lambda: [ip6_packet(number, src, dst, body, [(FRAGMENT, b"\0\0\0\0\0\0\7")])]}
    return parts[form]()


def packets(proto, src, dst, sport, dport, token, form="plain"):
    """The IP packets of one message whose token is TCP's sequence number, the first of UDP's payload, an echo's number,
    or, of the message "packet too big", the size that it tells of."""
    more = b"" if form == "plain" else b"\0" * 28  # so that there is something to cut
    if proto == "tcp":
        body = summed(TCP, src, dst, struct.pack("!HHIIBBHHH", sport, dport, token, 0, 5 << 4, 0x02, 64240, 0, 0) + more, 16)
        return shaped(form, TCP, src, dst, body)
    if proto == "udp":
        body = summed(UDP, src, dst, struct.pack("!HHHHI", sport, dport, 12 + len(more), 0, token) + more, 6)
        return shaped(form, UDP, src, dst, body)
    number = ICMP6 if ":" in dst else ICMP
    if proto == "icmp":
        body = struct.pack("!BBHI", 128 if number == ICMP6 else 8, 0, 0, token) + more
    elif proto == "too big":  # about a datagram that nobody sent
        about = packets("udp", dst, src, dport, sport, token)[0]
        body = struct.pack("!BBHI", 2 if number == ICMP6 else 3, 0 if number == ICMP6 else 4, 0, token) + about
    else:
        raise ValueError(f"no packet of {proto}")
    if number == ICMP:
        return shaped(form, number, src, dst, body[:2] + struct.pack("!H", checksum(body)) + body[4:])
    return shaped(form, number, src, dst, summed(number, src, dst, body, 2))


def packet(*what):
    return packets(*what)[0]


def upper(data):
    """(src, dst, number, body) of an IP packet; None: of a fragment that is not the first, and of anything else."""
    if len(data) >= 20 and data[0] >> 4 == 4:
        if struct.unpack("!H", data[6:8])[0] & 0x1FFF:
            return None
        return socket.inet_ntoa(data[12:16]), socket.inet_ntoa(data[16:20]), data[9], data[(data[0] & 15) * 4:]
    if len(data) < 40 or data[0] >> 4 != 6:
        return None
    number, body = data[6], data[40:]
    while number in (HOP_BY_HOP, ROUTING, FRAGMENT, DESTINATION) and len(body) >= 8:
        if number == FRAGMENT and struct.unpack("!H", body[2:4])[0] & 0xFFF8:
            return None
        number, body = body[0], body[8 if number == FRAGMENT else 8 + 8 * body[1]:]
    return socket.inet_ntop(socket.AF_INET6, data[8:24]), socket.inet_ntop(socket.AF_INET6, data[24:40]), number, body


def token_of(data):
    """(src, dst, proto, dport, token) of a packet as packets() makes them, else None."""
    found = upper(data)
    if not found:
        return None
    src, dst, number, body = found
    if number == TCP and len(body) >= 14 and body[13] & 0x12 == 0x02 or number == TCP and len(body) == 8:
        return src, dst, "tcp", struct.unpack("!H", body[2:4])[0], struct.unpack("!I", body[4:8])[0]
    if number == UDP and len(body) >= 12:
        return src, dst, "udp", struct.unpack("!H", body[2:4])[0], struct.unpack("!I", body[8:12])[0]
    if (number, body[:1]) in ((ICMP, b"\x08"), (ICMP6, b"\x80")) and len(body) >= 8:
        return src, dst, "icmp", 0, struct.unpack("!I", body[4:8])[0]
    if (number, body[:1]) in ((ICMP, b"\x03"), (ICMP6, b"\x02")) and len(body) >= 8:
        return src, dst, "too big", 0, struct.unpack("!I", body[4:8])[0]
    return None
