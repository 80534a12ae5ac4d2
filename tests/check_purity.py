# SPDX-License-Identifier: GPL-2.0-or-later
"""core and base call nothing that touches the world: their undefined symbols stand on a list."""
import os
import re
import subprocess

BUILD = os.path.join(os.path.dirname(os.path.dirname(os.path.abspath(__file__))), "build")

# Arithmetic, memory and text of the C library.
ALLOWED = re.compile(r"""^(
    (mem|st[rp])[a-z_]+ | __(mem|st[rp])[a-z]+_chk | __v?s?n?printf_chk | __vsnprintf_chk | __snprintf_chk |
    v?snprintf | (__isoc99_)?sscanf | qsort | bsearch | malloc | realloc | free | abort |
    isalpha | isalnum | isdigit | isprint | isspace | __ctype_b_loc | __ctype_tolower_loc | tolower |
    inet_(pton|ntop) | htons | htonl | ntohs | ntohl | __stack_chk_fail |
    __isoc23_strtou?ll? | strtou?ll? | atoi | _GLOBAL_OFFSET_TABLE_ | __explicit_bzero_chk |
    __asprintf_chk | __errno_location
)$""", re.VERBOSE)

# base alone may write to stderr (its log and its last words), look at the clock for that, and ask for huge pages.
BASE_TOO = re.compile(r"^(write|fputs|stderr|clock_gettime|gmtime_r|close|fwrite|strftime|writev|madvise)$")


def symbols(library, kind):
    text = subprocess.run(["nm", kind, "--format=posix", f"{BUILD}/{library}"], text=True, check=True,
                          stdout=subprocess.PIPE).stdout
    return {line.split()[0] for line in text.splitlines() if len(line.split()) > 1 and not line.startswith("build/") and "]:" not in line}


def foreign(library, *others):
    own = set().union(*(symbols(lib, "--defined-only") for lib in (library, *others)))
    return symbols(library, "-u") - own


def test_core_makes_no_system_calls():
    strange = {s for s in foreign("src/core/libcore.a", "src/base/libbase.a") if not ALLOWED.match(s)}
    assert not strange, f"core calls {', '.join(sorted(strange))}"


def test_base_writes_to_stderr_and_does_nothing_else():
    strange = {s for s in foreign("src/base/libbase.a") if not ALLOWED.match(s) and not BASE_TOO.match(s)}
    assert not strange, f"base calls {', '.join(sorted(strange))}"
