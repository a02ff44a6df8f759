"""Links that commands print lead to the service that runs, on whatever port it was started."""

from dataclasses import replace

import pytest

from dam_connector.errors import ConfigError
from dam_connector.ops import supervisor
from dam_connector.ops.running_service import noted_service, service_address
from dam_connector.wiring import Services


def test_a_link_has_the_port_of_the_running_service(services: Services) -> None:
    settings = replace(services.settings, public_url="", host="127.0.0.1", port=8000)
    assert service_address(settings) == "http://127.0.0.1:8000"
    with noted_service(replace(settings, port=9321)):
        assert service_address(settings) == "http://127.0.0.1:9321"
    assert service_address(settings) == "http://127.0.0.1:8000"


def test_a_public_address_stays_and_a_note_of_a_dead_process_is_ignored(services: Services) -> None:
    settings = replace(services.settings, public_url="", host="127.0.0.1", port=8000)
    with noted_service(replace(settings, port=9321)):
        assert service_address(replace(settings, public_url="https://a.example/")) == "https://a.example"
    note = settings.data_dir / "service.json"
    for text in ("", "[]", '{"pid": 4194304, "host": "127.0.0.1", "port": 1}', '{"pid": "x"}'):
        note.write_text(text)
        assert service_address(settings) == "http://127.0.0.1:8000"


def test_whatever_starts_the_service_notes_its_port_and_a_refused_start_leaves_the_note(
    services: Services, monkeypatch: pytest.MonkeyPatch
) -> None:
    settings = replace(services.settings, public_url="", host="127.0.0.1", port=8000)
    monkeypatch.setattr(supervisor.signal, "signal", lambda *_: None)
    monkeypatch.setattr(supervisor, "check_port", lambda _: None)
    for name in ("_start_all", "_stop_all"):
        monkeypatch.setattr(supervisor.Supervisor, name, lambda _: None)
    first = supervisor.Supervisor(replace(settings, port=9321), 1)
    seen = []

    def look() -> None:
        with pytest.raises(ConfigError, match="already running"):
            supervisor.Supervisor(replace(settings, port=9400), 1).run()
        seen.append(service_address(settings))
        first._stopping = True

    first.on_ready = look
    first.run()
    assert seen == ["http://127.0.0.1:9321"]
