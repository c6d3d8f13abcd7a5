"""A DNS server on this machine, with a zone to fill."""

import socket
import threading
from collections.abc import Iterator
from contextlib import contextmanager

import dns.flags
import dns.message
import dns.rcode
import dns.rdatatype
import dns.resolver
import dns.rrset

Zone = dict[tuple[str, str], list[str]]


@contextmanager
def zone_on_this_machine() -> Iterator[tuple[Zone, dns.resolver.Resolver]]:
    """A zone, with the root above it, and a resolver that asks its server. The record "broken" is a server's failure."""
    zone: Zone = {(".", "NS"): ["a.root-servers.net."]}
    server = socket.socket(socket.AF_INET, socket.SOCK_DGRAM)
    server.bind(("127.0.0.1", 0))

    def serve() -> None:
        while True:
            wire, client = server.recvfrom(4096)
            if wire == b"stop":
                return
            query = dns.message.from_wire(wire)
            name, kind = (
                query.question[0].name.to_text(omit_final_dot=True) or ".",
                dns.rdatatype.to_text(query.question[0].rdtype),
            )
            answer = dns.message.make_response(query)
            records = zone.get((name, kind), [])
            if records == ["broken"]:
                answer.set_rcode(dns.rcode.SERVFAIL)
            elif records:
                answer.answer.append(dns.rrset.from_text_list(query.question[0].name, 60, "IN", kind, records))
            elif not any(known == name for known, _ in zone):
                answer.set_rcode(dns.rcode.NXDOMAIN)
            answer.flags |= dns.flags.RA
            server.sendto(answer.to_wire(), client)

    thread = threading.Thread(target=serve)
    thread.start()
    resolver = dns.resolver.Resolver(configure=False)
    resolver.nameservers, resolver.port = ["127.0.0.1"], server.getsockname()[1]
    yield zone, resolver
    with socket.socket(socket.AF_INET, socket.SOCK_DGRAM) as last:
        last.sendto(b"stop", server.getsockname())
    thread.join()
    server.close()
