"""A person's browser at the provider that `tests/live/openid` starts: its forms, followed by HTTP."""

import re
from html import unescape
from urllib.parse import urljoin

import requests


class Browser:
    """Follows redirects and fills in the provider's forms for login and consent; it keeps cookies."""

    def __init__(self) -> None:
        self.session = requests.Session()
        self.visited: list[requests.Response] = []

    def log_in(self, service: str, person: str) -> requests.Response:
        """Press the button on the login page, log in at the provider; return the page at the end."""
        return self.finish(self.open(f"{service}/login/sign-on?next=/products"), person)

    def open(self, url: str) -> requests.Response:
        """Return the response of an address without following a redirect."""
        self.visited.append(self.session.get(url, timeout=30, allow_redirects=False))
        return self.visited[-1]

    def finish(self, response: requests.Response, person: str) -> requests.Response:
        """Go on until a page that is no form of the provider."""
        for _ in range(20):
            if response.is_redirect:
                response = self.open(urljoin(response.url, response.headers["location"]))
            elif "/interaction/" in response.url:
                response = self._fill_in(response, person)
            else:
                return response
        raise AssertionError(f"no end: {response.url}")

    def _fill_in(self, page: requests.Response, person: str) -> requests.Response:
        action = re.search(r'<form[^>]* action="([^"]+)"', page.text)
        assert action, page.text
        hidden = dict(re.findall(r'<input type="hidden" name="(\w+)" value="(\w+)"', page.text))
        form = {**hidden, "login": person, "password": "any"}
        url = urljoin(page.url, unescape(action[1]))
        return self.session.post(url, data=form, timeout=30, allow_redirects=False)
