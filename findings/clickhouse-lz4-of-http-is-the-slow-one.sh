#!/usr/bin/env bash
# ClickHouse: lz4 of an HTTP answer or a file is LZ4's thorough mode by default, many times slower and no smaller
#
# Seen with ClickHouse 26.9.2.1 (PyPI chdb-core 26.9.0) and 26.7.2.1, default settings, 2026-11-28.
#
# Expected: LZ4 is the codec that costs next to nothing, as in ClickHouse's own protocol and on its disks.
# Seen: `http_zlib_compression_level` and `output_format_compression_level` are 3 for every method, and from 3 on LZ4
# is LZ4 HC. Over HTTP with `Accept-Encoding: lz4` (which the official Rust client sends by default, from 0.15.3 on
# without a level), 20 MB of Float32 arrays took 744 ms of the server's CPU at 3, 43 ms at 1, 34 ms without, and 19.7 MB
# each time. Here the same writer is measured without a server, on a file.
#
# What to do: set the level to 1 wherever lz4 is asked for.
set -euo pipefail
folder=$(mktemp -d)
trap 'rm -rf "$folder"' EXIT
python3 -m pip install --quiet --disable-pip-version-check --no-deps --target "$folder/python" chdb-core==26.9.0 2>/dev/null

PYTHONPATH=$folder/python python3 - "$folder" <<'PYTHON'
import os
import sys
import time

from chdb import session

folder = sys.argv[1]
server = session.Session(f"{folder}/data")


def ask(sql):
    return str(server.query(sql, "TSVRaw")).strip()


print("ClickHouse", ask("SELECT version()"))
names = "'http_zlib_compression_level', 'output_format_compression_level'"
defaults = ask(f"SELECT name, value FROM system.settings WHERE name IN ({names}) ORDER BY name").split("\n")
print("defaults:", ", ".join(line.replace("\t", " = ") for line in defaults))

server.query("CREATE DATABASE IF NOT EXISTS d")
server.query("CREATE TABLE d.curves (u Array(Float32)) ENGINE = Memory")
server.query(
    "INSERT INTO d.curves SELECT arrayMap(x -> toFloat32(1 + sin(x / 200) + randCanonical(x + number) / 100), range(1200)) "
    "FROM numbers(4096)"
)


def written(name, settings):
    path = f"{folder}/{name}"
    best = None
    for _ in range(3):
        began = time.process_time()
        server.query(
            f"INSERT INTO FUNCTION file('{path}', 'Native') SELECT u FROM d.curves "
            f"SETTINGS engine_file_truncate_on_insert = 1, max_threads = 1{settings}"
        )
        took = time.process_time() - began
        best = took if best is None else min(best, took)
    print(f"  {name}{settings}: {best * 1000:.0f} ms of CPU, {os.path.getsize(path) / 1e6:.1f} MB")
    return best


plain = written("curves.native", "")
usual = written("curves.native.lz4", "")
quick = written("curves.native.lz4", ", output_format_compression_level = 1")
assert defaults == [
    "http_zlib_compression_level\t3",
    "output_format_compression_level\t3",
], f"{defaults}: the finding is out of date"
assert usual > 4 * quick, "the behaviour has changed"
print(f"seen: lz4 at its default level costs {usual / quick:.0f} times what it costs at level 1")
PYTHON
