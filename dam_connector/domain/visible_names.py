"""Names that people give: of batches and guest links. They stand in lists, messages and file names."""


def is_visible_name(name: str) -> bool:
    """Return whether a name has visible characters and spaces only: no line break, no change of direction."""
    return bool(name.strip()) and name.isprintable()


def visible_part(name: str) -> str:
    """Return a name without its invisible characters, e.g. that of an uploaded file."""
    return "".join(c for c in name if c.isprintable()).strip()
