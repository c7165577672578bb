#!/usr/bin/env python3
"""Runs the demo, kills one of its workers with `kill -9` on the way, and draws what a terminal showed as an animated SVG.

usage: tools/demo-recording.py [--rows N] [--out FILE]      (after `make build`; `make demo-recording` does both)

The picture plays in any browser and in a README: its animation is CSS, it holds no script and no picture. Where nothing
moves (print, reduced motion) it shows the end. Long waits are cut short. Leases last 3 s, so that nobody waits for 30.
"""

import argparse
import html
import os
import pty
import re
import signal
import sys
import termios
import time
from dataclasses import dataclass
from pathlib import Path

ROOT = Path(__file__).resolve().parent.parent
RUN_DIR = ROOT / ".services/demo"
OUT = ROOT / "docs/images/demo.svg"

#: What the terminal looks like.
COLUMNS, ROWS = 100, 25
CHARACTER, LINE, MARGIN, FONT = 8.0, 18, 16, 13.3
#: Seconds: a wait that is longer is shown as this one; how long the end stands before it begins anew.
LONGEST_WAIT, LAST = 1.5, 8.0
#: The picture ends before this line of the demo.
END = "Try next"
PROGRESS = re.compile(r"([\d,]+) of ([\d,]+) rows")
CONTROL = re.compile(r"\x1b\[([\d;]*)([A-Za-z])|\r|\n")


@dataclass
class Shown:
    """A text that stood in a line from one moment to another (None: to the end)."""

    line: int
    text: str
    style: str
    begin: float
    end: float | None = None


def number(text: str) -> int:
    return int(text.replace(",", ""))


def record(rows: int) -> list[tuple[float, str]]:
    """What the demo printed, and when; with a worker killed as soon as some rows are judged."""
    settings = {"ROWS": str(rows), "WELDFLEET__LEASE__TTL": "3s", "WELDFLEET__LEASE__RENEW_EVERY": "1s"}
    pid, terminal = pty.fork()
    if pid == 0:
        without_carriage_returns(sys.stdout.fileno())
        os.chdir(ROOT)
        os.execve("tools/demo.sh", ["tools/demo.sh", "up"], os.environ | {"TERM": "xterm"} | settings)
    asked = " ".join(f"{key}={value}" for key, value in settings.items())
    events = [(time.monotonic(), f"\x1b[1m$ {asked} make demo\x1b[0m\n")]
    killed = False
    while chunk := read(terminal):
        sys.stdout.write(chunk)
        sys.stdout.flush()
        events.append((time.monotonic(), chunk))
        found = PROGRESS.findall(chunk)
        if not killed and found and 0 < number(found[-1][0]) < number(found[-1][1]):
            events.append((time.monotonic(), kill_worker()))
            killed = True
    if os.waitstatus_to_exitcode(os.waitpid(pid, 0)[1]) != 0:
        raise SystemExit("error: the demo failed; its output is above")
    if not killed:
        raise SystemExit("error: all rows were judged at once, no worker was killed; give more --rows")
    return events


def without_carriage_returns(terminal: int) -> None:
    """Line feeds stay what the program wrote."""
    attributes = termios.tcgetattr(terminal)
    attributes[1] &= ~termios.OPOST
    termios.tcsetattr(terminal, termios.TCSANOW, attributes)


def read(terminal: int) -> str:
    try:
        return os.read(terminal, 65536).decode(errors="replace")
    except OSError:  # the other side is closed
        return ""


def kill_worker() -> str:
    pid = int((RUN_DIR / "worker-1.pid").read_text())
    os.kill(pid, signal.SIGKILL)
    return f"\n\x1b[31m$ kill -9 {pid}   # one of the two workers; its leases expire within 3 s\x1b[0m\n"


def replay(events: list[tuple[float, str]]) -> tuple[list[Shown], float]:
    """What stood where and when, of a terminal that knows carriage return, line feed, erasing a line and colours."""
    shown: list[Shown] = []
    now, last, line, text, style = 0.0, events[0][0], 0, "", "plain"

    def put() -> None:
        nonlocal text
        standing = next((old for old in reversed(shown) if old.line == line and old.end is None), None)
        if standing and (standing.text, standing.style) == (text, style):
            return
        if standing:
            standing.end = now
        if text.strip():
            shown.append(Shown(line, text[:COLUMNS], style, now))

    for moment, chunk in events:
        now, last = now + min(moment - last, LONGEST_WAIT), moment
        position = 0
        for control in CONTROL.finditer(chunk):
            text += chunk[position : control.start()]
            position = control.end()
            if control[0] == "\n":
                if text.startswith(END):
                    return shown, now
                put()
                line, text, style = line + 1, "", "plain"
            elif control[0] == "\r" or control[2] == "K":
                text = ""
            elif control[2] == "m" and control[1] not in ("", "0"):
                style = {"1": "bold", "31": "red"}.get(control[1], "plain")
        text += chunk[position:]
        put()
    return shown, now


def draw(shown: list[Shown], length: float) -> str:
    """The SVG. Each text has its own moments; the whole sheet moves up where a terminal would scroll."""
    shown = [one for one in shown if one.end != one.begin]
    bottom = max(one.line for one in shown)
    whole = length + LAST
    width, height = MARGIN * 2 + COLUMNS * CHARACTER, MARGIN * 2 + 20 + ROWS * LINE
    css, texts = [], []

    def percent(moment: float) -> str:
        return f"{100 * moment / whole:.2f}".rstrip("0").rstrip(".") + "%"

    for index, one in enumerate(shown):
        stands = one.end is None
        steps = [f"0%{{visibility:{'visible' if one.begin == 0 else 'hidden'}}}"]
        if one.begin > 0:
            steps.append(f"{percent(one.begin)}{{visibility:visible}}")
        if not stands:
            steps.append(f"{percent(one.end)}{{visibility:hidden}}")
        css.append(f"@keyframes t{index}{{{''.join(steps)}}}")
        name = f"{one.style}{'' if stands else ' gone'}"
        texts.append(
            f'<text class="{name}" style="animation-name:t{index}" x="0" y="{one.line * LINE}">{html.escape(one.text)}</text>'
        )
    scroll, top = [], 0
    for one in sorted(shown, key=lambda one: one.begin):
        if one.line - ROWS + 1 > top:
            top = one.line - ROWS + 1
            scroll.append(f"{percent(one.begin)}{{transform:translateY({-top * LINE}px)}}")
    top = max(0, bottom - ROWS + 1)
    return f"""<svg xmlns="http://www.w3.org/2000/svg" xml:space="preserve" viewBox="0 0 {width:g} {height:g}" width="{width:g}" height="{height:g}" role="img">
<title>The demo: a day of simulated welds is judged while one of two workers is killed</title>
<style>
text{{font:{FONT}px ui-monospace,SFMono-Regular,Menlo,Consolas,"DejaVu Sans Mono",monospace;white-space:pre;fill:#d7dae0;\
animation:{whole:.1f}s step-end infinite}}
.bold{{font-weight:bold;fill:#fff}}.red{{font-weight:bold;fill:#ff7b72}}.gone{{visibility:hidden}}
#sheet{{transform:translateY({-top * LINE}px);animation:scroll {whole:.1f}s step-end infinite}}
@keyframes scroll{{0%{{transform:none}}{''.join(scroll)}}}
{chr(10).join(css)}
@media (prefers-reduced-motion){{text,#sheet{{animation:none}}}}
</style>
<rect width="100%" height="100%" rx="8" fill="#1b1f27"/>
<circle cx="20" cy="18" r="5" fill="#ff5f57"/><circle cx="37" cy="18" r="5" fill="#febc2e"/><circle cx="54" cy="18" r="5" fill="#28c840"/>
<svg x="{MARGIN}" y="{MARGIN + 20}" width="{COLUMNS * CHARACTER:g}" height="{ROWS * LINE}"><g transform="translate(0 {LINE - 4})"><g id="sheet">
{chr(10).join(texts)}
</g></g></svg>
</svg>
"""


def main() -> None:
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument("--rows", type=int, default=50_000, help="welds of the day (default: %(default)s)")
    parser.add_argument("--out", type=Path, default=OUT, help="the picture to write (default: docs/images/demo.svg)")
    arguments = parser.parse_args()
    picture = draw(*replay(record(arguments.rows)))
    arguments.out.write_text(picture)
    print(f"written: {arguments.out} ({len(picture) / 1000:.0f} kB)")


if __name__ == "__main__":
    main()
