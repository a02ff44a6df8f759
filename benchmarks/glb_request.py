"""A request for the report on one GLB, as `dam-worker check` makes it for a file without a product."""

from dam_connector.domain.ids import Sha256
from dam_connector.domain.rules import Rules
from dam_connector.domain.version import Role, VersionFile
from worker.check_request import CheckRequest

NAME = "x.glb"


def glb_request(data: bytes, rules: Rules, *, made_here: bool | None = None) -> CheckRequest:
    """Return the request.

    Args:
        data: The GLB.
        rules: The rules with the severities.
        made_here: Whether our own code made it; None: as the file says.
    """
    file = VersionFile(
        name=NAME,
        format="glb",
        role=Role.PRIMARY,
        view="",
        mime="model/gltf-binary",
        sha256=Sha256(""),
        bytes=len(data),
    )
    return CheckRequest(
        product=None,
        deliverable=None,
        slot=1,
        number=1,
        files=(file,),
        contents={NAME: data},
        rules=rules,
        made_here=made_here,
    )
