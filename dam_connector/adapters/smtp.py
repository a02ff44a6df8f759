"""Sending of e-mail by SMTP."""

import smtplib
import ssl
from email.message import EmailMessage
from urllib.parse import unquote, urlsplit

from dam_connector.errors import ConfigError, Unavailable

TIMEOUT_S = 20.0
_LOCAL_HOSTS = ("127.0.0.1", "::1", "localhost")


def send_mail(url: str, *, sender: str, to: str, subject: str, text: str) -> None:
    """Send one e-mail.

    Args:
        url: `smtp://USER:PASSWORD@HOST:PORT`, which begins TLS, or `smtps://` with TLS from the start. Only
            a server on this machine may do without TLS.
        sender: the sender's address.
        to: the receiver's address.
        subject: the subject, in one line.
        text: the text.

    Raises:
        ConfigError: the URL is none of SMTP.
        Unavailable: the server does not answer or refuses the e-mail; try again later.
    """
    parts = urlsplit(url)
    if parts.scheme not in ("smtp", "smtps") or not parts.hostname:
        raise ConfigError("the SMTP server must be given as smtp://USER:PASSWORD@HOST:587 or smtps://...")
    message = EmailMessage()
    message["From"], message["To"], message["Subject"] = sender, to, " ".join(subject.split())
    message.set_content(text)
    try:
        with _connect(parts.scheme, parts.hostname, parts.port) as server:
            if parts.username:
                server.login(unquote(parts.username), unquote(parts.password or ""))
            server.send_message(message)
    except (OSError, smtplib.SMTPException) as error:
        raise Unavailable("smtp", "send", f"{parts.hostname}: {type(error).__name__}") from error


def _connect(scheme: str, host: str, port: int | None) -> smtplib.SMTP:
    context = ssl.create_default_context()
    if scheme == "smtps":
        return smtplib.SMTP_SSL(host, port or 465, timeout=TIMEOUT_S, context=context)
    server = smtplib.SMTP(host, port or 587, timeout=TIMEOUT_S)
    try:
        server.ehlo()
        if host not in _LOCAL_HOSTS or server.has_extn("starttls"):
            server.starttls(context=context)
    except BaseException:
        server.close()
        raise
    return server
