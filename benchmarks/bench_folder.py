"""Files of a folder that a benchmark measures; a folder without them ends the benchmark with the reason."""

from pathlib import Path


def matching_files(folder: Path, *patterns: str) -> list[Path]:
    """Return the files in a folder that match any of the patterns, in the order of the patterns.

    Raises:
        SystemExit: Nothing matches, so nothing would be measured.
    """
    if not folder.is_dir():
        raise SystemExit(f"nothing measured: {folder} is not a folder")
    files = [file for pattern in patterns for file in sorted(folder.glob(pattern))]
    if not files:
        raise SystemExit(f"nothing measured: {folder} has no {' or '.join(patterns)}")
    return files
