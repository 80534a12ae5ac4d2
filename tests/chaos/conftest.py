# SPDX-License-Identifier: GPL-2.0-or-later
"""What the stories measured, for people."""


def pytest_terminal_summary(terminalreporter):
    import test_chaos
    told = test_chaos.TOLD
    if not told:
        return
    windows = sorted(max(w, 0) for t in told for w in t["windows_ms"])
    say = terminalreporter.write_line
    say(f"chaos: {len(told)} stories, {sum(t['deaths'] for t in told)} deaths of the daemon, "
        f"{sum(t['packets'] for t in told)} packets, {sum(t['datagrams'] for t in told)} datagrams of established flows, "
        f"lost outside of what others broke: 0")
    if windows:
        say(f"chaos: last forbidden packet after a flush: median {windows[len(windows) // 2]} ms, "
            f"worst {windows[-1]} ms of {len(windows)}; settled: worst {max(t['settled_ms'] for t in told)} ms")
