"""Private instances of ClickHouse, Redis and MariaDB for the demo, the tests and the benches.

They listen on loopback only, on free ports, keep everything they write in one folder, and are stopped by exactly the
process identity that was started. `up` leaves them running; `source DIR/env` points the programs at them. `run` keeps
them in the foreground for a test: it prints `ready {"env": …, "directory": …}`, then answers each line
`start|stop|kill|pause|cont SERVICE` on its stdin with `ok` or `error …`, and when its stdin closes (or it is killed)
they are gone, with the folder if `run` made it. `version SERVICE` is answered by `ok` and what the server calls itself.
"""

import argparse
import json
import os
import shlex
import shutil
import signal
import sys
from pathlib import Path

from instance import Instance
from kinds import KINDS
from process import ServiceError

ACTIONS = ("start", "stop", "kill", "pause", "cont")


def arguments() -> argparse.Namespace:
    parser = argparse.ArgumentParser(
        prog="tools/services.sh", description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter
    )
    commands = parser.add_subparsers(dest="command", required=True, metavar="COMMAND")

    def command(name: str, text: str, directory: str | None = ".services") -> argparse.ArgumentParser:
        sub = commands.add_parser(name, help=text, description=text)
        default = {"nargs": "?", "default": directory} if directory else {}
        sub.add_argument("directory", metavar="DIR", type=Path, help="where their data and state live", **default)
        return sub

    command("up", "start what does not run yet, in the background, and wait until it answers")
    command("down", "stop everything that was started in DIR; data and ports are kept for the next `up`")
    command("status", "say what runs").add_argument("--json", action="store_true")
    texts = {
        "start": "start one service again, on the same port, with its data",
        "stop": "stop one service in the orderly way",
        "kill": "end one service with SIGKILL",
        "pause": "freeze one service (SIGSTOP)",
        "cont": "let a frozen service go on (SIGCONT)",
    }
    for action in ACTIONS:
        sub = commands.add_parser(action, help=texts[action], description=texts[action])
        sub.add_argument("service", choices=list(KINDS))
        sub.add_argument("directory", metavar="DIR", type=Path, nargs="?", default=".services")
    run = command("run", "run services in the foreground until stdin closes", directory=None)
    run.add_argument("services", nargs="*", choices=[*KINDS, []], metavar="SERVICE", help="default: all")
    run.add_argument("--keep", action="store_true", help="keep the folder, and stop the services in the orderly way")
    return parser.parse_args()


def up(instance: Instance) -> None:
    with instance.locked():
        try:
            instance.up(list(KINDS))
        except (ServiceError, KeyboardInterrupt):
            say_running(instance)
            raise
        print_status(instance, as_json=False)
    print(f"source {shown(instance)}/env")


def shown(instance: Instance) -> str:
    """Its folder, as a person types it."""
    return shlex.quote(os.path.relpath(instance.directory))


def say_running(instance: Instance) -> None:
    """What a start that did not end well leaves behind."""
    if running := [name for name in instance.names() if instance.process(name)]:
        folder = shown(instance)
        print(f"{', '.join(running)} of {folder} run; stop them with: tools/services.sh down {folder}", file=sys.stderr)


def down(instance: Instance) -> None:
    with instance.locked():
        for name in instance.names():
            instance.stop(name)
        (instance.directory / "env").unlink(missing_ok=True)
    print("stopped")


def print_status(instance: Instance, *, as_json: bool) -> None:
    report = instance.status()
    if as_json:
        print(json.dumps(report))
        return
    for name, facts in report.items():
        print(f"{name:<11} {facts['state']:<8} port {facts['port']}  pid {facts['pid'] or '-'}")


def act(instance: Instance, action: str, service: str) -> None:
    getattr(instance, action)(service)


def run(directory: Path, names: list[str], keep: bool) -> None:
    def end(*_: object) -> None:
        raise SystemExit(0)

    for number in (signal.SIGTERM, signal.SIGINT, signal.SIGHUP):
        signal.signal(number, end)
    # Out of the caller's process group: when a test runner kills that, stdin closes and this process tidies up.
    if os.getpgrp() != os.getpid():
        os.setsid()
    ours = not directory.exists()
    instance = Instance(directory, die_with_us=True)
    with instance.locked():
        refuse_running(instance)
    try:
        with instance.locked():
            instance.up(names)
        say("ready " + json.dumps({"env": instance.environment(), "directory": str(instance.directory)}))
        for line in sys.stdin:
            say(answer(instance, line.split()))
    except BrokenPipeError:
        pass  # the caller is gone
    finally:
        for number in (signal.SIGTERM, signal.SIGINT, signal.SIGHUP):
            signal.signal(number, signal.SIG_IGN)
        if keep:
            for name in instance.names():
                instance.stop(name)
        else:
            instance.kill_all()
            if ours:
                shutil.rmtree(instance.directory, ignore_errors=True)


def refuse_running(instance: Instance) -> None:
    running = [name for name in instance.names() if instance.process(name)]
    if running:
        raise ServiceError(f"{', '.join(running)} of {instance.directory} already run; `down` first or use another folder")


def say(line: str) -> None:
    print(line, flush=True)


def answer(instance: Instance, words: list[str]) -> str:
    if len(words) != 2 or words[0] not in (*ACTIONS, "version") or words[1] not in KINDS:
        return f"error expected `{'|'.join(ACTIONS)}|version {'|'.join(KINDS)}`, got `{' '.join(words)}`"
    try:
        if words[0] == "version":
            return f"ok {instance.version(words[1])}"
        with instance.locked():
            act(instance, *words)
        return "ok"
    except ServiceError as error:
        return "error " + str(error).replace("\n", " | ")


def main() -> None:
    options = arguments()
    os.umask(0o022)
    if options.command == "run":
        run(options.directory, options.services or list(KINDS), options.keep)
        return
    instance = Instance(options.directory)
    if options.command == "up":
        up(instance)
    elif not instance.exists() and options.command in ("down", "status"):
        print(f"nothing was started in {instance.directory}")
    elif not instance.exists():
        raise ServiceError(f"nothing was started in {instance.directory}; start it with `up`")
    elif options.command == "down":
        down(instance)
    elif options.command == "status":
        with instance.locked():
            print_status(instance, as_json=options.json)
    else:
        with instance.locked():
            act(instance, options.command, options.service)


try:
    signal.signal(signal.SIGINT, signal.default_int_handler)  # tools/services.sh has it ignored until here
    main()
except ServiceError as error:
    sys.exit(f"error: {error}")
except KeyboardInterrupt:
    print("interrupted", file=sys.stderr)
    sys.exit(128 + signal.SIGINT)
