"""HTML from templates. Everything is escaped, and the answer lets a browser load nothing from elsewhere."""

from __future__ import annotations

import datetime as dt
import re
from typing import TYPE_CHECKING, Any, Final
from urllib.parse import quote, urlencode

from jinja2 import Environment, PackageLoader, StrictUndefined
from markupsafe import Markup
from starlette.responses import Response

from consumers.explaining import log_odds
from consumers.http.answers import AGAIN_S
from consumers.http.page import files, queries
from consumers.values import cell

if TYPE_CHECKING:
    from collections.abc import Mapping

    from consumers.config import HttpSettings

CLASSES_MAX = 15
SHOWN_MAX = 60
"""Characters of a name that are seen; the `title` has more of it."""
_PICTURE: Final = re.compile(r"data:image/[a-z0-9.+-]+[;,]", re.IGNORECASE)
_LINK: Final = re.compile(r"https?://", re.IGNORECASE)
_SOURCES: Final = {"own": "'self' data:", "any": "'self' data: https: http:"}
_POLICY: Final = (
    "default-src 'none'; script-src 'self'; style-src 'self'; img-src {images}; connect-src 'self'; "
    "form-action 'self'; base-uri 'none'; frame-ancestors 'none'"
)
_AGAIN: Final = frozenset({429, 503})


def html(
    template: str,
    settings: HttpSettings,
    status: int = 200,
    **values: Any,  # noqa: ANN401 - for templates
) -> Response:
    """A page."""
    again_s = 2 * AGAIN_S if status in _AGAIN else None
    text = _TEMPLATES.get_template(template).render(
        values
        | {"has_token": settings.token is not None, "images": settings.images, "again_s": again_s}
    )
    headers = {
        "content-security-policy": _POLICY.format(images=_SOURCES[settings.images]),
        # With no-referrer a browser would not say which site its own forms come from.
        "referrer-policy": "same-origin",
    }
    if again_s:
        headers["retry-after"] = str(AGAIN_S)
    return Response(text, status, headers, "text/html")


def picture(uri: str | None, images: str) -> str | None:
    """The address of an example's picture, None where it has none that may be shown."""
    if uri is None or len(uri) > queries.PICTURE_MAX or not uri.isascii():
        return None
    is_shown = _PICTURE.match(uri) or (images == "any" and _LINK.match(uri))
    return uri if is_shown else None


def link(uri: str | None) -> str | None:
    """An address that may be followed: of the web, and whole."""
    is_whole = uri is not None and len(uri) < queries.NAME_MAX
    return uri if uri is not None and is_whole and _LINK.match(uri) else None


def explain_path(example_id: str) -> str | None:
    """Where an example is explained; None where its id is cut."""
    is_whole = len(example_id) < queries.NAME_MAX
    return f"/explain/{quote(example_id, safe='')}" if is_whole else None


def name(text: object, shown_max: int = SHOWN_MAX) -> Markup:
    """A text that others chose: in whatever direction it is written, and cut where it is long."""
    whole = str(text)
    if len(whole) <= shown_max:
        return Markup("<bdi>{}</bdi>").format(whole)
    cut, more = whole[: shown_max - 1], whole[: queries.NAME_MAX]
    return Markup('<bdi title="{}">{}…</bdi>').format(more, cut)


def moment(time: dt.datetime | None, form: str = "%Y-%m-%d %H:%M:%S") -> Markup:
    """A time in UTC."""
    if time is None:
        return Markup("–")
    return Markup('<time datetime="{}Z">{}</time>').format(
        time.isoformat(timespec="seconds").removesuffix("+00:00"),
        time.strftime(form),
    )


def probable(annotation: Mapping[str, Any]) -> list[Mapping[str, Any]]:
    """The most probable classes of an annotation, and the given one."""
    ranked = sorted(annotation["classes"], key=lambda each: -each["p"])
    given = annotation["given_label"]
    return [each for k, each in enumerate(ranked) if k < CLASSES_MAX or each["label"] == given]


def likely(consensus: Mapping[str, Any]) -> list[Mapping[str, Any]]:
    """The classes of an explained consensus with the highest posteriors."""
    ranked = sorted(consensus["classes"], key=lambda each: -each["posterior"])
    return ranked[:CLASSES_MAX]


def clock(seconds: int) -> str:
    """The time of day of seconds since the epoch, in UTC."""
    return dt.datetime.fromtimestamp(seconds, dt.UTC).strftime("%H:%M:%S")


def query_cell(value: object) -> Markup:
    """A value of an answer."""
    return Markup('<span class="none">null</span>') if value is None else name(cell(value), 300)


def address(path: str, asked: Mapping[str, str], **more: str) -> str:
    """A path with parameters."""
    parameters = {**asked, **more}
    return f"{path}?{urlencode(parameters)}" if parameters else path


_TEMPLATES: Final = Environment(
    loader=PackageLoader("consumers.http.page"),
    autoescape=True,
    undefined=StrictUndefined,
    auto_reload=False,
    trim_blocks=True,
    lstrip_blocks=True,
)
_TEMPLATES.filters.update(
    count=lambda number: f"{number:,}",
    name=name,
    moment=moment,
    clock=clock,
    query_cell=query_cell,
)
_TEMPLATES.globals.update(
    file=files.address,
    picture=picture,
    link=link,
    explain_path=explain_path,
    address=address,
    probable=probable,
    likely=likely,
    log_odds=log_odds,
)
