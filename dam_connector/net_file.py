"""The file of the net that takes part in cut-outs: its places, and the remark where it is missing."""

from pathlib import Path

from dam_connector.domain.rules import Rules
from dam_connector.settings import Settings

NETS = "nets"  # folder of the data directory with the admin's own nets
SHIPPED_NETS = ("u2netp.onnx",)  # in the package `worker`
NO_NET = "none"


def missing_net(rules: Rules, data_dir: Path) -> str:
    """Return a line about the net that rules name if its file is not here; else an empty text."""
    net = rules.imaging.net
    if net in (NO_NET, *SHIPPED_NETS) or (data_dir / NETS / net).is_file():
        return ""
    return (
        f"/imaging/net: there is no file {data_dir / NETS / net}: a worker without it cuts all products out "
        f"without a net. Put the file there, or set {SHIPPED_NETS[0]} or {NO_NET}"
    )


def missing_net_here(rules: Rules, settings: Settings) -> str:
    """Return the same where the workers have the data directory of this process; else an empty text."""
    return "" if settings.storage_url else missing_net(rules, settings.data_dir)
