"""The text of addresses, as people write them and as headers carry them."""


def clean_url(url: str) -> str:
    """Return an address as people mean it: without blanks at its ends, and with those inside encoded."""
    return url.strip(" \t\r\n\u00a0\ufeff").replace(" ", "%20")


def as_utf8(header: str) -> str:
    """Return a header's text in UTF-8, if it is; http.client reads all headers as Latin-1."""
    try:
        return header.encode("latin-1").decode()
    except UnicodeError:
        return header
