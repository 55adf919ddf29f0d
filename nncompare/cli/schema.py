"""``nncompare schema``: the JSON Schema of experiment files."""

from __future__ import annotations


def schema() -> None:
    """Print the JSON Schema of experiment files, for editors.

    Save it and name it in a file's first line: # yaml-language-server:
        $schema=nncompare.schema.json
    """
    from nncompare.config.json_schema import json_schema
    from nncompare.terminal.console import print_json

    print_json(json_schema())
