"""JSON Schemas of every event type: ``python -m prizewire_contracts.schemas [--check]`` writes or compares them."""

import argparse
import json
import sys
from pathlib import Path

from prizewire_contracts.encode import SCHEMA_URN
from prizewire_contracts.topics import TOPICS

FOLDER = Path(__file__).parents[2] / "schemas"


def render() -> dict[str, str]:
    """File name → JSON Schema (draft 2020-12) text of the whole envelope of each event type."""
    files = {}
    for topic in TOPICS:
        for kind, model in sorted(topic.models.items()):
            schema = model.model_json_schema(mode="validation")
            document = {
                "$schema": "https://json-schema.org/draft/2020-12/schema",
                "$id": SCHEMA_URN + kind,
                "x-kafka-topic": topic.name,
                **schema,
            }
            files[f"{kind}.json"] = json.dumps(document, indent=1, sort_keys=True) + "\n"
    return files


def main(arguments: list[str] | None = None) -> int:
    """Write the schemas, or with ``--check`` say which differ from the committed ones (exit code 1)."""
    parser = argparse.ArgumentParser(prog="python -m prizewire_contracts.schemas", description=__doc__)
    parser.add_argument("--check", action="store_true", help="compare only")
    options = parser.parse_args(arguments)
    wanted = render()
    if options.check:
        found = {path.name: path.read_text() for path in FOLDER.glob("*.json")}
        stale = sorted(name for name in wanted.keys() | found.keys() if wanted.get(name) != found.get(name))
        for name in stale:
            print(f"{name} does not match its model; run `make schemas`", file=sys.stderr)
        return 1 if stale else 0
    FOLDER.mkdir(exist_ok=True)
    for path in FOLDER.glob("*.json"):
        if path.name not in wanted:
            path.unlink()
    for name, text in wanted.items():
        (FOLDER / name).write_text(text)
    print(f"{len(wanted)} schemas written to {FOLDER.name}/")
    return 0


if __name__ == "__main__":
    sys.exit(main())
