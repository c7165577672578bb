"""Runs the tests that speak to a store on stores of other versions, and writes the table of docs/COMPATIBILITY.md.

One part is changed at a time, the others stay as `make test` has them. What ran is kept in docs/compatibility.json, part by
part, so that `--only` renews single lines. Exit code 1 when a test failed; the table then says which.
"""

import argparse
import datetime
import json
import os
import re
import subprocess
import sys
import tempfile
import time
import urllib.request
import xml.etree.ElementTree as xml
from dataclasses import dataclass
from pathlib import Path

ROOT = Path(__file__).resolve().parent.parent
RESULTS = ROOT / "docs/compatibility.json"
TABLE = ROOT / "docs/COMPATIBILITY.md"
JUNIT = ROOT / "target/nextest/parts/junit.xml"
FEATURES = ["--workspace", "--locked", "--features", "failpoints"]

# What is run: names of the table's words, each a set of (binary, start of the test's name).
GROUPS = {
    "day": [("weldfleet-tests::day", "")],
    "foreign table": [("weldfleet-tests::foreign", "")],
    "mirror": [("weldfleet-tests::mirror", ""), ("weldfleet-stores::mirror", "")],
    "migrate": [("weldfleet-stores::migrate", ""), ("weldfleet-stores::foreign", "")],
    "queue": [("weldfleet-queue::it", f"{module}::") for module in ("protocol", "plans", "deaths", "outage", "property", "cookbook")],
    "mysql away": [("weldfleet-tests::faults_outage", "mysql_stopped")],
    "redis away": [("weldfleet-tests::faults_outage", "redis_stopped")],
    "clickhouse away": [("weldfleet-tests::faults_outage", "clickhouse_stopped")],
}
FLEET = ("day", "foreign table", "mirror")


@dataclass(frozen=True)
class Part:
    """A line of the table."""

    name: str
    #: Of tools/services.sh.
    service: str
    #: Of tools/parts.sh; None is what `make test` runs on.
    recipe: str | None
    groups: tuple[str, ...]
    differs: str

    @property
    def in_process(self) -> bool:
        return not self.groups

    def environment(self, paths: dict[str, str]) -> dict[str, str]:
        return {f"{self.service.upper()}_SERVER": paths[self.recipe.upper()]} if self.recipe else {}


MYSQL = (*FLEET, "migrate", "mysql away")
REDIS = (*FLEET, "queue", "redis away")
PARTS = [
    Part("ClickHouse 26.7", "clickhouse", None, (*FLEET, "migrate", "clickhouse away"), "what `make test` runs on"),
    Part("ClickHouse 26.9", "clickhouse", "clickhouse_26_9", (),
         "the newest engine in a registry; it has no launcher and serves no HTTP, so the tests cannot reach it: what `migrate` prints, "
         "simulated rows and an UPDATE as the worker's ran in process"),
    Part("MariaDB 10.11", "mysql", None, MYSQL, "what `make test` runs on"),
    Part("MariaDB 11.8", "mysql", "mariadb_11_8", MYSQL, "nothing"),
    Part("MySQL 9.7", "mysql", "mysql_9_7", MYSQL,
         "exact comparison is `utf8mb4_0900_bin` (MariaDB: `utf8mb4_nopad_bin`), chosen by `migrate`; logins are "
         "`caching_sha2_password`, over plain TCP too; it warns that `VALUES()` in `ON DUPLICATE KEY UPDATE` will go, and MariaDB "
         "has no other word for it"),
    Part("Redis 7.0", "redis", None, REDIS, "what `make test` runs on"),
    Part("Redis 8.0", "redis", "redis_8_0", REDIS, "nothing"),
    Part("Valkey 8.1", "redis", "valkey_8_1", REDIS, "`redis_version` stays at 7.2.4; its own is `valkey_version`"),
    Part("Valkey 9.1", "redis", "valkey_9_1", REDIS, "`redis_version` stays at 7.2.4; its own is `valkey_version`"),
]


def main() -> None:
    parser = argparse.ArgumentParser(prog="tools/test_parts.py", description=__doc__)
    parser.add_argument("--only", nargs="+", metavar="PART", help=f"of: {', '.join(repr(part.name) for part in PARTS)}")
    parser.add_argument("--groups", nargs="+", choices=list(GROUPS), help="only these tests (nothing is written)")
    parser.add_argument("--table", action="store_true", help="only write the table anew")
    options = parser.parse_args()
    known = {part.name.lower(): part for part in PARTS}
    if unknown := [name for name in options.only or [] if name.lower() not in known]:
        parser.error(f"no part {unknown[0]!r}; there are {', '.join(part.name for part in PARTS)}")
    wanted = [known[name.lower()] for name in options.only] if options.only else PARTS
    results = json.loads(RESULTS.read_text()) if RESULTS.exists() else {}
    if not options.table:
        failed = run_all(wanted, options.groups, results)
    if options.groups:
        raise SystemExit(1 if failed else 0)
    write_table(results)
    if not options.table:
        raise SystemExit(1 if failed else 0)


def run_all(wanted: list[Part], only_groups: list[str] | None, results: dict) -> bool:
    start, failed = time.monotonic(), False
    for part in wanted:
        if part.recipe:
            subprocess.run([ROOT / "tools/parts.sh", part.recipe], check=True)
    paths = part_paths()
    for part in wanted:
        if part.in_process:
            result = run_in_process(paths[part.recipe.upper()])
            print(f"\n== {part.name} in process: {result}", flush=True)
            failed = failed or any(said != "ok" for name, said in result["steps"].items() if name != "serve HTTP")
            if not only_groups:
                results[part.name] = {**result, "date": datetime.date.today().isoformat()}
                RESULTS.write_text(json.dumps(results, indent=1, ensure_ascii=False) + "\n")
            continue
        # Fewer random sequences of the queue than `make test` has.
        environment = {"PROPTEST_CASES": "100", **os.environ, **part.environment(paths)}
        groups = [name for name in part.groups if not only_groups or name in only_groups]
        version = version_of(part, environment)
        print(f"\n== {version}: {', '.join(groups)} ({time.monotonic() - start:.0f} s)", flush=True)
        ran = run_tests(groups, environment)
        broken = sorted(name for outcome in ran.values() for name in outcome["failed"])
        failed = failed or bool(broken)
        if not only_groups:
            results[part.name] = {"version": version, "date": datetime.date.today().isoformat(), "groups": ran}
            RESULTS.write_text(json.dumps(results, indent=1, ensure_ascii=False) + "\n")
        print(f"{version}: {sum(outcome['passed'] for outcome in ran.values())} passed, failed: {', '.join(broken) or 'none'}")
    print(f"\n{len(wanted)} parts in {(time.monotonic() - start) / 60:.1f} min")
    return failed


def part_paths() -> dict[str, str]:
    lines = subprocess.run([ROOT / "tools/parts.sh", "--paths", "all"], check=True, stdout=subprocess.PIPE, text=True).stdout
    return dict(line.split("=", 1) for line in lines.splitlines())


def version_of(part: Part, environment: dict[str, str]) -> str:
    """What the server calls itself. The supervisor ends, with the server, when its stdin does."""
    folder = Path(tempfile.gettempdir()) / f"weldfleet-parts-{os.getpid()}"
    answer = subprocess.run(
        [ROOT / "tools/services.sh", "run", folder, part.service],
        input=f"version {part.service}\n", stdout=subprocess.PIPE, text=True, env=environment, check=True,
    )
    _, said = answer.stdout.splitlines()
    if not said.startswith("ok "):
        raise SystemExit(f"{part.name}: {said}")
    return said.removeprefix("ok ")


def run_in_process(engine: str) -> dict:
    """tools/engine_in_process.py on what the usual engine's tables look like."""
    with tempfile.TemporaryDirectory() as scratch:
        ddl, native = Path(scratch, "ddl.sql"), Path(scratch, "rows.native")
        services = subprocess.Popen(
            [ROOT / "tools/services.sh", "run", Path(tempfile.gettempdir()) / f"weldfleet-parts-{os.getpid()}", "clickhouse"],
            stdin=subprocess.PIPE, stdout=subprocess.PIPE, text=True,
        )
        try:
            url = json.loads(services.stdout.readline().removeprefix("ready "))["env"]["WELDFLEET__CLICKHOUSE__URL"]
            clean = {name: value for name, value in os.environ.items() if not name.startswith("WELDFLEET")}
            ours = {**clean, "WELDFLEET__CLICKHOUSE__URL": url, "WELDFLEET__MYSQL__ENABLED": "false"}

            def scheduler(*words: str) -> str:
                command = [ROOT / "target/debug/scheduler", *words]
                return subprocess.run(command, cwd=ROOT, env=ours, stdout=subprocess.PIPE, text=True, check=True).stdout

            ddl.write_text(scheduler("migrate", "--dry-run"))
            scheduler("migrate")
            scheduler("simulate", "--day", "20261122", "--rows", "2000", "--seed", "7")
            request = urllib.request.Request(f"{url}/?database=weld", data=b"SELECT * FROM spot_records FORMAT Native")
            direct = urllib.request.build_opener(urllib.request.ProxyHandler({}))
            with direct.open(request) as answer:
                native.write_bytes(answer.read())
        finally:
            services.stdin.close()
            services.wait()
        command = [sys.executable, ROOT / "tools/engine_in_process.py", ddl, native]
        answer = subprocess.run(command, env={**os.environ, "PYTHONPATH": engine}, stdout=subprocess.PIPE, text=True, check=True)
    return json.loads(answer.stdout.splitlines()[-1])


def run_tests(groups: list[str], environment: dict[str, str]) -> dict[str, dict]:
    """Passed and failed tests of each group. A group in which nothing ran is a fault of the table above."""
    chosen = [pair for group in groups for pair in GROUPS[group]]
    expression = " or ".join(
        f"(binary_id(={binary})" + (f" and test(/^{re.escape(start)}/))" if start else ")") for binary, start in chosen
    )
    JUNIT.unlink(missing_ok=True)
    command = ["cargo", "nextest", "run", *FEATURES, "--profile", "parts", "--filterset", expression]
    status = subprocess.run(command, cwd=ROOT, env=environment).returncode
    if not JUNIT.exists():
        raise SystemExit(f"the tests did not run: cargo nextest ended with {status}")
    ran = {group: {"passed": 0, "failed": []} for group in groups}
    for suite in xml.parse(JUNIT).getroot().iter("testsuite"):
        for case in suite.iter("testcase"):
            binary, name = suite.get("name"), case.get("name")
            group = next(g for g in groups if any(binary == b and name.startswith(start) for b, start in GROUPS[g]))
            if case.find("failure") is None and case.find("error") is None:
                ran[group]["passed"] += 1
            else:
                ran[group]["failed"].append(name)
    for group, outcome in ran.items():
        if not outcome["passed"] and not outcome["failed"]:
            raise SystemExit(f"no test of {group!r} ran; its names in tools/test_parts.py are out of date")
    return ran


def write_table(results: dict) -> None:
    lines = ["| service | calls itself | date | ran, tests passed | failed | what differs |", "|---|---|---|---|---|---|"]
    for part in PARTS:
        result = results.get(part.name)
        if not result:
            lines.append(f"| {part.name} | not run | | | | |")
            continue
        if part.in_process:
            ran = ", ".join(name for name, said in result["steps"].items() if said == "ok")
            failed = ", ".join(f"{name} ({said})" for name, said in result["steps"].items() if said != "ok")
            lines.append(f"| {part.name} | {result['version']} | {result['date']} | in process: {ran} | {failed} | {part.differs} |")
            continue
        ran = ", ".join(f"{group} {outcome['passed']}" for group, outcome in result["groups"].items())
        failed = ", ".join(f"`{name}`" for outcome in result["groups"].values() for name in outcome["failed"])
        lines.append(f"| {part.name} | {result['version']} | {result['date']} | {ran} | {failed or 'none'} | {part.differs} |")
    before, _, rest = TABLE.read_text().partition("<!-- make test-parts -->\n")
    _, _, after = rest.partition("<!-- end -->")
    TABLE.write_text(before + "<!-- make test-parts -->\n" + "\n".join(lines) + "\n<!-- end -->" + after)


if __name__ == "__main__":
    sys.exit(main())
