# SPDX-License-Identifier: GPL-2.0-or-later
"""The folders of src are rooms, in the order in which ARCHITECTURE.md lists them: a file includes what is in its own
room or further to the left, and no two files include each other, by whatever detour. A unit is a source with its header;
impl.h, which the sources of a room share, belongs to the unit that bears the room's name."""
import os
import re

ROOT = os.path.dirname(os.path.dirname(os.path.abspath(__file__)))
SRC = os.path.join(ROOT, "src")
MOST_FILES = 24


def sources(ending=(".c", ".h")):
    for folder, _, names in os.walk(SRC):
        for name in sorted(names):
            if name.endswith(ending):
                yield os.path.relpath(os.path.join(folder, name), SRC)


def unit_of(path):
    room, name = os.path.split(path)
    stem = os.path.splitext(name)[0]
    return os.path.join(room, os.path.basename(room) if stem == "impl" else stem)


def graph():
    """unit -> {unit that it includes: the file that does}"""
    found = {}
    for path in sources():
        with open(os.path.join(SRC, path), encoding="utf-8") as f:
            included = re.findall(r'^#include "([^"]+)"', f.read(), re.M)
        missing = [i for i in included if not os.path.exists(os.path.join(SRC, i))]
        assert not missing, f"{path}: not a path below src: {missing}"
        edges = found.setdefault(unit_of(path), {})
        for other in map(unit_of, included):
            if other != unit_of(path):
                edges.setdefault(other, path)
    return found


def circles(edges):
    """One circle for every unit that leads back to itself, each once."""
    found = {}
    for start in edges:
        way, seen = [[start]], set()
        while way:
            path = way.pop(0)
            for following in edges.get(path[-1], ()):
                if following == start:
                    found.setdefault(frozenset(path), " -> ".join([*path, start]))
                elif following not in seen:
                    seen.add(following)
                    way.append([*path, following])
    return sorted(found.values())


def rooms():
    with open(os.path.join(ROOT, "ARCHITECTURE.md"), encoding="utf-8") as f:
        return re.findall(r"^\| `src/([\w/]+)` \|", f.read(), re.M)


def test_no_file_includes_itself_by_a_detour():
    assert not circles(graph())


def test_includes_lead_to_the_left_only():
    order = rooms()
    wrong = [f"{path} includes {other} of a room to the right" for unit, edges in graph().items() for other, path in edges.items()
             if order.index(os.path.dirname(other)) > order.index(os.path.dirname(unit))]
    assert not wrong


def test_the_architecture_lists_every_room_once():
    assert sorted(rooms()) == sorted({os.path.dirname(path) for path in sources()})


def test_no_room_is_crowded():
    files = [os.path.dirname(path) for path in sources()]
    assert not {room: files.count(room) for room in files if files.count(room) > MOST_FILES}


def test_the_header_of_a_room_is_its_table_of_contents():
    for room in rooms():
        headers = {name for name in os.listdir(os.path.join(SRC, room)) if name.endswith(".h")}
        title = f"{os.path.basename(room)}.h"
        assert title in headers, f"src/{room} has no {title}"
        with open(os.path.join(SRC, room, title), encoding="utf-8") as f:
            contents = re.search(r"In this room:\n(.*?)\*/", f.read(), re.S)
        assert contents, f"src/{room}/{title} has no contents"
        assert set(re.findall(r"(\w+\.h)\b", contents[1])) == headers, room


def test_a_planted_circle_is_found():
    assert circles({"a": {"b": "a.c"}, "b": {"c": "b.h"}, "c": {"a": "c.c"}, "d": {"a": "d.c"}}) == ["a -> b -> c -> a"]


def test_sources_are_listed_in_order():
    for folder, _, names in os.walk(SRC):
        if "meson.build" in names:
            with open(os.path.join(folder, "meson.build"), encoding="utf-8") as f:
                listed = re.findall(r"^  '(\w+\.c)',$", f.read(), re.M)
            assert listed == sorted(n for n in names if n.endswith(".c")), folder
