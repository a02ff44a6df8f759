"""Greedy uploads: strangers are refused before their body is read; files within limits; nothing is stored
before it is accepted."""

import io
import random
import re
import zipfile
from collections.abc import Callable
from pathlib import Path
from typing import Any

import openpyxl
import pytest
from flask import Flask
from flask.testing import FlaskClient

from dam_connector.errors import InputError
from dam_connector.wiring import Services
from schemas import sheet_forms, sheet_reader, upload_process, uploads
from tests.support import picture

Visitor = Callable[[str], FlaskClient]
# Views that a stranger may call with a body: the login, and the logout of whoever is logged in.
OPEN_WRITES = {"auth.log_in", "auth.use_link", "auth.logout", "guests.enter", "viewer.count"}
SHEET = b"sku,name,image_url,category\nA1,Chair,a.jpg,seating\n"


class UnreadBody(io.BytesIO):
    """A request body that counts the reads."""

    reads = 0

    def read(self, size: int | None = -1, /) -> bytes:
        self.reads += 1
        return super().read(size)

    def readinto(self, buffer: Any, /) -> int:
        self.reads += 1
        return super().readinto(buffer)


def send_large(
    client: FlaskClient, url: str, method: str = "POST", length: int = 300_000_000
) -> tuple[int, int]:
    """Send a request with a large form; return the status of the response and the number of reads."""
    body = UnreadBody(b"--x\r\n")
    response = client.open(
        url,
        method=method,
        input_stream=body,
        content_type="multipart/form-data; boundary=x",
        environ_overrides={"CONTENT_LENGTH": str(length)},
    )
    return response.status_code, body.reads


def writes(app: Flask) -> list[tuple[str, str]]:
    """Address and method of all writes that need a role."""
    return [
        (re.sub(r"<any\((\w+)[^>]*>|<[^>]+>", lambda m: m[1] or "x", rule.rule), method)
        for rule in app.url_map.iter_rules()
        for method in sorted(rule.methods & {"POST", "PUT", "PATCH", "DELETE"})
        if rule.endpoint not in OPEN_WRITES
    ]


def test_a_stranger_is_refused_before_anything_of_a_body_is_read(app: Flask, client: FlaskClient) -> None:
    assert len(writes(app)) > 20
    answers = {url: send_large(client, url, method) for url, method in writes(app)}
    assert answers == dict.fromkeys(answers, (401, 0))


def test_a_user_without_the_role_is_refused_before_anything_is_read(browser_like: Visitor) -> None:
    assert send_large(browser_like("viewer"), "/batches/check") == (403, 0)


def test_a_login_form_has_a_small_limit(client: FlaskClient) -> None:
    assert send_large(client, "/login", length=70_000) == (413, 0)


def upload(client: FlaskClient, sheet: bytes, package: bytes | None = None) -> tuple[int, str]:
    files: dict[str, object] = {"file": (io.BytesIO(sheet), "sheet.csv")}
    if package is not None:
        files["pictures"] = (io.BytesIO(package), "pictures.zip")
    response = client.post("/batches/check", data=files, follow_redirects=True)
    return response.status_code, response.text


def stored_files(services: Services) -> int:
    folder = Path(services.settings.effective_storage_url)
    return sum(1 for path in folder.rglob("*") if path.is_file())


def workbook(replace: Callable[[bytes], bytes], member: str = "xl/worksheets/sheet1.xml") -> bytes:
    """A workbook of two rows, with a changed member."""
    plain, changed = io.BytesIO(), io.BytesIO()
    book = openpyxl.Workbook()
    book.active.append(["sku", "name"])
    book.active.append(["A1", "Chair"])
    book.save(plain)
    with zipfile.ZipFile(plain) as old, zipfile.ZipFile(changed, "w", zipfile.ZIP_DEFLATED) as new:
        for info in old.infolist():
            data = old.read(info)
            new.writestr(info.filename, replace(data) if info.filename == member else data)
    return changed.getvalue()


def test_a_workbook_that_claims_all_cells_is_read_by_the_cells_that_it_has(browser_like: Visitor) -> None:
    claims = workbook(lambda xml: re.sub(rb'ref="A1:B2"', b'ref="A1:XFD1048576"', xml))
    assert b"XFD1048576" in zipfile.ZipFile(io.BytesIO(claims)).read("xl/worksheets/sheet1.xml")
    status, page = upload(browser_like("merchandiser"), claims)
    assert status == 200 and "A1" in page


def test_columns_have_a_limit(browser_like: Visitor, services: Services) -> None:
    columns = b",".join(b"c%d" % n for n in range(sheet_reader.MAX_COLUMNS + 1)) + b"\n"
    status, page = upload(browser_like("merchandiser"), columns)
    assert status == 422 and "200 are allowed" in page and stored_files(services) == 0


def test_rows_have_a_limit(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(sheet_reader, "MAX_ROWS", 3)
    assert len(list(sheet_reader.read_sheet(b"sku\n1\n2\n\n3\n").rows)) == 3
    with pytest.raises(InputError, match="more than 3 rows"):
        list(sheet_reader.read_sheet(b"sku\n1\n2\n3\n4\n").rows)


def test_a_workbook_that_unpacks_to_too_much_is_refused(browser_like: Visitor, services: Services) -> None:
    package = io.BytesIO(workbook(lambda xml: xml))
    with zipfile.ZipFile(package, "a") as archive:
        archive.infolist()[0].file_size = sheet_forms.MAX_UNPACKED_BYTES + 1
        archive.writestr("new", b"")  # so that the list of members is written again
    status, page = upload(browser_like("merchandiser"), package.getvalue())
    assert status == 422 and "unpacks to too much" in page and stored_files(services) == 0


def shared_strings(text: bytes) -> bytes:
    """A workbook with these shared strings."""
    part = b"application/vnd.openxmlformats-officedocument.spreadsheetml.sharedStrings+xml"
    entry = b'<Override PartName="/xl/sharedStrings.xml" ContentType="%s" /></Types>' % part
    package = io.BytesIO(workbook(lambda xml: xml.replace(b"</Types>", entry), "[Content_Types].xml"))
    with zipfile.ZipFile(package, "a", zipfile.ZIP_DEFLATED) as archive:
        archive.writestr("xl/sharedStrings.xml", text)
    return package.getvalue()


def test_a_bomb_of_shared_strings_is_refused_before_it_is_unpacked(
    browser_like: Visitor, services: Services
) -> None:
    bomb = shared_strings(b"<sst>" + b"<si/>" * (sheet_forms.MIN_RATIO_BYTES // 5) + b"</sst>")
    assert len(bomb) < 150_000
    status, page = upload(browser_like("merchandiser"), bomb)
    assert status == 422 and "unpacks to too much" in page and stored_files(services) == 0


@pytest.mark.parametrize(
    "text",
    [
        b'<!DOCTYPE x [<!ENTITY a "b">]><sst><si><t>&a;</t></si></sst>',
        b'<!DOCTYPE x [<!ENTITY a SYSTEM "file:///etc/passwd">]><sst><si><t>&a;</t></si></sst>',
        b"<sst><si>",
        b"\xff\xfe\x00",
    ],
    ids=["entities", "a file of ours", "cut", "no XML"],
)
def test_damaged_and_hostile_shared_strings_are_refused(text: bytes) -> None:
    with pytest.raises(InputError) as caught:
        list(sheet_reader.read_sheet(shared_strings(text)).rows)
    assert caught.value.issue_code == "sheet.unreadable" and "root:" not in str(caught.value)


def test_a_zip_of_sixty_thousand_members_is_refused() -> None:
    package = io.BytesIO()
    with zipfile.ZipFile(package, "w") as archive:
        archive.writestr("0.jpg", b"")
        archive.filelist *= 60_000
    with pytest.raises(InputError, match="too many files"):
        uploads.list_pictures(package.getvalue(), 1000)


def pictures_zip(names: list[str], content: bytes = b"") -> bytes:
    package = io.BytesIO()
    with zipfile.ZipFile(package, "w", zipfile.ZIP_DEFLATED) as archive:
        for name in names:
            archive.writestr(name, content or picture())
    return package.getvalue()


def damaged_zip() -> bytes:
    """A ZIP with a broken deflate stream."""
    noise = random.Random(1).randbytes(2000)
    package = bytearray(pictures_zip(["a.jpg"], noise + bytes(5000)))
    package[40:60] = b"\xff" * 20
    return bytes(package)


def large_zip() -> bytes:
    """A small ZIP that claims to unpack to more than a gigabyte."""
    package = io.BytesIO()
    with zipfile.ZipFile(package, "w", zipfile.ZIP_DEFLATED) as archive:
        for number in range(upload_process.MAX_UNPACKED_BYTES // 33_000_000 + 1):
            archive.writestr(f"{number}.jpg", b"x")
        for info in archive.infolist():
            info.file_size = 33_000_000
    return package.getvalue()


@pytest.mark.parametrize(
    ("package", "message"),
    [
        (damaged_zip, "nor a ZIP that can be read"),
        (lambda: b"PK\x03\x04 nothing", "nor a ZIP that can be read"),
        (large_zip, "too large together"),
    ],
)
def test_a_greedy_or_damaged_zip_is_refused_and_nothing_is_stored(
    package: Callable[[], bytes], message: str, browser_like: Visitor, services: Services
) -> None:
    status, page = upload(browser_like("merchandiser"), SHEET, package())
    assert status == 422 and message in page and stored_files(services) == 0


def test_the_members_of_a_zip_have_a_limit(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(upload_process, "MAX_MEMBERS", 3)
    package = io.BytesIO(pictures_zip(["1.txt", "2.txt", "3.txt", "4.txt"], b"x"))
    with pytest.raises(InputError, match="too many files"):
        upload_process.write_picture_list(package, io.BytesIO(), 1000)


def test_only_pictures_that_the_sheet_names_are_stored_and_only_when_the_batch_begins(
    browser_like: Visitor, services: Services
) -> None:
    client, package = browser_like("merchandiser"), pictures_zip(["in/a.jpg", "b.jpg"], picture())
    status, page = upload(client, SHEET, package)
    assert (
        status == 200 and "1 good" in page and stored_files(services) == 3
    )  # the sheet, the ZIP and the check
    fields = dict(re.findall(r'<input type="hidden" name="([^"]+)" value="([^"]*)"', page))
    assert client.post("/batches", data=fields).status_code == 302
    rows = services.batches.rows(services.batches.page()[0].id)
    assert [row.product.images[0].url[:5] for row in rows if row.product] == ["held:"]
    assert stored_files(services) == 4
