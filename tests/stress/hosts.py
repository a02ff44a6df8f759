"""Hosts on one machine: network namespaces that meet at a switch, each with an address of its own."""

import ctypes
import os
import subprocess
import threading
import uuid
from collections.abc import Callable, Mapping, Sequence
from contextlib import suppress
from pathlib import Path
from typing import IO, Any

NETWORK = "10.77.0"
CLONE_NEWNET = 0x40000000


def not_allowed() -> str:
    """Return why this machine cannot have hosts, or an empty text."""
    if not hasattr(os, "geteuid") or os.geteuid() != 0:
        return "network namespaces need root"
    name = f"probe{uuid.uuid4().hex[:6]}"
    commands = [["netns", "add", name], ["-n", name, "link", "add", "br0", "type", "bridge"]]
    try:
        for command in [
            *commands,
            ["-n", name, "link", "add", "veth0", "type", "veth", "peer", "name", "veth1"],
        ]:
            _ip(*command)
    except (OSError, subprocess.CalledProcessError) as error:
        return f"network namespaces are not allowed here: {getattr(error, 'stderr', '') or error}".strip()
    finally:
        with suppress(OSError, subprocess.CalledProcessError):
            _ip("netns", "del", name)
    return ""


def _ip(*arguments: str) -> None:
    subprocess.run(["ip", *arguments], check=True, capture_output=True, text=True, timeout=20)


class Hosts:
    """Hosts by name, each with an interface at the switch. Their processes end with `close`."""

    def __init__(self, names: Sequence[str]) -> None:
        self._prefix = f"dam{uuid.uuid4().hex[:6]}"
        self._processes: list[subprocess.Popen[bytes]] = []
        self.address = {name: f"{NETWORK}.{number}" for number, name in enumerate(names, 1)}
        self._switch = f"{self._prefix}-switch"
        _ip("netns", "add", self._switch)
        _ip("-n", self._switch, "link", "add", "br0", "type", "bridge")
        _ip("-n", self._switch, "link", "set", "br0", "up")
        for name, address in self.address.items():
            self._plug_in(name, address)

    def _plug_in(self, name: str, address: str) -> None:
        host, port = f"{self._prefix}-{name}", f"port{self.address[name].rpartition('.')[2]}"
        _ip("netns", "add", host)
        peer = ["peer", "name", "eth0", "netns", host]
        _ip("-n", self._switch, "link", "add", port, "type", "veth", *peer)
        _ip("-n", self._switch, "link", "set", port, "master", "br0", "up")
        _ip("-n", host, "addr", "add", f"{address}/24", "dev", "eth0")
        for device in ("eth0", "lo"):
            _ip("-n", host, "link", "set", device, "up")

    def set_link(self, name: str, state: str) -> None:
        """Cut a host off (`down`), or plug it in again (`up`). Packets get lost; nobody is told."""
        _ip("-n", self._switch, "link", "set", f"port{self.address[name].rpartition('.')[2]}", state)

    def on(self, name: str, call: Callable[[], Any]) -> Any:
        """Call a function in a thread on a host; its sockets and processes are the host's."""
        answer: list[Any] = []

        def run() -> None:
            with open(f"/run/netns/{self._prefix}-{name}") as namespace:
                if ctypes.CDLL(None, use_errno=True).setns(namespace.fileno(), CLONE_NEWNET):
                    raise OSError(ctypes.get_errno(), "setns")
            try:
                answer.append(call())
            except BaseException as error:
                answer.append(error)

        thread = threading.Thread(target=run)
        thread.start()
        thread.join()
        if isinstance(answer[0], BaseException):
            raise answer[0]
        return answer[0]

    def start(
        self, name: str, argv: Sequence[str], env: Mapping[str, str], log: Path, **options: Any
    ) -> subprocess.Popen[bytes]:
        """Start a process on a host; its output goes to a file."""
        out: IO[bytes]
        with log.open("ab") as out:
            process: subprocess.Popen[bytes] = self.on(
                name,
                lambda: subprocess.Popen(argv, env={**os.environ, **env}, stdout=out, stderr=out, **options),
            )
        self._processes.append(process)
        return process

    def close(self) -> None:
        """End all processes, then the hosts."""
        for process in reversed(self._processes):
            process.terminate()
        for process in self._processes:
            try:
                process.wait(20)
            except subprocess.TimeoutExpired:
                process.kill()
                process.wait()
        for name in [*self.address, "switch"]:
            with suppress(subprocess.CalledProcessError):
                _ip("netns", "del", f"{self._prefix}-{name}")
