# SPDX-License-Identifier: GPL-2.0-or-later
"""When a packet may be lost, and when one may arrive that must not: only while what others broke is not yet put
right. A break is excused until the daemon had HEAL seconds (more on a busy machine) without trouble of its own
(dead, stopped, without an engine that answers at once). What opens the host does so until the daemon's first
transaction behind it, as the kernel tells; how long that took is printed, where nothing else was the matter."""

HEAL, LIMIT, STALE = 3.0, 60.0, 1.5


class Judge:
    def __init__(self):
        self.troubles = []  # [kind, from, to or None]
        self.breaks, self.opens = [], []  # [from, to] of what others did
        self.busy = 1.0  # how much slower than an idle machine this one is

    def trouble(self, kind, start, end=None):
        self.troubles.append([kind, start, end])

    def trouble_ends(self, kind, end):
        for t in self.troubles:
            if t[0] == kind and t[2] is None:
                t[2] = end

    def broke(self, start, end):
        self.breaks.append((start, end))

    def opened(self, start, end, program, whole):
        """whole: our table is gone, too."""
        self.opens.append((start, end, program, whole))
        self.breaks.append((start, end))

    def healed_by(self, end, needed, kinds):
        at = end
        for kind, start, stop in sorted(self.troubles, key=lambda t: t[1]):
            if kind not in kinds:
                continue
            stop = float("inf") if stop is None else stop
            if start < at + needed and stop > at:
                at = stop
        return at + needed

    def excuses(self):
        return [(a, self.healed_by(b, HEAL * self.busy, ("daemon", "engine", "stall"))) for a, b in self.breaks]

    def reaction(self, start, end, program, transactions):
        """When the daemon answered to what a program did between start and end; None where it did nothing."""
        others = [t for t in transactions if start <= t[0] <= end + 0.5 * self.busy and t[1] == program]
        if not others:
            return None
        behind = transactions[transactions.index(others[0]) + 1:]
        answers = [at for at, who, tables in behind if who == "harborwall" and "harborwall" in tables]
        return answers[0] if answers else start + LIMIT

    def openings(self, transactions):
        found = []
        for start, end, program, whole in self.opens:
            if at := self.reaction(start, end, program, transactions):
                # a pass that had looked before can't change a table that is gone; but one that is there
                found.append((start, at if whole else at + STALE * self.busy))
        return found

    @staticmethod
    def outside(times, intervals, slack):
        return [t for t in times if not any(a - slack <= t <= b for a, b in intervals)]

    def assert_report(self, report, before, open_talks):
        wrong = []
        excuses, openings = self.excuses(), self.openings(report["transactions"])
        for what, times in (("UDP datagrams of an established flow lost", report["lost"]),
                            ("new TCP connections refused", report["failed"]["tcp"]),
                            ("new UDP flows unanswered", report["failed"]["udp"])):
            # an answer is lost up to so long after the question
            if bad := self.outside(times, excuses, 0.45):
                wrong.append(f"{len(bad)} {what}: {bad[:5]}")
        if bad := self.outside(report["streams"]["stream"]["breaks"], excuses, 0.45):
            wrong.append(f"the TCP stream broke: {bad}")
        inside = [a for a in report["arrivals"] if self.outside([a[0]], openings, 0.0)]
        for flow in sorted({a[1] for a in inside}):
            times = [a[0] for a in inside if a[1] == flow]
            wrong.append(f"{len(times)} packets arrived: {flow}: {times[:5]}")
        if report["streams"]["stream"]["echoed"] == before["streams"]["stream"]["echoed"]:
            wrong.append("the TCP stream is dead")
        if any(s["wrong"] for s in report["streams"].values()):
            wrong.append("echoes out of order")
        for port, stream in report["streams"].items():
            if port == "stream":
                continue
            alive = stream["echoed"] != before["streams"][port]["echoed"] and stream["echoed"] > 0
            if alive and not self.outside([stream["since"]], [(a, b + 0.5 * self.busy) for a, b in openings], 0.5):
                continue  # it began while the host was open (and was told so later): nobody's mark is on it
            if alive != (int(port) in open_talks):
                wrong.append(f"the connection to port {port} is {'alive, its policy is gone' if alive else 'dead'}")
        if wrong:
            raise AssertionError("\n".join(wrong + [f"excused losses: {excuses}", f"excused arrivals: {openings}"]))

    def windows(self, report):
        """How long after each flush the last forbidden packet arrived, where nothing else was the matter."""
        found = []
        for start, end, program, whole in self.opens:
            until = self.reaction(start, end, program, report["transactions"])
            if not whole or not until or self.healed_by(end, 1.0, ("daemon", "stall", "engine")) > end + 1.0:
                continue
            times = [a[0] - end for a in report["arrivals"] if start <= a[0] <= until]
            found.append(round(1000 * max(times, default=0)))
        return found
