"""Labelled welds of a day from ClickHouse, over HTTP."""

from __future__ import annotations

import base64
import urllib.error
import urllib.parse
import urllib.request
from dataclasses import dataclass

import numpy as np

from .rows import I_MAX, U_MAX

REGRESSIONS = ("measured_diameter", "measured_indentation", "measured_front_thickness", "measured_stack_thickness")

# What is asked of the server, with the type that its answer must name. A plant's own types (Nullable, LowCardinality,
# Decimal, text) are turned into these by the server, so that nothing here guesses; what is missing is NaN or empty.
COLUMNS = {
    "u": ("arrayMap(x -> ifNull(toFloat32(x), nan), u_curve)", "Array(Float32)"),
    "i": ("arrayMap(x -> ifNull(toFloat32(x), nan), i_curve)", "Array(Float32)"),
    "label": ("ifNull(toString(label), '')", "String"),
    "label_defect": ("ifNull(toString(label_defect), '')", "String"),
    **{name: (f"ifNull(toFloat32({name}), nan)", "Float32") for name in REGRESSIONS},
}
# What a profile of the server may not change about the answer.
SETTINGS = {"output_format_native_encode_types_in_binary_format": "0", "http_write_exception_in_output_format": "0"}


@dataclass(frozen=True)
class Server:
    """Where the welds are."""

    url: str
    user: str
    password: str
    database: str


@dataclass(frozen=True)
class Day:
    """Welds of one day, in the order of their keys. Curves in V and kA, of any length."""

    day: int
    u: list[np.ndarray]
    i: list[np.ndarray]
    nok: np.ndarray  # bool [N]
    defect: np.ndarray  # str [N]
    measured: np.ndarray  # f32 [N, 4], mm; NaN where nothing was measured

    def __len__(self) -> int:
        return len(self.nok)


def _query(server: Server, sql: str) -> bytes:
    url = f"{server.url.rstrip('/')}/?{urllib.parse.urlencode({'database': server.database, **SETTINGS})}"
    token = base64.b64encode(f"{server.user}:{server.password}".encode()).decode()
    request = urllib.request.Request(url, data=sql.encode(), headers={"Authorization": f"Basic {token}"})
    try:
        with urllib.request.urlopen(request, timeout=600) as answer:
            return answer.read()
    except urllib.error.HTTPError as error:
        reason = error.read().decode(errors="replace").strip()
        raise SystemExit(f"clickhouse refused the query: {reason}") from error
    except urllib.error.URLError as error:
        raise SystemExit(f"cannot reach clickhouse at {server.url}: {error.reason}") from error


class NativeBlocks:
    """Reads FORMAT Native, which names its columns and their types, from a buffer: a list of columns for each block."""

    def __init__(self, data: bytes):
        self.data = data
        self.at = 0

    def __iter__(self):
        while self.at < len(self.data):
            columns, rows = self._number(), self._number()
            yield [(self._text(), *self._column(rows)) for _ in range(columns)]

    def _column(self, rows: int) -> tuple[str, list | np.ndarray]:
        kind = self._text()
        match kind:
            case "Float32":
                return kind, self._array("<f4", rows)
            case "String":
                return kind, [self._text() for _ in range(rows)]
            case "Array(Float32)":
                ends = self._array("<u8", rows)
                samples = self._array("<f4", int(ends[-1]) if rows else 0)
                return kind, np.split(samples, ends[:-1].astype(np.int64)) if rows else []
        raise SystemExit(f"clickhouse answered with a column of type {kind}, which nothing here asked for")

    def _array(self, kind: str, count: int) -> np.ndarray:
        values = np.frombuffer(self.data, dtype=kind, count=count, offset=self.at)
        self.at += values.nbytes
        return values

    def _number(self) -> int:
        value, shift = 0, 0
        while True:
            byte = self.data[self.at]
            self.at += 1
            value |= (byte & 0x7F) << shift
            if byte < 0x80:
                return value
            shift += 7

    def _text(self) -> str:
        length = self._number()
        self.at += length
        return self.data[self.at - length : self.at].decode()


def _name(identifier: str) -> str:
    return ".".join("`" + part.replace("`", "``") + "`" for part in identifier.split("."))


def _labelled(table: str, day: int, columns: str, limit: int | None) -> str:
    """Welds of `day` with a label and sound curves (equal, at least 50 samples, finite), in the order of their keys; the first
    `limit` of them."""
    finite = " AND ".join(f"arrayAll(x -> isFinite(ifNull(toFloat32(x), nan)), {curve}_curve)" for curve in "ui")
    return f"""
        SELECT {columns} FROM {_name(table)}
        WHERE replaceAll(toString(data_date), '-', '') = '{day:08d}' AND label IN ('OK', 'NOK')
          AND length(u_curve) = length(i_curve) AND length(u_curve) >= 50 AND {finite}
        ORDER BY ck_local_time, record_id {f"LIMIT {limit}" if limit else ""}"""


def check_day(server: Server, table: str, day: int, limit: int | None = None) -> tuple[int, int]:
    """How many welds are labelled OK and NOK; stops where nothing right could be learned from the day."""
    maxima = ", ".join(f"arrayMax(arrayMap(x -> ifNull(toFloat32(x), nan), {curve}_curve)) AS m_{curve}" for curve in "ui")
    labels, medians = ["countIf(l = 'OK')", "countIf(l = 'NOK')"], ["quantileExact(0.5)(m_u)", "quantileExact(0.5)(m_i)"]
    figures = [*labels, *medians, "count() - uniqExact(k)"]
    columns = ", ".join(f"ifNull(toString({figure}), '') AS c{n}" for n, figure in enumerate(figures))
    key = "concat(toString(ck_local_time), ' ', toString(record_id))"
    inner = _labelled(table, day, f"toString(label) AS l, {key} AS k, {maxima}", limit)
    sql = f"SELECT {columns}, ifNull(topKIf(1)(k, 1)[1], '') AS example FROM ({inner}) FORMAT Native"
    found = [str(column[0]) for block in NativeBlocks(_query(server, sql)) for _, _, column in block]
    ok, nok, repeated = (int(found[n]) for n in (0, 1, 4))
    if ok + nok == 0:
        raise SystemExit(f"no labelled welds of {day} in {table}, simulate the day first: see training/README.md")
    if repeated:
        raise SystemExit(
            f"{repeated} labelled rows of {day} in {table} repeat the key (ck_local_time, record_id) of another one, e.g. "
            f"`{found[5]}`: they would be learned and counted twice; read a view that keeps one row of each, as with FINAL"
        )
    for name, text, (low, high), unit in (("u_curve", found[2], U_MAX, "V"), ("i_curve", found[3], I_MAX, "kA")):
        if not low <= float(text) <= high:
            raise SystemExit(
                f"the median maximum of {name} on {day} in {table} is {float(text):.4g}, but curves must be in {unit}, where it "
                f"is {low:g} to {high:g}: read a view that converts them, see training/README.md"
            )
    return ok, nok


def read_day(server: Server, table: str, day: int, limit: int | None = None) -> Day:
    """Every labelled weld of `day` with sound curves; the first `limit` of them."""
    columns = ", ".join(f"CAST({sql} AS {kind}) AS `{name}`" for name, (sql, kind) in COLUMNS.items())
    # In a query of their own, so that an alias never stands for a column of the table.
    inner = _labelled(table, day, f"u_curve, i_curve, label, label_defect, {', '.join(REGRESSIONS)}", limit)
    sql = f"SELECT {columns} FROM ({inner}) FORMAT Native"
    expected = [(name, kind) for name, (_, kind) in COLUMNS.items()]
    u, i, nok, defect, measured = [], [], [], [], []
    for block in NativeBlocks(_query(server, sql)):
        found = [(name, kind) for name, kind, _ in block]
        if found != expected:
            raise SystemExit(f"clickhouse answered with columns {found}, asked for {expected}")
        values = {name: column for name, _, column in block}
        u += values["u"]
        i += values["i"]
        nok.append(np.array(values["label"]) == "NOK")
        defect.append(np.array(values["label_defect"]))
        measured.append(np.stack([values[name] for name in REGRESSIONS], axis=1))
    if not u:
        raise SystemExit(f"no labelled welds of {day} in {table}, simulate the day first: see training/README.md")
    return Day(day, u, i, np.concatenate(nok), np.concatenate(defect), np.concatenate(measured))
