"""A plant for benches that are no part of `make bench`: private services, tables, the two programs, looked at from outside."""

from __future__ import annotations

import contextlib
import json
import os
import signal
import subprocess
import tempfile
import time
import urllib.error
import urllib.request
from collections.abc import Callable, Iterator
from dataclasses import dataclass
from pathlib import Path

DAY = 20260105
TABLE = "spot_records"


@dataclass(frozen=True)
class Drain:
    """A day from its first claim to its last ack."""

    rows: int
    seconds: float
    cpu_ms_a_row: dict[str, float]  # of each process, `worker` among them
    start_seconds: float  # from the start of the process until it would claim

    def told(self) -> dict:
        return {
            "rows": self.rows, "seconds": self.seconds, "rows_per_s": self.rows / self.seconds,
            "cpu_ms_a_row": self.cpu_ms_a_row, "start_seconds": self.start_seconds,
        }


class Plant:
    """Services and settings; everything ends with `close`."""

    def __init__(self, root: Path, programs: Path, services: list[str], names: list[str]) -> None:
        """`services` is the command of tools/services, `names` are the services that it shall run."""
        for program in ("scheduler", "worker"):
            if not (programs / program).is_file():
                raise SystemExit(f"{programs / program} does not exist; `make build` makes it, or give --bin-dir")
        self.root, self.programs, self.names = root, programs, names
        self.folder = tempfile.TemporaryDirectory(prefix="weldfleet-bench-")
        place = Path(self.folder.name) / "services"
        self.services = subprocess.Popen(
            [*services, "run", str(place), *names], stdin=subprocess.PIPE, stdout=subprocess.PIPE, text=True, cwd=root
        )
        line = self.services.stdout.readline()
        if not line.startswith("ready "):
            self.close()
            raise SystemExit("the services did not start; the reason is above")
        told = json.loads(line.removeprefix("ready "))["env"]
        self.pids = {name: int(told[f"SERVICES_{name.upper()}_PID"]) for name in names}
        # Nothing of the caller's own configuration.
        clean = {name: value for name, value in os.environ.items() if not name.startswith("WELDFLEET")}
        self.environment = {**clean, **told}
        self.url = told["WELDFLEET__CLICKHOUSE__URL"]
        self.set("scheduler.http", "127.0.0.1:0")
        self.set("worker.http", "127.0.0.1:0")
        self.set("worker.save_dir", str(Path(self.folder.name) / "csv"))
        self.set("model.cache_dir", str(Path(self.folder.name) / "cache"))
        self.set("mysql.enabled", "true" if "mysql" in names else "false")
        self.run("scheduler", "migrate")
        self.days = 0

    def set(self, key: str, value: str) -> None:
        """A setting of programs that are started from now on."""
        self.environment[f"WELDFLEET__{key.replace('.', '__').upper()}"] = value

    def close(self) -> None:
        self.services.stdin.close()
        self.services.wait()
        self.services.stdout.close()
        self.folder.cleanup()

    # --- programs and statements ------------------------------------------------------------------------------------

    def run(self, program: str, *words: str) -> str:
        """A program to its end; it must succeed."""
        done = subprocess.run(
            [self.programs / program, *words], cwd=self.root, env=self.environment, capture_output=True, text=True
        )
        if done.returncode != 0:
            raise SystemExit(f"{program} {' '.join(words)} ended with {done.returncode}:\n{done.stderr}")
        return done.stdout

    @contextlib.contextmanager
    def running(self, program: str, settings: dict[str, str]) -> Iterator[Program]:
        """A program beside what is done meanwhile; ended in order behind it."""
        variables = {f"WELDFLEET__{key.replace('.', '__').upper()}": value for key, value in settings.items()}
        log = Path(self.folder.name) / f"{program}.log"
        with log.open("wb") as file:
            process = subprocess.Popen(
                [self.programs / program, "run", "--log-format", "json"], cwd=self.root,
                env={**self.environment, **variables}, stdin=subprocess.DEVNULL, stdout=subprocess.DEVNULL, stderr=file,
            )
        one = Program(program, process, log)
        try:
            yield one
            process.send_signal(signal.SIGTERM)
            process.wait(timeout=70)
        finally:
            process.kill()
            process.wait()

    def query(self, sql: str) -> str:
        request = urllib.request.Request(f"{self.url}/?database=weld", data=sql.encode())
        try:
            with urllib.request.urlopen(request, timeout=600) as answer:
                return answer.read().decode().strip()
        except urllib.error.HTTPError as error:
            raise SystemExit(f"{sql}\n{error.read().decode(errors='replace')}") from error

    # --- days ---------------------------------------------------------------------------------------------------------

    def simulate(self, rows: int) -> None:
        """The day that `fresh_day` copies. Nobody judges it."""
        self.run("scheduler", "simulate", "--day", str(DAY), "--rows", str(rows), "--seed", "7")

    def fresh_day(self, rows: int) -> int:
        """The first so many of these welds on a day of their own."""
        self.days += 1
        day = DAY + self.days
        if self.days > 25:
            raise SystemExit(f"more than 25 days are wanted, and {DAY} is in a month of 31")
        # In a query of its own, so that an alias never stands for a column.
        self.query(
            f"INSERT INTO {TABLE} SELECT * REPLACE (toUInt32({day}) AS data_date, "
            f"addDays(ck_local_time, {self.days}) AS ck_local_time) FROM (SELECT * FROM {TABLE} "
            f"WHERE data_date = {DAY} ORDER BY ck_local_time, record_id LIMIT {rows})"
        )
        if self.left(day) != rows:
            raise SystemExit(f"{self.left(day)} rows came to be on {day} of {rows}")
        return day

    def left(self, day: int) -> int:
        return int(self.query(f"SELECT countIf(alg_complete_time IS NULL) FROM {TABLE} WHERE data_date = {day}"))

    def answers(self, day: int) -> list[list[float]]:
        """What was written of each weld, by its id: probability, then millimetres."""
        text = self.query(
            f"SELECT ml_nok_prob, diameter, indentation, front_thickness, stack_thickness FROM {TABLE} "
            f"WHERE data_date = {day} ORDER BY record_id FORMAT JSONCompactEachRow"
        )
        return [json.loads(line) for line in text.splitlines()]

    # --- draining -----------------------------------------------------------------------------------------------------

    def cut(self, day: int, rows: int, batch_size: int) -> None:
        """Makes the day's jobs; the fleet is paused."""
        wanted = -(-rows // batch_size)
        self.run("scheduler", "pause", "--reason", "bench")
        settings = {"scheduler.batch_size": str(batch_size), "scheduler.max_outstanding": "100000"}
        with self.running("scheduler", settings) as scheduler:
            self.run("scheduler", "backfill", "--from", str(day), "--to", str(day))
            scheduler.until("the day is cut into jobs", 120, lambda: self.jobs("pending") >= wanted)

    def jobs(self, state: str) -> int:
        return json.loads(self.run("scheduler", "status", "--json"))["jobs"][state]

    def drain(self, day: int, rows: int, batch_size: int, settings: dict[str, str], patience: float = 600) -> Drain:
        """Has one worker judge the day."""
        self.cut(day, rows, batch_size)
        began = time.monotonic()
        with self.running("worker", settings) as worker:
            worker.until("the worker sees the pause", patience, lambda: "fleet is paused" in worker.said())
            start_seconds = time.monotonic() - began
            pids = {**self.pids, "worker": worker.process.pid}
            before = {name: cpu_seconds(pid) for name, pid in pids.items()}
            self.run("scheduler", "resume")
            worker.until("the day is judged", patience, lambda: self.left(day) == 0, every=0.2)
            # What follows the last ack belongs to the day too.
            worker.until("the jobs are done", 60, lambda: len(self.done(day)) * batch_size >= rows)
            spent = {name: (cpu_seconds(pid) - before[name]) * 1e3 / rows for name, pid in pids.items()}
        done = self.done(day)
        first, last = min(job["started_at"] for job in done), max(job["finished_at"] for job in done)
        return Drain(rows, (last - first) / 1e3, spent, start_seconds)

    def done(self, day: int) -> list[dict]:
        listed = self.run("scheduler", "jobs", "list", "--state", "done", "--day", str(day), "--limit", "100000", "--json")
        return json.loads(listed)["jobs"]


class Program:
    """A program that runs."""

    def __init__(self, name: str, process: subprocess.Popen, log: Path) -> None:
        self.name, self.process, self.log = name, process, log

    def said(self) -> str:
        return self.log.read_text(errors="replace")

    def until(self, what: str, seconds: float, look: Callable[[], bool], every: float = 0.05) -> None:
        """Waits for a condition; the program's end, or waiting in vain, is told with its log."""
        end = time.monotonic() + seconds
        while not look():
            if self.process.poll() is not None:
                raise SystemExit(f"{self.name} ended with {self.process.returncode}:\n{self.said()}")
            if time.monotonic() > end:
                raise SystemExit(f"waited {seconds:.0f} s in vain: {what}; {self.name} says:\n{self.said()}")
            time.sleep(every)


def cpu_seconds(pid: int) -> float:
    """CPU time of a process, the threads that have ended included."""
    # The name in parentheses may hold anything.
    fields = Path(f"/proc/{pid}/stat").read_text().rsplit(")", 1)[1].split()
    return (int(fields[11]) + int(fields[12])) / os.sysconf("SC_CLK_TCK")


def machine() -> dict:
    """Where figures come from: none means anything without it."""
    lines = (line.partition(":") for line in Path("/proc/cpuinfo").read_text().splitlines())
    names = [value.strip() for key, _, value in lines if key.strip() == "model name"]
    return {
        "cpu": names[0] if names else "unknown",
        "cores": len(os.sched_getaffinity(0)),
        "kernel": os.uname().release,
    }
