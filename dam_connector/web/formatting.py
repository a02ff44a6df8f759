"""Values as text for pages (times, sizes, JSON), and times from forms."""

import json
import re
from collections.abc import Iterable
from datetime import UTC, date, datetime, time

from markupsafe import Markup, escape

from dam_connector.domain.codec import to_plain
from dam_connector.domain.comment import Comment
from dam_connector.domain.issue_codes import CODES, known_code
from dam_connector.domain.outside_values import decode_json
from dam_connector.domain.product import Dimensions
from dam_connector.store.database import MAX_COUNT

# Names of steps for people; the others read well with spaces instead of underscores.
STEP_TEXTS = {
    "seal_version": "finish the version",
    "make_web_glb": "make the web model",
    "make_lods": "make smaller models",
    "convert_to_usdz": "make the model for iOS",
    "push_to_dam": "send to the DAM",
    "write_dam_state": "write the state to the DAM",
    "write_back_to_pim": "write the links to the PIM",
}
MAX_RELATIVE_S = 14 * 86_400  # times are relative within two weeks
MONTHS = ("Jan", "Feb", "Mar", "Apr", "May", "Jun", "Jul", "Aug", "Sep", "Oct", "Nov", "Dec")


def inline_code(text: str) -> Markup:
    """Return a text for a page with its `marked` parts as code elements."""
    return Markup(re.sub("`([^`]+)`", r"<code>\1</code>", str(escape(text))))  # noqa: S704 - escaped first


def mentions(text: str, names: Iterable[str]) -> Markup:
    """Return a comment for a page, with the users that it mentions in bold."""
    shown = str(escape(text))
    for name in names:
        shown = re.sub(f"(?i)@{re.escape(str(escape(name)))}", r"<strong>\g<0></strong>", shown)
    return Markup(shown)  # noqa: S704 - escaped first


def anchor_json(comment: Comment) -> str:
    """Return the pin of a comment as JSON, for pins.js."""
    return json.dumps(to_plain(comment.anchor))


def code_meanings(codes: str) -> str:
    """Return issue codes, separated by commas, as their meanings; other texts as they are."""
    found = [CODES[known_code(code)].meaning if code in CODES else code for code in codes.split(", ")]
    return " ".join(found)


def step_text(name: str) -> str:
    """Return the name of a pipeline step for people, e.g. `finish the version` for `seal_version`."""
    return STEP_TEXTS.get(name, name.replace("_", " "))


def ago(moment: datetime | None) -> str:
    """Return e.g. `3 min ago` or `in 5 days`; beyond two weeks the day, e.g. `5 Mar 2026`.

    The page gives the exact time in the title (macro `when` in parts.html), and times.js lets it go on.
    """
    if moment is None:
        return ""
    seconds = (datetime.now(UTC) - moment).total_seconds()
    for limit, unit, name in (
        (90, 1, "s"),
        (5400, 60, "min"),
        (129_600, 3600, "h"),
        (MAX_RELATIVE_S, 86_400, "days"),
    ):
        if abs(seconds) < limit:
            text = f"{abs(seconds) / unit:.0f} {name}"
            return f"{text} ago" if seconds >= 0 else f"in {text}"
    return f"{moment.day} {MONTHS[moment.month - 1]} {moment.year}"


def page_time() -> str:
    """Return the time at which a page is made, for times.js, which counts on from there."""
    return datetime.now(UTC).isoformat()


def exact_time(moment: datetime | None) -> str:
    """Return e.g. `2026-12-31 23:59:59 UTC`; empty for None."""
    return moment.strftime("%Y-%m-%d %H:%M:%S UTC") if moment else ""


def parse_day_end(day: str) -> datetime | None:
    """Return the end of a day such as `2026-12-31`, in UTC; None when the text is no day."""
    try:
        return datetime.combine(date.fromisoformat(day), time.max, UTC)
    except ValueError:
        return None


def count_text(count: int) -> str:
    """Return a count with separators; counting stops at a limit, so that `9,999+` means at least as many."""
    return f"{count:,}" if count < MAX_COUNT else f"{MAX_COUNT - 1:,}+"


def duration(seconds: float | None) -> str:
    """Return a duration in minutes, rounded up, e.g. `4 min` or `3 h 20 min`."""
    minutes = -int(-(seconds or 0) // 60)
    return f"{minutes} min" if minutes < 90 else f"{minutes // 60} h {minutes % 60} min"


def size(count: int) -> str:
    """Return a number of bytes with its unit: B below 1 kB, MB from 1 MB on."""
    if count < 1000:
        return f"{count} B"
    return f"{count / 1e6:.2f} MB" if count >= 1e6 else f"{count / 1e3:.0f} kB"


def metres(value: float | None) -> str:
    """Return a length given in metres, in cm below 3 m and in m above."""
    if value is None:
        return "not known"
    return f"{value * 100:.4g} cm" if value < 3 else f"{value:.4g} m"


def box_size(dimensions: Dimensions) -> str:
    """Return width, height and depth, e.g. `46 × 85.2 × 48.9 cm`; each with its unit where they differ."""
    sides = (dimensions.width_m, dimensions.height_m, dimensions.depth_m)
    if sides == (None, None, None):
        return "not known"
    texts = [metres(side) for side in sides]
    unit = texts[0][texts[0].rindex(" ") :]
    if dimensions.complete and all(text.endswith(unit) for text in texts):
        return " × ".join(text.removesuffix(unit) for text in texts) + unit
    return " × ".join(texts)


def pretty_body(body: bytes) -> str:
    """Return a body as indented JSON, or as text when it is not JSON; the first 20,000 characters."""
    text = body.decode("utf-8", "replace")
    try:
        return json.dumps(decode_json(text), indent=2, ensure_ascii=False)[:20_000]
    except ValueError:
        return text[:20_000]


def parse_utc_time(text: str) -> datetime | None:
    """Return the time in UTC that a form field holds, e.g. `2026-12-31T08:00`; None when it holds none."""
    try:
        return datetime.fromisoformat(text).replace(tzinfo=UTC)
    except ValueError:
        return None
