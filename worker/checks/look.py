"""Look: a finished model compared with the model that its maker sent, in renders from several sides.

Both are rendered alike, with the same box. What our renderer does not show, e.g. transmission, is not
compared.
"""

from collections.abc import Iterator

from dam_connector.domain.issue import CheckOutcome, Issue, ReportRow, issue
from dam_connector.domain.rules import Rules
from dam_connector.errors import InputError
from worker.measuring.check_subject import CheckSubject
from worker.measuring.look_comparison import LEAST_SSIM, compare_looks
from worker.modeling.glb_import import read_glb


def check(subject: CheckSubject, rules: Rules) -> Iterator[Issue]:
    """Yield model.look_changed; add a row."""
    try:
        before, after = read_glb(subject.original), read_glb(subject.glb)
    except InputError:
        return  # another check reports what is wrong with the GLB
    ssim_of_view = compare_looks(before, after)
    view, ssim = min(ssim_of_view.items(), key=lambda pair: pair[1])
    outcome = CheckOutcome.PASS if ssim >= LEAST_SSIM else CheckOutcome.FAIL
    subject.rows.append(
        ReportRow(
            check="likeness to the original",
            outcome=outcome,
            measured=f"SSIM {ssim:.3f} in the {view} view",
            limit=f"at least {LEAST_SSIM:g}",
        )
    )
    if outcome is CheckOutcome.FAIL:
        yield issue(
            "model.look_changed",
            f"In the {view} view it differs from the original.",
            measured=f"SSIM {ssim:.3f}",
            limit=f"{LEAST_SSIM:g}",
        )
