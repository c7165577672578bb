#!/usr/bin/env bash
# ClickHouse 26.7.2.1 (engine of npm @chdb/lib-linux-x64-gnu 26.7.3-stable.1), plain MergeTree.
#
# Expected: `ALTER TABLE … APPLY PATCHES IN PARTITION ID '0'` applies the patch parts of partition 0, leaves partition 1 alone, and an
#   acknowledged `UPDATE` of partition 1 is there afterwards.
# Seen: the patches of every partition are applied, and an UPDATE of partition 1 that was under way meanwhile is acknowledged and lost.
#   The second is https://github.com/ClickHouse/ClickHouse/issues/116686, told there for ALTER UPDATE and DELETE.
#
# Needs npm, python3, curl; 170 MB are fetched. Exits 1 if the behaviour has changed.
set -euo pipefail
work=$(mktemp -d)
server=
trap '[[ -z $server ]] || kill -9 "$server" 2>/dev/null; rm -rf "$work"' EXIT
cd "$work"
npm pack --silent "@chdb/lib-linux-x64-gnu@26.7.3-stable.1" >/dev/null
tar -xzf ./*.tgz --strip-components=1 package/libchdb.so
port=$(python3 -c 'import socket; s = socket.socket(); s.bind(("127.0.0.1", 0)); print(s.getsockname()[1])')
python3 - "$port" >server.log 2>&1 <<'PY' &
import ctypes, os, sys
arguments = [b"clickhouse", b"--path=data", b"--http_port=" + sys.argv[1].encode(), b"--listen_host=127.0.0.1", b"--logger.console=0", b"--multiquery",
    b"--query=SYSTEM START LISTEN HTTP; SELECT sleepEachRow(3) FROM numbers(100000000) "
    b"SETTINGS max_block_size=1, function_sleep_max_microseconds_per_block=0 FORMAT Null"]
ctypes.CDLL("./libchdb.so").chdb_query_cmdline(len(arguments), (ctypes.c_char_p * len(arguments))(*arguments))
PY
server=$!
disown "$server"
ask() { curl -sS --fail-with-body "http://127.0.0.1:$port/?allow_experimental_lightweight_update=1&function_sleep_max_microseconds_per_block=0" --data-binary "$1"; }
for _ in $(seq 100); do ask "SELECT 1" >/dev/null 2>&1 && break; sleep 0.1; done
echo "version $(ask 'SELECT version()')"

ask "CREATE TABLE t (part UInt8, id UInt64, v UInt8) ENGINE = MergeTree PARTITION BY part ORDER BY id
     SETTINGS enable_block_number_column = 1, enable_block_offset_column = 1"
ask "INSERT INTO t SELECT number % 2, number, 0 FROM numbers(200)"
ask "UPDATE t SET v = 1 WHERE 1"
ask "ALTER TABLE t APPLY PATCHES IN PARTITION ID '0' SETTINGS mutations_sync = 1"
beside=$(ask "SELECT countIf(v = 1) FROM t WHERE part = 1 SETTINGS apply_patch_parts = 0")
echo "rows of partition 1 whose patches were applied with those of partition 0: $beside of 100"

ask "UPDATE t SET v = 2 WHERE part = 0"
(ask "UPDATE t SET v = 3 + sleepEachRow(0.03) WHERE part = 1" && touch acknowledged) &
update=$!
for _ in $(seq 50); do [[ $(ask "SELECT count() FROM system.processes WHERE query_kind = 'Update'") = 1 ]] && break; sleep 0.05; done
ask "ALTER TABLE t APPLY PATCHES IN PARTITION ID '0' SETTINGS mutations_sync = 1"
wait "$update"
[[ -e acknowledged ]] && echo "the UPDATE of partition 1 was acknowledged"
kept=$(ask "SELECT countIf(v = 3) FROM t WHERE part = 1")
echo "rows of partition 1 that have its value: $kept of 100"
[[ $beside = 100 && $kept = 0 ]] || { echo "the behaviour has changed"; exit 1; }
