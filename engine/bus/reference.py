"""Writes README.md of this folder from the table of topics: `python -m engine.bus.reference`."""

from __future__ import annotations

from pathlib import Path
from typing import Final

import msgspec

from engine.bus.topics import PREFIX, TOPICS

README: Final = Path(__file__).with_name("README.md")

_HEAD: Final = f"""# The bus

MQTT 3.1.1, QoS 1, nothing retained. Every topic begins with `{PREFIX}/{{tenant}}/`; none contains a telephone
number. A message only notifies: whoever missed one catches up from the store, whoever got one twice knows it
by its id. This file is written by `python -m engine.bus.reference`.

| topic | from | to | payload | meaning |
| --- | --- | --- | --- | --- |
"""


def render() -> str:
    """The text of README.md."""
    types = [topic.payload for topic in TOPICS]
    schemas, components = msgspec.json.schema_components(types, ref_template="#/$defs/{name}")
    rows = []
    for topic, schema in zip(TOPICS, schemas, strict=True):
        references = [schema] if "$ref" in schema else schema["anyOf"]
        names = ", ".join(f"`{one['$ref'].rpartition('/')[2]}`" for one in references)
        rows.append(f"| `{topic.path}` | {topic.sender} | {topic.receiver} | {names} | {topic.meaning} |\n")
    definitions = msgspec.json.format(msgspec.json.encode({"$defs": components}, order="sorted"), indent=2)
    return f"{_HEAD}{''.join(rows)}\n## JSON schemas\n\n```json\n{definitions.decode()}\n```\n"


if __name__ == "__main__":
    README.write_text(render(), encoding="utf-8")
