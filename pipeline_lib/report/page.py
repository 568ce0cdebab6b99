"""A jinja2 template and values → one HTML file that needs no network, with the project's style and keyboard.

    html = page.render("coref_report.html.j2", package="pipeline_lib.coref", title="…", notes=[…], provenance={…}, videos=…)
    files.write_text(out, html)

The template stands in `<package>/templates/`, extends "base.html.j2" and imports "macros.html.j2" (docs in those files).
Whatever it prints is escaped: titles, captions and sentences come from strangers.
"""

import base64
import hashlib
import re
from collections.abc import Mapping, Sequence
from typing import Any

from jinja2 import ChoiceLoader, Environment, PackageLoader, StrictUndefined
from markupsafe import Markup

SHARED = "pipeline_lib.report"

#: Characters that HTML forbids, that can't be encoded, or that reorder the text around them.
_HARMFUL = re.compile("[\x00-\x08\x0b\x0c\x0e-\x1f\x7f-\x9f\ud800-\udfff\u202a-\u202e\u2066-\u2069]")


def render(
    template: str,
    *,
    package: str = SHARED,
    title: str,
    lead: str = "",
    notes: Sequence[str] = (),
    provenance: Mapping[str, Any] | None = None,
    scripts: Sequence[str] = (),
    styles: Sequence[str] = (),
    **values: Any,
) -> str:
    """The page as text.

    Args:
        template, scripts, styles: names of files in the templates folder of `package`; scripts run after base.js and
            styles follow base.css. Neither is a template: values reach scripts through data- attributes.
        lead: a sentence under the title.
        notes: what a reader must know before believing the page; shown above all else.
        provenance: shown in the footer, nested mappings as they are.
        values: for the template.
    """
    environment = _environment(package)
    script = "\n".join(_text(environment, name) for name in ("base.js", *scripts))
    return environment.get_template(template).render(
        title=title,
        lead=lead,
        notes=list(notes),
        provenance=provenance or {},
        style=Markup("\n".join(_text(environment, name) for name in ("base.css", *styles))),
        script=Markup(script),
        policy=policy(script),
        **values,
    )


def policy(script: str) -> str:
    """Content security policy: no request leaves the page, pictures come with it, and this one script runs."""
    digest = base64.b64encode(hashlib.sha256(script.encode()).digest()).decode()
    return (
        f"default-src 'none'; script-src 'sha256-{digest}'; style-src 'unsafe-inline'; img-src data: 'self' file:; "
        "base-uri 'none'; form-action 'none'"
    )


def _environment(package: str) -> Environment:
    packages = [SHARED] if package == SHARED else [package, SHARED]
    environment = Environment(
        loader=ChoiceLoader([PackageLoader(name) for name in packages]),
        autoescape=True,
        undefined=StrictUndefined,
        trim_blocks=True,
        lstrip_blocks=True,
        finalize=_harmless,
    )
    environment.filters |= {"clock": clock, "percent": percent}
    return environment


def _harmless(value: Any) -> Any:
    """What `{{ … }}` prints: plain text without harmful characters; escaping comes after."""
    if isinstance(value, Markup):
        return value
    return _HARMFUL.sub("\ufffd", value) if isinstance(value, str) else value


def _text(environment: Environment, name: str) -> str:
    assert environment.loader is not None
    return environment.loader.get_source(environment, name)[0]


def clock(seconds: float, digits: int = 1) -> str:
    """Seconds as h:mm:ss.s, hours only when there are any: 75.25 → 1:15.2."""
    ticks = round(max(seconds, 0.0) * 10**digits)
    minutes, rest = divmod(ticks, 60 * 10**digits)
    hours, minutes = divmod(minutes, 60)
    width = digits + 3 if digits else 2
    tail = f"{rest / 10**digits:0{width}.{digits}f}"
    return f"{hours}:{minutes:02d}:{tail}" if hours else f"{minutes}:{tail}"


def percent(part: float, whole: float) -> str:
    """A length as CSS wants it, within 0 and 100 %: percent(1, 4) → "25%"."""
    share = 100.0 * part / whole if whole > 0 else 0.0
    return f"{min(max(share, 0.0), 100.0):.4g}%"
