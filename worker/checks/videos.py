"""Videos: each is a whole H.264 that browsers play while they load it, within the limit of bytes."""

from collections.abc import Iterator

from dam_connector.domain.issue import Issue, issue
from dam_connector.domain.rules import Rules
from worker.imaging.mp4_boxes import NotAnMp4, read_facts
from worker.measuring.check_subject import CheckSubject

H264 = "avc1"


def check(subject: CheckSubject, rules: Rules) -> Iterator[Issue]:
    """Yield rendition.video, rendition.size and rendition.bytes."""
    limit = rules.checks.max_image_bytes
    for file in (f for f in subject.files if f.format == "mp4"):
        where = f"/files/{file.name}"
        try:
            facts = read_facts(subject.read(file))
        except NotAnMp4 as error:
            yield issue("rendition.video", f"{file.name} cannot be played: {error}.", pointer=where)
            continue
        subject.facts |= {"mp4_bytes": file.bytes, "mp4_seconds": round(facts.seconds, 2)}
        if facts.codec != H264 or facts.width % 2 or facts.height % 2 or not facts.starts_fast:
            reason = "it is not H.264 with even sides and its index in front"
            yield issue("rendition.video", f"{file.name} does not play everywhere: {reason}.", pointer=where)
        if file.bytes > limit:
            measured, most = f"{file.bytes / 1e6:.2f} MB", f"{limit / 1e6:.2f} MB"
            yield issue(
                "rendition.bytes", f"{file.name} is too large.", pointer=where, measured=measured, limit=most
            )
        longer = max(facts.width, facts.height)
        if subject.deliverable and longer - subject.deliverable.size_px not in (
            0,
            1,
        ):  # an odd side is filled
            yield issue(
                "rendition.size",
                f"{file.name} is {facts.width} x {facts.height}.",
                pointer=where,
                measured=f"{longer} px",
                limit=f"{subject.deliverable.size_px} px",
            )
