#!/usr/bin/env python3
"""Prints the path of every key in the Compose Specification's JSON schema (schema/compose-spec.json of its repository):
`*` is a name of the user's, `[]` an item of a list, and keys of `x-` are left out.

    scripts/specification-keys.py compose-spec.json > tests/data/specification-keys.txt

then has `cargo nextest run every_key_of_the_specification` say which of them are new."""
import datetime
import json
import sys

schema = json.load(open(sys.argv[1]))
definitions = schema["definitions"]
paths = set()


def walk(node, path, seen):
    if "$ref" in node:
        if node["$ref"] not in seen:
            walk(definitions[node["$ref"].split("/")[-1]], path, seen | {node["$ref"]})
        return
    for choice in ("oneOf", "anyOf", "allOf"):
        for alternative in node.get(choice, []):
            walk(alternative, path, seen)
    for key, value in node.get("properties", {}).items():
        below = f"{path}.{key}" if path else key
        paths.add(below)
        walk(value, below, seen)
    for pattern, value in node.get("patternProperties", {}).items():
        if not pattern.startswith("^x-"):
            walk(value, path + ".*", seen)
    if isinstance(node.get("additionalProperties"), dict):
        walk(node["additionalProperties"], path + ".*", seen)
    if isinstance(node.get("items"), dict):
        walk(node["items"], path + "[]", seen)


walk(schema, "", frozenset())
print("# Keys of the Compose Specification's JSON schema, taken by scripts/specification-keys.py on", datetime.date.today())
print("\n".join(sorted(paths)))
