# SPDX-License-Identifier: GPL-2.0-or-later
"""What shells complete, asked of the shells themselves."""
import os
import pty
import re
import select
import shutil
import subprocess
import time

import pytest

from test_errors import HARBORWALL

VERBS = {"run", "check", "plan", "apply", "rules", "status", "doctor", "clear", "completion", "help"}
BACKENDS = {"nftables", "iptables-nft", "iptables-legacy"}
COMMON = {"--config", "--quiet", "--verbose", "--color", "--timings", "--help", "--version"}


@pytest.fixture(params=["bash", "zsh", "fish"])
def shell(request, tmp_path):
    assert shutil.which(request.param), f"{request.param} is missing: scripts/deps all"
    done = subprocess.run([HARBORWALL, "completion", request.param], text=True, capture_output=True, check=True)
    folder = tmp_path / "completions"
    folder.mkdir()
    (folder / {"bash": "harborwall", "zsh": "_harborwall", "fish": "harborwall.fish"}[request.param]).write_text(done.stdout)
    work = tmp_path / "work"
    work.mkdir()
    (work / "networks.json").write_text("{}")
    (work / "with blank.json").write_text("{}")
    return {"bash": Bash, "zsh": Zsh, "fish": Fish}[request.param](folder, work)


class Bash:
    def __init__(self, folder, work):
        self.folder, self.work = folder, work

    def complete(self, line):
        """-> what is offered for the last word; bash has taken "--flag=value" apart by then."""
        words = [w for part in line.split(" ") for w in (re.split("(=)", part) if part else [""])]
        quoted = " ".join("'" + w + "'" for w in words)
        script = f"""source {self.folder}/harborwall; COMP_WORDS=({quoted}); COMP_CWORD={len(words) - 1}
            _harborwall; printf '%s\\n' "${{COMPREPLY[@]}}" """
        done = subprocess.run(["bash", "--norc", "-c", script], cwd=self.work, text=True, capture_output=True, check=True)
        assert not done.stderr, done.stderr
        return set(done.stdout.splitlines()) - {""}


class Fish:
    def __init__(self, folder, work):
        self.folder, self.work = folder, work

    def complete(self, line):
        done = subprocess.run(["fish", "--no-config", "-c", f"source {self.folder}/harborwall.fish; complete -C '{line}'"],
                              cwd=self.work, text=True, capture_output=True, check=True, env={**os.environ, "HOME": str(self.work)})
        assert not done.stderr, done.stderr
        offered = {li.split("\t")[0] for li in done.stdout.splitlines()}
        return {o.partition("=")[2] if o.startswith("--") and "=" in line.split(" ")[-1] else o for o in offered}


class Zsh:
    """It offers nothing but to a person: so one types, and reads what it lists."""

    def __init__(self, folder, work):
        self.folder, self.work = folder, work

    def complete(self, line):
        (self.work / ".zshrc").write_text(
            f"PS1='READY> '; unset zle_bracketed_paste; unsetopt prompt_sp; fpath=({self.folder} $fpath); autoload -U compinit; compinit -u -D\n"
            "LISTMAX=10000; setopt no_beep; zstyle ':completion:*' format ''\n")
        master, slave = pty.openpty()
        process = subprocess.Popen(["zsh", "-d", "-i"], cwd=self.work, stdin=slave, stdout=slave, stderr=slave, start_new_session=True,
                                   env={"PATH": os.environ["PATH"], "TERM": "dumb", "ZDOTDIR": str(self.work), "COLUMNS": "400"})
        os.close(slave)
        try:
            self.hear(master, 20, r"READY> (\x1b\[\?2004h)?$")
            os.write(master, f"{line}\x04".encode())  # ^D lists what there is
            said = self.hear(master, 5, "\nREADY> ")
        finally:
            process.kill()
            process.wait()
            os.close(master)
        listed = re.sub(r"\x1b\[[0-9;?]*[a-zA-Z]|[\r\b]", "", said).partition(line)[2].split("READY> ")[0]
        return {w.split(" ")[0] for li in listed.split("\n") for w in re.split(r"\s{2,}", li.strip())} - {"", "--"}

    @staticmethod
    def hear(master, seconds, until):
        said, end = "", time.monotonic() + seconds
        while time.monotonic() < end and not re.search(until, said):
            if select.select([master], [], [], 0.1)[0]:
                said += os.read(master, 65536).decode(errors="replace")
        return said


def test_verbs_are_offered(shell):
    assert VERBS <= shell.complete("harborwall ")
    offered = shell.complete("harborwall c")
    assert {"check", "clear", "completion"} <= offered and not offered & {"plan", "explain"}


def test_a_verb_s_own_options_are_offered_and_no_others(shell):
    offered = shell.complete("harborwall rules --")
    assert {"--backend", "--engine", "--container", *COMMON} <= offered and not offered & {"--strict", "--networks", "--format", "--json"}
    assert "--strict" in shell.complete("harborwall check --")
    assert "--replace" not in shell.complete("harborwall clear --")


@pytest.mark.parametrize("line, values", [("harborwall rules --backend ", BACKENDS), ("harborwall rules --backend=", BACKENDS),
                                          ("harborwall plan --color ", {"auto", "always", "never"}),
                                          ("harborwall run --counters ", {"auto", "on", "off"}),
                                          ("harborwall completion ", {"bash", "zsh", "fish"}), ("harborwall help ", VERBS)])
def test_values_are_offered(shell, line, values):
    offered = {o.rpartition("=")[2] for o in shell.complete(line)}
    assert values <= offered and "networks.json" not in offered


@pytest.mark.parametrize("line", ["harborwall check net", "harborwall plan -c net", "harborwall --config net", "harborwall apply -q net"])
def test_files_are_offered_where_one_is_wanted(shell, line):
    if isinstance(shell, Zsh):
        line = line[:-3]
    assert "networks.json" in shell.complete(line)


def test_no_file_is_offered_where_none_is_wanted(shell):
    for line in ("harborwall status ", "harborwall rules --engine "):
        assert "networks.json" not in shell.complete(line)
