#!/usr/bin/env bash
# clickhouse (Rust): its check of types takes milliseconds for a DateTime64(6), and the same struct reads them back
# right
#
# Seen with clickhouse 0.15.3 (crates.io, feature time), ClickHouse 26.7.2.1 (engine of npm @chdb/lib-linux-x64-gnu
# 26.7.3-stable.1), Rust 1.95, 2026-11-29. Needs npm, python3, curl, cargo; 170 MB are fetched.
#
# Expected: the check, which is on by default and reads the columns' types before the first row, refuses a field that is
# marked `serde::time::datetime64::millis` for a column of microseconds, as it refuses `serde::time::datetime` there,
# milliseconds for a DateTime and a number that an Enum8 does not have.
# Seen: the insert succeeds, and ClickHouse holds a day of January 1970. Read with the same struct it is today, so a
# test that writes and reads passes; what others wrote cannot be read. An i32 for a Decimal goes in as hundredths the
# same way.
#
# What to do: compare with system.columns at start, or have a test read toString() of what was written.
set -euo pipefail
work=$(mktemp -d)
server=
trap '[[ -z $server ]] || kill -9 "$server" 2>/dev/null; rm -rf "$work"' EXIT
cd "$work"
mkdir src
cat >Cargo.toml <<'TOML'
[package]
name = "dates"
version = "0.0.0"
edition = "2024"
[dependencies]
clickhouse = { version = "=0.15.3", default-features = false, features = ["time"] }
serde = { version = "1", features = ["derive"] }
time = "0.3"
tokio = { version = "1", features = ["rt", "macros"] }
[workspace]
TOML
cat >src/main.rs <<'RUST'
use clickhouse::{Client, Row, RowOwned, RowWrite, error::Result, serde::time as columns};
use serde::{Deserialize, Serialize};
use time::OffsetDateTime;

#[derive(Row, Serialize, Deserialize)]
struct Millis {
    #[serde(with = "columns::datetime64::millis")]
    at: OffsetDateTime,
}
#[derive(Row, Serialize, Deserialize)]
struct Seconds {
    #[serde(with = "columns::datetime")]
    at: OffsetDateTime,
}
#[derive(Row, Serialize, Deserialize)]
struct Number {
    force: i32,
}
#[derive(Row, Serialize, Deserialize)]
struct Small {
    verdict: i8,
}

async fn insert<T>(client: &Client, table: &str, row: T) -> Result<()>
where
    T: RowOwned + RowWrite + for<'a> Row<Value<'a> = T>,
{
    let mut insert = client.insert::<T>(table).await?;
    insert.write(&row).await?;
    insert.end().await
}

#[tokio::main(flavor = "current_thread")]
async fn main() {
    let client = Client::default().with_url(std::env::args().nth(1).unwrap());
    for (table, column) in [
        ("micros", "at DateTime64(6, 'UTC')"),
        ("plain", "at DateTime('UTC')"),
        ("forces", "force Decimal(9, 2)"),
        ("verdicts", "verdict Enum8('OK' = 1, 'NOK' = 2)"),
    ] {
        let create = format!("CREATE TABLE {table} ({column}) ENGINE = MergeTree ORDER BY tuple()");
        client.query(&create).execute().await.unwrap();
    }
    let at = OffsetDateTime::from_unix_timestamp(1_795_953_600).unwrap(); // 2026-11-29 12:00:00

    let refused = [
        insert(&client, "micros", Seconds { at }).await.is_err(),
        insert(&client, "plain", Millis { at }).await.is_err(),
        insert(&client, "verdicts", Small { verdict: 7 }).await.is_err(),
    ];
    println!("seconds for DateTime64(6), milliseconds for DateTime, 7 for an Enum8 of two are refused: {refused:?}");
    let taken = insert(&client, "micros", Millis { at }).await;
    println!("{at} as milliseconds into DateTime64(6): {taken:?}");
    let held: String = client.query("SELECT toString(at) FROM micros").fetch_one().await.unwrap();
    println!("ClickHouse holds {held}");
    let own = client.query("SELECT ?fields FROM micros").fetch_one::<Millis>().await.unwrap().at;
    println!("the same struct reads {own}");
    let force = insert(&client, "forces", Number { force: 5 }).await;
    let sum: String = client.query("SELECT toString(sum(force)) FROM forces").fetch_one().await.unwrap();
    println!("5 as i32 into Decimal(9, 2): {force:?}, ClickHouse holds {sum}");

    assert_eq!(refused, [true; 3]);
    assert!(taken.is_ok() && held.starts_with("1970-01-21 "), "the finding is out of date");
    assert!(own == at && sum == "0.05", "the finding is out of date");
    println!("seen: a wrong date went in without a word");
}
RUST
cargo build --quiet

npm pack --silent "@chdb/lib-linux-x64-gnu@26.7.3-stable.1" >/dev/null
tar -xzf ./*.tgz --strip-components=1 package/libchdb.so
port=$(python3 -c 'import socket; s = socket.socket(); s.bind(("127.0.0.1", 0)); print(s.getsockname()[1])')
python3 - "$port" >server.log 2>&1 <<'PY' &
import ctypes, sys
arguments = [b"clickhouse", b"--path=data", b"--http_port=" + sys.argv[1].encode(), b"--listen_host=127.0.0.1", b"--logger.console=0", b"--multiquery",
    b"--query=SYSTEM START LISTEN HTTP; SELECT sleepEachRow(3) FROM numbers(100000000) "
    b"SETTINGS max_block_size=1, function_sleep_max_microseconds_per_block=0 FORMAT Null"]
ctypes.CDLL("./libchdb.so").chdb_query_cmdline(len(arguments), (ctypes.c_char_p * len(arguments))(*arguments))
PY
server=$!
disown "$server"
for _ in $(seq 100); do curl -s "http://127.0.0.1:$port/ping" >/dev/null && break; sleep 0.1; done
echo "ClickHouse $(curl -sS "http://127.0.0.1:$port/" --data-binary "SELECT version()")"
target/debug/dates "http://127.0.0.1:$port"
