"""A folder of running services: what was started, where, and how to start, stop, freeze or kill each one.

Everything known is in DIR/state.json, so that any later process can go on from it.
"""

import contextlib
import fcntl
import json
import os
import shlex
import shutil
import signal
import subprocess
import time
from dataclasses import asdict
from pathlib import Path
from typing import Iterator

from kinds import KINDS, Service
from process import Identity, Ports, ServiceError, spawn

READY_SECONDS = 60.0
STOP_SECONDS = 30.0


class Instance:
    def __init__(self, directory: Path, *, die_with_us: bool = False) -> None:
        self.directory = directory.resolve()
        self._die_with_us = die_with_us
        self._ports = Ports()
        self._children: dict[str, subprocess.Popen] = {}
        self._state: dict[str, dict] = {}  # name -> {"port": …, "process": Identity fields or None}

    # --- what is known ----------------------------------------------------------------------------------------

    @contextlib.contextmanager
    def locked(self) -> Iterator[None]:
        """One command at a time works on a folder; the next one sees what it left."""
        self.directory.mkdir(parents=True, exist_ok=True)
        os.chmod(self.directory, 0o755)  # the services' accounts must get through
        with (self.directory / "lock").open("w") as lock:
            fcntl.flock(lock, fcntl.LOCK_EX)
            self._load()
            yield

    def exists(self) -> bool:
        return (self.directory / "state.json").exists()

    def _load(self) -> None:
        with contextlib.suppress(FileNotFoundError):
            self._state = json.loads((self.directory / "state.json").read_text())

    def _save(self) -> None:
        self._replace("state.json", json.dumps(self._state, indent=1) + "\n")
        lines = [f"export {key}={shlex.quote(value)}" for key, value in self.environment().items()]
        self._replace("env", "\n".join(lines) + "\n")

    def _replace(self, name: str, text: str) -> None:
        temporary = self.directory / f"{name}.new"
        temporary.write_text(text)
        temporary.replace(self.directory / name)

    def names(self) -> list[str]:
        return list(self._state)

    def process(self, name: str) -> Identity | None:
        """The service's process, if it is alive."""
        fields = self._known(name)["process"]
        identity = Identity(**fields) if fields else None
        return identity if identity and identity.state() else None

    def _known(self, name: str) -> dict:
        if name not in self._state:
            raise ServiceError(f"{name} was never started in {self.directory}; start it with `up` or `run`")
        return self._state[name]

    def environment(self) -> dict[str, str]:
        result: dict[str, str] = {}
        for name, known in self._state.items():
            result |= KINDS[name].environment(known["port"])
            result[f"SERVICES_{name.upper()}_PORT"] = str(known["port"])
            result[f"SERVICES_{name.upper()}_PID"] = str((known["process"] or {}).get("pid", ""))
        if Path(os.environ["ORT_DYLIB_PATH"]).exists():
            result["ORT_DYLIB_PATH"] = os.environ["ORT_DYLIB_PATH"]
        if Path(os.environ["OPENVINO_PLUGIN"]).exists():
            result["WELDFLEET__MODEL__OPENVINO_PLUGIN"] = os.environ["OPENVINO_PLUGIN"]
            result["ORT_DISABLE_TELEMETRY"] = "1"
        return result

    # --- commands ---------------------------------------------------------------------------------------------

    def up(self, names: list[str]) -> None:
        """Starts those of `names` that do not run, and returns when all of them answer."""
        # The slowest to prepare comes last, the others become ready meanwhile.
        for name in sorted(names, key=list(KINDS).index):
            if name not in self._state:
                self._state[name] = {"port": self._ports.take(None), "process": None}
            self._spawn(name, any_port=True)
        for name in names:
            self._await_ready(name)

    def start(self, name: str) -> None:
        """Starts a service again, on the port it had."""
        self._known(name)
        self._spawn(name, any_port=False)
        self._await_ready(name)

    def _spawn(self, name: str, *, any_port: bool) -> None:
        known, kind, folder = self._state[name], KINDS[name], self.directory / name
        if self.process(name):
            return
        port = self._ports.take(known["port"])
        if port is None and any_port:
            port = self._ports.take(None)
        if port is None:
            raise ServiceError(f"port {known['port']} of {name} was taken by another process meanwhile; `down` and `up`")
        known["port"] = port

        folder.mkdir(exist_ok=True)
        account = kind.account(folder)
        if account and folder.stat().st_uid != account.uid:
            shutil.chown(folder, account.uid, account.gid)
        kind.prepare(folder)
        child = spawn(
            kind.argv(folder, port),
            log=folder / "log",
            account=account,
            die_with_us=self._die_with_us,
            keep_fds=[self._ports.lock_of(port)],
            cwd=folder,
        )
        self._children[name] = child
        known["process"] = asdict(Identity.of(child.pid))
        self._save()

    def _await_ready(self, name: str) -> None:
        kind: Service = KINDS[name]
        deadline = time.monotonic() + READY_SECONDS
        while True:
            if not self.process(name):
                raise ServiceError(f"{name} ended while it started; the end of its log:\n{self._log_tail(name)}")
            with contextlib.suppress(OSError):
                if kind.ready(self._state[name]["port"]):
                    return
            if time.monotonic() > deadline:
                raise ServiceError(f"{name} did not answer in {READY_SECONDS:.0f} s; see {self.directory / name / 'log'}")
            time.sleep(0.02)

    def _log_tail(self, name: str) -> str:
        return (self.directory / name / "log").read_text(errors="replace")[-2000:]

    def version(self, name: str) -> str:
        try:
            return KINDS[name].version(self._known(name)["port"])
        except OSError as error:
            raise ServiceError(f"{name} does not tell its version: {error}") from error

    def stop(self, name: str) -> None:
        """Ends a service in the orderly way if it has one; it may be frozen. Its data and port are kept."""
        process = self.process(name)
        if process and KINDS[name].stops_gracefully:
            process.send(signal.SIGTERM)
            process.send(signal.SIGCONT)
            if not process.await_end(STOP_SECONDS):
                self._kill_and_wait(process, name)
        elif process:
            self._kill_and_wait(process, name)
        self._ended(name)

    def kill(self, name: str) -> None:
        process = self.process(name)
        if process:
            self._kill_and_wait(process, name)
        self._ended(name)

    def _kill_and_wait(self, process: Identity, name: str) -> None:
        process.send(signal.SIGKILL)
        if not process.await_end(STOP_SECONDS):
            raise ServiceError(f"{name} (pid {process.pid}) did not end within {STOP_SECONDS:.0f} s of SIGKILL")

    def _ended(self, name: str) -> None:
        if name in self._children:
            self._children.pop(name).wait()
        self._state[name]["process"] = None
        self._save()

    def pause(self, name: str) -> None:
        self._signal_running(name, signal.SIGSTOP)

    def cont(self, name: str) -> None:
        self._signal_running(name, signal.SIGCONT)

    def _signal_running(self, name: str, number: signal.Signals) -> None:
        process = self.process(name)
        if not process or not process.send(number):
            raise ServiceError(f"{name} is not running")

    def kill_all(self) -> None:
        """Ends everything at once; for folders whose data nobody wants."""
        running = [(name, process) for name in self._state if (process := self.process(name))]
        for _, process in running:
            process.send(signal.SIGKILL)
        for name, process in running:
            self._kill_and_wait(process, name)

    def status(self) -> dict[str, dict]:
        words = {None: "stopped", "T": "paused"}
        report = {}
        for name, known in self._state.items():
            process = self.process(name)
            state = process.state() if process else None
            pid = process.pid if process else None
            report[name] = {"state": words.get(state, "running"), "port": known["port"], "pid": pid}
        return report
