# SPDX-License-Identifier: GPL-2.0-or-later
"""The schema and the manual know exactly the fields that the decoder's tables know."""
import json
import os
import re

ROOT = os.path.dirname(os.path.dirname(os.path.dirname(os.path.abspath(__file__))))
KINDS = {"network": "network_fields", "address": "address_fields", "policy": "policy_fields"}


def read(path):
    with open(os.path.join(ROOT, path), encoding="utf-8") as f:
        return f.read()


def decoded():
    """kind -> names, from the tables in the source."""
    text = read("src/core/config/object.c") + read("src/core/config/policy.c")
    found = {}
    for kind, table in KINDS.items():
        body = re.search(table + r"\[\] = \{(.*?)\n\};", text, re.S).group(1)
        found[kind] = set(re.findall(r"NAMED\(\w+, \"(\w+)\"", body)) | set(re.findall(r"FIELD\(\w+, (\w+)", body))
    return found


def test_the_schema_has_every_field_and_no_other():
    schema = json.loads(read("schema/networks.schema.json"))
    for kind, names in decoded().items():
        assert set(schema["definitions"][kind]["properties"]) == names


def test_the_manual_has_every_field():
    manual = read("man/networks.json.5.scd")
    for names in decoded().values():
        for name in names:
            assert f"*{name}*" in manual, name
