# SPDX-License-Identifier: GPL-2.0-or-later
"""What networks.json means, said a second time: from the specification alone, never from the C code.

Given a config and a World, expected() tells of every question of the packet matrix who must answer
and which source addresses the target may see. What it does not name must be closed.

A World is of one family: nothing translates from one to the other, so a host with both is two worlds that share names.
"""
import dataclasses
import ipaddress

BOUNDARY = "-_."


EVERYBODY = {4: "0.0.0.0/0", 6: "::/0"}


@dataclasses.dataclass
class World:
    """What exists when the packets are sent, of one family."""
    containers: dict  # name -> {network name: address}; {} on none; running ones only
    networks: dict    # network name -> (subnet, gateway)
    known: set = dataclasses.field(default_factory=set)      # containers on the engine, stopped ones too
    outside: dict = dataclasses.field(default_factory=dict)  # endpoint -> (its address, host iface, host address)
    clients: dict = dataclasses.field(default_factory=dict)  # endpoint -> (its address, container, iface, address)
    enterable: bool = True  # containers are known by more than their addresses: an engine tells of them
    family: int = 4
    masquerades: bool = True  # whether an engine may translate what leaves for the outside
    stops: list = dataclasses.field(default_factory=list)  # rules of others that keep what comes from outside: source, to, proto, port

    def is_stopped(self, source, ip, proto, port):
        return any(inside(source, [ipaddress.ip_network(s["source"])]) and inside(ip, [ipaddress.ip_network(s["to"])])
                   and (s.get("proto", proto), s.get("port", port)) == (proto, port) for s in self.stops)

    def owner(self, ip):
        """(container, network) of an address, or (None, None)."""
        for name, networks in self.containers.items():
            for network, address in networks.items():
                if address == ip:
                    return name, network
        return None, None

    def host_addresses(self):
        return {gateway for _, gateway in self.networks.values()} | {o[2] for o in self.outside.values()}


def as_list(value):
    return value if isinstance(value, list) else [] if value is None else [value]


def inside(ip, prefixes):
    return any(ipaddress.ip_address(ip) in p for p in prefixes)


def subnets(network):
    return [ipaddress.ip_network(network[field]) for field in ("subnet", "subnet6") if field in network]


class Spread(tuple):
    """Names of targets, one of which answers."""


def one_of(answers):
    """Of (who answers, source addresses), each that of one target; UNSAID where some targets are closed and others not."""
    if not answers or None in answers:
        return UNSAID if any(answers) else None
    names = {name for who, _ in answers for name in (who if isinstance(who, Spread) else [who])}
    sources = {s for _, those in answers for s in those}
    return (Spread(sorted(names)) if len(names) > 1 else names.pop(), sources)


UNSAID = ("?", frozenset())


class Config:
    def __init__(self, config):
        self.networks = {k: {"network_name": k, **n} for k, n in config.get("networks", {}).items()}
        self.addresses = [{**a, "ip": ip} for k, a in config.get("ips", {}).items() for ip in (a.get("ip", k), a.get("ip6")) if ip]
        self.policies = [Policy(self, p) for p in config.get("policies", [])]

    def network_of(self, ip):
        for network in self.networks.values():
            if inside(ip, subnets(network)):
                return network["network_name"]
        return None

    def strict(self, name):
        """The network of this name, if it is strict."""
        return next((n for n in self.networks.values() if n["network_name"] == name and n.get("isolation") == "strict"), None)

    def declares(self, ip):
        return any(ipaddress.ip_address(a["ip"]) == ipaddress.ip_address(ip) for a in self.addresses)

    def attachments(self, family):
        """container -> {network name: address}: where declared containers have to be, if they exist."""
        found = {}
        for a in self.addresses:
            name = a.get("container_name") or a.get("selector")
            network = self.network_of(a["ip"])
            if name and network and ipaddress.ip_address(a["ip"]).version == family:
                found.setdefault(name, {})[network] = str(ipaddress.ip_address(a["ip"]))
        return found

    def named(self, fields, value, prefix=False):
        def fits(text):
            if not text:
                return False
            if not prefix:
                return text == value
            rest = text[len(value):]
            return text.startswith(value) and rest and (
                rest[0] in BOUNDARY or rest[0].isdigit() or value[-1] in BOUNDARY)
        return [ipaddress.ip_network(a["ip"]) for a in self.addresses if any(fits(a.get(f)) for f in fields)]

    def resolve(self, name, subject=False):
        """Prefixes that a name of `from`, `to` or a subject, or a list of them, stands for; [] leaves the policy waiting."""
        if isinstance(name, list):
            return [p for member in name for p in self.resolve(member)]
        try:
            return [ipaddress.ip_network(name)]
        except ValueError:
            pass
        for field in ("container_name", "selector", "service_name"):
            if found := self.named([field], name):
                return found
        for key, network in self.networks.items():
            if name in (key, network["network_name"]):
                return subnets(network)
        if name == "any" and not subject:
            return [ipaddress.ip_network(prefix) for prefix in EVERYBODY.values()]
        return self.named(["container_name", "selector"], name, prefix=True)

    def subject(self, policy):
        """Whom it is for; None: nobody is named. The first of the three names counts, and only that."""
        name = next((policy[f] for f in ("selector", "container_name", "service_name") if f in policy), None)
        return None if name is None else self.resolve(name, subject=True)


def ranges(ports):
    split = [str(item).partition("-") for item in as_list(ports)]
    return [(int(low), int(high or low)) for low, _, high in split]


class Policy:
    def __init__(self, config, policy):
        self.raw = policy
        self.subject = config.subject(policy)
        self.waits = self.subject == []  # of whatever kind it is
        self.subject = self.subject or []
        self.source = config.resolve(policy["from"]) if "from" in policy else None
        from_host = "host" in as_list(policy.get("from"))
        self.own = policy.get("nat") == "dnat" and from_host  # also what the host itself begins
        self.from_host = not policy.get("nat") and from_host
        self.to = [p for name in as_list(policy.get("to")) if name != "host" for p in config.resolve(name)]
        # what it says the subject may begin: addresses outside are those of no network of the file, "any" all of them
        self.begins = [p for name in as_list(policy.get("to")) if name not in ("any", "host") for p in config.resolve(name)] \
            if not policy.get("nat") and "from" not in policy else []
        self.begins_anywhere = "any" in as_list(policy.get("to")) and not policy.get("nat") and "from" not in policy
        self.nat, self.iface, self.name = policy.get("nat"), policy.get("iface"), policy.get("name")
        self.masquerade = policy.get("masquerade", "auto")
        # one that translates in the subject's own namespace lets its source come so far, too
        self.admits = not self.nat or (self.nat == "dnat" and self.to and not self.iface and not self.name and not self.own)
        self.protos = as_list(policy.get("proto")) or ["any" if self.nat == "masquerade" and "port" not in policy else "tcp"]
        self.ports = ranges(policy.get("port"))

    def speaks(self, proto, port):
        return ("any" in self.protos or proto in self.protos) and (
            not self.ports or any(low <= port <= high for low, high in self.ports))

    def at_target(self):
        return ranges(self.raw.get("to_port"))

    def leads_to_port(self, port):
        """One number is for all; of several each port has its own."""
        there = self.at_target()
        if not there or (len(there) == 1 and there[0][0] == there[0][1]):
            return there[0][0] if there else port
        return next(first + port - low for (low, high), (first, _) in zip(self.ports, there) if low <= port <= high)

    def admits_source(self, ip):
        return self.source is None or inside(ip, self.source)

    def targets(self, family):
        """The addresses that a dnat leads to: each client to one of them, and which one is not said."""
        return [str(p.network_address) for p in self.to if p.version == family]


class Oracle:
    def __init__(self, config, world):
        self.config, self.world = Config(config), world
        self.declared_names = {a.get(f) for a in self.config.addresses for f in ("container_name", "selector")}

    # -- where a translation lives --

    def is_container(self, name):
        return name in self.declared_names or name in self.world.known or name in self.world.containers

    def container_at(self, ip):
        """The declared one: an address of either family means the whole container."""
        return next((a.get("container_name") or a.get("selector") for a in self.config.addresses
                     if ipaddress.ip_address(a["ip"]) == ipaddress.ip_address(ip)), None)

    def place(self, policy):
        """Containers in whose namespaces a dnat lives; None: on the host."""
        if policy.name and self.is_container(policy.name):
            return {policy.name} | {self.container_at(str(p.network_address))
                                    for p in self.config.named(["container_name", "selector"], policy.name)}
        if policy.name and not (policy.iface and policy.ports):
            return set()  # it waits: on the host it would take more than anybody meant
        if policy.iface or policy.own:
            return None
        return {self.container_at(str(p.network_address)) for p in policy.subject if p.num_addresses == 1}

    def translations(self):
        found = [(p, self.place(p)) for p in self.config.policies if p.nat == "dnat" and p.targets(self.world.family)
                 and (p.source is None or p.source or p.own) and not p.waits]
        return [(p, place) for p, place in found if place is None or self.world.enterable]

    def leaves_as(self, iface, own, source, ip, proto, port):
        """The source with which something leaves the host by an interface, which has an address of its own."""
        return own if any(p.nat == "masquerade" and p.iface == iface and not p.name and not p.waits and p.admits_source(source)
                          and (not p.to or inside(ip, p.to)) and p.speaks(proto, port) for p in self.config.policies) else source

    def comes_in_as(self, network, source, ip, proto, port):
        """The same of what goes from outside into a declared network; between these sources stay what they are."""
        bridge = next((n.get("bridge_name") for n in self.config.networks.values() if n["network_name"] == network), None)
        return self.leaves_as(bridge, self.world.networks[network][1], source, ip, proto, port) if bridge else source

    # -- verdicts --

    def allowed_addresses(self, container, ip, proto, port):
        """Of a container's addresses those that may open a connection to ip, on another network."""
        found = set()
        for address in self.world.containers[container].values():
            if self.allowed(address, ip, proto, port):
                found.add(address)
        for policy, place in self.translations():
            # the host lets the translated flow through: it is that container's own traffic
            if place and container in place and self.leads_to(policy, ip, proto, port):
                found |= set(self.world.containers[container].values())
        return found

    def leads_to(self, policy, ip, proto, port):
        if ip not in policy.targets(self.world.family):
            return False
        if "any" not in policy.protos and proto not in policy.protos:
            return False
        return any(low <= port <= high for low, high in policy.at_target()) if policy.at_target() else policy.speaks(proto, port)

    def comes_in_by(self, source):
        """The interface of the host, as the file names it, of an address that is at home there; None: it names none."""
        home = next((n for n, (subnet, _) in self.world.networks.items() if inside(source, [ipaddress.ip_network(subnet)])), None)
        if home is None:
            return next(iface for _, iface, _ in self.world.outside.values())
        return next((n.get("bridge_name") for n in self.config.networks.values() if n["network_name"] == home), None)

    def allowed(self, source, ip, proto, port):
        """By a policy of either end."""
        if self.config.strict(self.config.network_of(ip)) and not self.config.declares(ip):
            return False
        return any(p.source and p.admits and inside(source, p.source) and inside(ip, p.subject) and p.speaks(proto, port)
                   and (not p.iface or p.nat or p.iface == self.comes_in_by(source)) for p in self.config.policies) or (
            self.config.network_of(ip) is not None and self.may_begin(source, ip, proto, port))

    def may_begin(self, source, ip, proto, port):
        """A policy with "to" and without "nat" says so."""
        strange = self.config.network_of(ip) is None and ip not in self.world.host_addresses()
        return any(inside(source, p.subject) and p.speaks(proto, port) and (inside(ip, p.begins) or p.begins_anywhere and strange)
                   for p in self.config.policies)

    def admits_host(self, ip, proto, port):
        """A policy with "from": "host" and without "nat" says so."""
        return self.config.declares(ip) and any(p.from_host and inside(ip, p.subject) and p.speaks(proto, port) for p in self.config.policies)

    def leaves_freely(self, source):
        """Its network has no egress deny."""
        return not any(n.get("egress") == "deny" and inside(source, subnets(n)) for n in self.config.networks.values())

    def counts(self, endpoint, source):
        """A source counts where it is at home: an address of an engine's network on that network alone, any other one
        nowhere on an engine's bridge."""
        home = next((n for n, (subnet, _) in self.world.networks.items() if inside(source, [ipaddress.ip_network(subnet)])), None)
        own = self.world.containers.get(endpoint, {})  # a neighbour's counts as its own, but on a strict network
        if not self.world.enterable:  # no engine tells of other bridges than the file's
            own = own.keys() & {n["network_name"] for n in self.config.networks.values()}
        if home in own and self.config.strict(home):
            return own[home] == source
        return home in own if own else home is None

    def is_told(self, endpoint, source):
        """By the source and the bridge alone, as one asks who does not know the sender."""
        home = self.config.network_of(source)
        return not self.config.strict(home) or self.counts(endpoint, source) or home not in self.world.containers.get(endpoint, {})

    def lets_in(self, endpoint, source, ip, proto, port):
        """A new connection from there, whatever source it says. Its own is not borrowed."""
        if source in self.world.containers.get(endpoint, {}).values():
            return source in self.allowed_addresses(endpoint, ip, proto, port)
        return self.counts(endpoint, source) and self.allowed(source, ip, proto, port)

    # -- paths --

    def arrive(self, container, iface, source, sources, proto, port):
        """What answers a packet that has come to a container: itself, or where it translates to.
        iface: the interface it came by, None where the world does not name it."""
        for policy, place in self.translations():
            if not place or container not in place or not policy.speaks(proto, port):
                continue
            if policy.iface and policy.iface != iface or not policy.admits_source(source):
                continue
            own, found = self.world.containers[container], []
            for target, network in self.running_targets(policy):
                found.append((target, set(sources) if policy.masquerade is False
                              else {own[network]} if network in own else set(own.values())))
            return one_of(found)
        return container, set(sources)

    def running_targets(self, policy):
        """(container, network) of each; one whose container does not run is left out."""
        owners = [self.world.owner(ip) for ip in policy.targets(self.world.family)]
        return [(target, network) for target, network in owners if target]

    def from_container(self, name, ip, proto, port):
        own = self.world.containers[name]
        for endpoint, (address, iface, host) in self.world.outside.items():
            if ip == address and own:  # Docker masquerades it, in IPv6 where it writes rules at all
                sources = {self.leaves_as(iface, host, a, ip, proto, port) for a in own.values()
                           if self.leaves_freely(a) or self.may_begin(a, ip, proto, port)}
                seen = {host} if self.world.family == 4 else {host, *sources} if self.world.masquerades else sources
                return (endpoint, seen) if sources else None
        target, network = self.world.owner(ip)
        if not target or target == name:
            return None
        if self.config.strict(network) and not self.config.declares(ip):
            return None
        if network in own and not self.config.strict(network):
            return self.arrive(target, None, own[network], {own[network]}, proto, port)
        sources = self.allowed_addresses(name, ip, proto, port)
        if network in own:  # the kernel asks a neighbour by the address that is of the same network
            sources &= {own[network]}
        return self.arrive(target, None, min(sources), sources, proto, port) if sources else None

    def from_host(self, ip, proto, port):
        if ip in self.world.host_addresses():
            return self.own_dnat(ip, proto, port)
        target, network = self.world.owner(ip)
        if not target:
            return None
        strict = self.config.strict(network)
        if strict and not strict.get("host", True) and not self.admits_host(ip, proto, port):
            return None
        gateway = self.world.networks[network][1]
        return self.arrive(target, None, gateway, {gateway}, proto, port)

    def from_outside(self, endpoint, ip, proto, port):
        address, iface, _ = self.world.outside[endpoint]
        if ip in self.world.host_addresses():
            return self.host_dnat(iface, address, proto, port)
        target, _ = self.world.owner(ip)
        if target and self.allowed(address, ip, proto, port) and not self.world.is_stopped(address, ip, proto, port):
            seen = self.comes_in_as(self.world.owner(ip)[1], address, ip, proto, port)
            return self.arrive(target, None, seen, {seen}, proto, port)
        return None

    def host_dnat(self, iface, source, proto, port):
        for policy, place in self.translations():
            if place is not None or policy.iface != iface:
                continue
            if not policy.speaks(proto, port) or not policy.admits_source(source):
                continue
            to_port, found = policy.leads_to_port(port), []
            for target, network in self.running_targets(policy):
                ip = self.world.containers[target][network]
                if self.world.is_stopped(source, ip, proto, to_port):
                    found.append(None)
                    continue
                seen = self.world.networks[network][1] if policy.masquerade is True else self.comes_in_as(network, source, ip, proto, to_port)
                found.append(self.arrive(target, None, seen, {seen}, proto, to_port))
            return one_of(found)
        return None

    def own_dnat(self, asked, proto, port):
        """What the host itself begins to one of its addresses."""
        for policy, _ in self.translations():
            if not policy.own or not policy.speaks(proto, port):
                continue
            to_port, found = policy.leads_to_port(port), []
            for target, network in self.running_targets(policy):
                ip, gateway = self.world.containers[target][network], self.world.networks[network][1]
                seen = {gateway} if policy.masquerade is True else {asked, self.comes_in_as(network, asked, ip, proto, to_port)}
                found.append(self.arrive(target, None, min(seen), seen, proto, to_port))
            return one_of(found)
        return None

    def answer(self, endpoint, ip, proto, port):
        """(who answers, source addresses that it may see), or None: closed."""
        if endpoint == "host":
            return self.from_host(ip, proto, port)
        if endpoint in self.world.outside:
            return self.from_outside(endpoint, ip, proto, port)
        if endpoint in self.world.clients:
            address, container, iface, reached = self.world.clients[endpoint]
            if ip != reached or container not in self.world.containers:
                return None
            return self.arrive(container, iface, address, {address}, proto, port)
        return self.from_container(endpoint, ip, proto, port)

    def expected(self, questions):
        """questions: keys of a matrix. -> those that must be answered."""
        return {key: answer for key in questions if (answer := self.answer(*key))}

    def misplaced(self):
        """Declared containers that exist and are not where they are declared: in words."""
        for name, wanted in sorted(self.config.attachments(self.world.family).items()):
            if name not in self.world.containers:
                continue
            for network, ip in wanted.items():
                if self.world.containers[name].get(network) != ip:
                    yield f"{name} should be {ip} on {network}, is {self.world.containers[name]}"
