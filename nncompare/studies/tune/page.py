"""The report of a search as one HTML file: tables and pictures, nothing is loaded from anywhere."""

from __future__ import annotations

import json
from datetime import datetime
from html import escape
from pathlib import Path
from typing import Any

import vl_convert

from nncompare.records.atomic import write_text
from nncompare.show import page
from nncompare.show.page import plain
from nncompare.studies.tune.charts import charts
from nncompare.studies.tune.folder import REPORT
from nncompare.studies.tune.record import TuneRecord
from nncompare.studies.tune.report import headline, tune_report

_STYLE = """body{font-family:system-ui,sans-serif;font-size:14px;line-height:1.45;
margin:2em auto;max-width:64em;
padding:0 1em;color:#111;background:#fff}
pre{font-size:12px;line-height:1.35;overflow-x:auto}h2{margin-top:2em}figure{margin:1em 0}
figcaption{font-weight:600;margin-bottom:.3em}figure{overflow-x:auto}
.about{opacity:.75}"""
_TEXT_WIDTH = 130
_ESCAPED_END = r"<\/script"
"""The same text for JavaScript, and no end of a script for HTML."""


def to_html(result: TuneRecord) -> str:
    """The whole page. Everything from the result is escaped."""
    name = escape(result.name)
    text = plain(tune_report(result), _TEXT_WIDTH)
    best = escape(headline(result))
    body = f"<h1>{name}</h1><p><b>{best}</b></p>{_about(result)}<pre>{escape(text)}</pre>"
    specs: dict[str, Any] = {}
    for search in result.searches:
        body += f"<h2>{escape(search.runtime)}</h2>"
        for title, chart in charts(result, search).items():
            place = f"chart{len(specs)}"
            specs[place] = chart.to_dict()
            caption = f"<figcaption>{escape(title)}</figcaption>"
            body += f'<figure>{caption}<div id="{place}"></div></figure>'
    # The libraries themselves, so that the file needs no network.
    bundle = vl_convert.javascript_bundle(_script(specs)) if specs else ""
    # A </script> inside the libraries' texts would end ours.
    body += f"<script>{bundle.replace('</script', _ESCAPED_END)}</script>"
    # A phone would show a page of a desk's width without the viewport.
    head = (
        '<meta charset="utf-8"><meta name="viewport" content="width=device-width,initial-scale=1">'
        f"<title>{name}: tune</title><style>{_STYLE}</style>"
    )
    return f'<!DOCTYPE html><html lang="en"><head>{head}</head><body>{body}</body></html>\n'


def command(result: TuneRecord) -> str:
    """What searches the same again, in the folder of the result."""
    words = ["nncompare tune experiment.yaml"]
    if result.jobs > 1:
        words.append(f"--jobs {result.jobs}")
    if result.per_backend:
        words.append("--per-backend")
    # A file is its own folder's; a database has a URL, without its password here.
    if result.storage != TuneRecord.model_fields["storage"].default:
        words.append(f"--storage {result.storage}")
    return " ".join(words)


def _about(result: TuneRecord) -> str:
    """When it was begun, with which versions, where, and by which command."""
    begun = datetime.fromisoformat(result.created)
    versions = {"nncompare": result.environment.get("nncompare")}
    versions["Python"] = result.environment.get("python")
    for search in result.searches:
        versions |= search.versions
    parts = [f"{begun:%Y-%m-%d %H:%M:%S %Z}"]
    parts += [f"{name} {version}" for name, version in versions.items() if version]
    for key in ("processor", "system"):
        if key in result.environment:
            parts.append(str(result.environment[key]))
    again = f"<code>{escape(command(result))}</code>"
    return f'<p class="about">{escape(" · ".join(parts))}<br>Search the same again: {again}</p>'


def write(result: TuneRecord, folder: Path) -> Path:
    """Writes the page into the search's folder, whole or not at all, and says where it is.

    Raises:
        StoreError: it cannot be written.
    """
    path = folder / REPORT
    write_text(path, to_html(result))
    return path


def fragment(result: TuneRecord) -> str:
    """The same for a notebook: tables and still pictures (SVG), without a script and without the
    page around them.
    """
    body = page.fragment(tune_report(result)) + '<div style="max-width:72em">'
    for search in result.searches:
        for title, chart in charts(result, search).items():
            picture = vl_convert.vegalite_to_svg(chart.to_dict())
            caption = f"{search.runtime}: {title}" if len(result.searches) > 1 else title
            caption = f"<figcaption><b>{escape(caption)}</b></figcaption>"
            body += f"<figure>{caption}{picture}</figure>"
    return f"{body}</div>"


def _script(specs: dict[str, Any]) -> str:
    """Draws every picture into its place."""
    # A text of the user's must not end the script.
    text = json.dumps(specs).replace("<", "\\u003c")
    return (
        f"const specs = {text};\nfor (const id in specs) vegaEmbed('#' + id, specs[id], {{actions:"
        " false});\n"
    )
