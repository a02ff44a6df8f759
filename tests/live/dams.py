"""Real DAMs as their reviewers and admins use them: Directus by its API, ResourceSpace by its pages."""

import html
import os
import re
import signal
import subprocess
from collections.abc import Iterator, Mapping
from contextlib import contextmanager
from dataclasses import dataclass
from typing import Any, ClassVar, Protocol
from urllib.parse import urljoin

import requests

from tests.live.kit import call_resourcespace
from tests.live.servers import Directus

HIDDEN = re.compile(r'<input[^>]*type="hidden"[^>]*>')
NAME, VALUE = re.compile(r'name="([^"]*)"'), re.compile(r'value="([^"]*)"')
ARCHIVE = {"-1": "in_review", "0": "approved", "2": "archived", "3": "deleted", "4": "rejected"}
NOT_OURS = ("other.jpg", b"\xff\xd8\xff not ours", "image/jpeg")


class DamPeople(Protocol):
    """A DAM, and what people do there."""

    connection: ClassVar[str]  # its name in plugin.json
    # The DAM's words for a version that was approved, and for one that was withdrawn.
    approved: ClassVar[tuple[str, ...]]
    withdrawn: ClassVar[tuple[str, ...]]

    def state(self, ref: str) -> str: ...
    def say(self, ref: str, verdict: str, note: str = "") -> None: ...
    def replace_file(self, ref: str) -> None: ...
    def away(self) -> Any: ...
    def wrong_rights(self) -> Iterator[tuple[Mapping[str, str], str]]: ...


@dataclass
class DirectusPeople:
    """Directus. Its people use its API, as its own pages do."""

    directus: Directus
    reviewer: str
    connection: ClassVar[str] = "directus"
    approved: ClassVar[tuple[str, ...]] = ("approved", "published")
    withdrawn: ClassVar[tuple[str, ...]] = ("withdrawn",)

    def state(self, ref: str) -> str:
        row = self.directus.ask("GET", f"/items/asset_versions/{ref}?fields=status")
        return str(row["status"]) if row else "gone"

    def say(self, ref: str, verdict: str, note: str = "") -> None:
        said = {"status": verdict, **({"reject_reason": note} if note else {})}
        assert self.directus.ask("PATCH", f"/items/asset_versions/{ref}", self.reviewer, json=said)

    def replace_file(self, ref: str) -> None:
        query = f"/items/asset_versions/{ref}?fields=files.directus_files_id.id"
        file = self.directus.ask("GET", query)["files"][0]["directus_files_id"]["id"]
        self.directus.ask("PATCH", f"/files/{file}", files={"file": NOT_OURS})

    @contextmanager
    def away(self) -> Iterator[None]:
        """Stop Directus, and start it again."""
        self.directus.end()
        try:
            yield
        finally:
            self.directus.start()

    def wrong_rights(self) -> Iterator[tuple[Mapping[str, str], str]]:
        """Yield the environment of a command, and a word of the message that it must end with."""
        yield {"DIRECTUS_TOKEN": self.reviewer}, "permission"
        yield {"DIRECTUS_TOKEN": "no-such-token"}, "401"


@dataclass
class ResourceSpacePeople:
    """ResourceSpace. A reviewer there presses the buttons of its pages."""

    rig: dict[str, Any]
    connection: ClassVar[str] = "rs"
    approved: ClassVar[tuple[str, ...]] = ("approved",)
    withdrawn: ClassVar[tuple[str, ...]] = ("archived",)

    def state(self, ref: str) -> str:
        found = call_resourcespace(self.rig, "admin", "get_resource_data", resource=ref).json()
        return ARCHIVE.get(str(found["archive"]), str(found["archive"])) if found else "gone"

    def say(self, ref: str, verdict: str, note: str = "") -> None:
        """Press *Publish* or *Reject* on the resource's page."""
        about = self.rig["resourcespace"]
        action = about["workflow_actions"]["publish" if verdict == "approved" else "reject"]
        browser, login = requests.Session(), f"{about['url']}/login.php"
        person = about["users"]["reviewer"]
        form = {**_hidden(browser.get(login, timeout=60).text), "username": person["user"]}
        browser.post(login, data={**form, "password": person["password"]}, timeout=60)
        page = browser.get(f"{about['url']}/pages/view.php?ref={ref}", timeout=60).text
        pattern = rf'<form action="([^"]+)"\s+id="resource_{ref}_workflowaction{action}">(.*?)</form>'
        found = re.search(pattern, page, re.S)
        assert found, f"no button on the page of resource {ref}"
        pressed = {**_hidden(found[2]), f"more_workflow_action_{action}": note}
        address = urljoin(about["url"], html.unescape(found[1]))
        assert browser.post(address, data=pressed, timeout=60).ok

    def replace_file(self, ref: str) -> None:
        more = {"ref": ref, "no_exif": 1, "revert": 0}
        found = call_resourcespace(self.rig, "admin", "upload_multipart", file=NOT_OURS, **more)
        assert found.status_code == 204

    @contextmanager
    def away(self) -> Iterator[None]:
        """Let no process of ResourceSpace answer, and let all go on again."""
        with paused(self.rig["pids"]["resourcespace"]):
            yield

    def wrong_rights(self) -> Iterator[tuple[Mapping[str, str], str]]:
        """Yield the environment of a command, and a word of the message that it must end with."""
        yield {"RESOURCESPACE_KEY": "no such key"}, "private key"
        for right, word in (("v", "permission v"), ("e-1", "needs the permissions"), ("e4", "by hand")):
            with self._without_right(right):
                yield {}, word

    @contextmanager
    def _without_right(self, right: str) -> Iterator[None]:
        """Take a permission off the connector's group, as an admin does on the group's page."""
        group = "SELECT usergroup FROM user WHERE username = 'connector'"
        (before,) = self._sql(f"SELECT permissions FROM usergroup WHERE ref = ({group})")
        left = ",".join(each for each in before.split(",") if each != right)
        assert left != before, f"the group has no permission {right}: {before}"
        set_to = "UPDATE usergroup SET permissions = '{}' WHERE ref = ({})"
        self._sql(set_to.format(left, group))
        try:
            yield
        finally:
            self._sql(set_to.format(before, group))

    def _sql(self, statement: str) -> list[str]:
        about = self.rig["database"]
        command = ["mariadb", "--no-defaults", f"--socket={about['socket']}", f"--user={about['user']}"]
        command += ["--batch", "--skip-column-names", "--execute", statement, "resourcespace"]
        environ = {**os.environ, "MYSQL_PWD": about["password"]}
        done = subprocess.run(command, env=environ, check=True, capture_output=True, text=True, timeout=60)
        return done.stdout.splitlines()


@contextmanager
def paused(pid: int) -> Iterator[None]:
    """Let a process and those of its group hang, and let them go on again."""
    group = os.getpgid(pid)
    os.killpg(group, signal.SIGSTOP)
    try:
        yield
    finally:
        os.killpg(group, signal.SIGCONT)


def _hidden(page: str) -> dict[str, str]:
    """The hidden fields of a form."""
    found = {}
    for each in HIDDEN.findall(page):
        name, value = NAME.search(each), VALUE.search(each)
        if name:
            found[html.unescape(name[1])] = html.unescape(value[1]) if value else ""
    return found
