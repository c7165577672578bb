-- A plant's own table, filled by another service for years: text scalars, counts of percent, versions, NULL and '0' spots.
CREATE TABLE weld.weld_detail
(
    id String,
    serial_no String,
    spot_tag Nullable(String),
    part_all String,
    prog_no String,
    weld_time Nullable(DateTime),
    data_date String,
    ck_local_time DateTime64(3),
    ver UInt32,
    umax String,
    imax String,
    u_curve Array(UInt16),
    i_curve Array(UInt16),
    wear String,
    tipdresscounter String,
    energie String,
    rfid String,
    workshop_section String,
    area String
)
ENGINE = ReplacingMergeTree(ver)
PARTITION BY data_date
ORDER BY (data_date, ck_local_time, id);

-- 1,500 welds of a day, 10 ms apart; imax is in tens of ampere, a count of a curve is a percent of the maximum
INSERT INTO weld.weld_detail
WITH number AS n, 400 + n % 60 AS points, arrayMap(t -> 1 - exp(-(t + 1) / 6), range(points)) AS rise
SELECT
    concat('W', toString(n)),
    concat('T', toString(n % 5)),
    multiIf(n % 50 = 9, '0', n % 50 = 10, NULL, concat('AB010_', toString(n % 40))),
    concat('7H0/809 ', toString(n % 3)),
    multiIf(n % 30 = 2, '41', n % 30 = 3, '51', '12'),
    now(),
    '20261120',
    toDateTime64('2026-11-20 08:00:00', 3) + toIntervalMillisecond(10 * n),
    1,
    multiIf(n % 70 = 5, '0', n % 70 = 6, 'None', n % 70 = 7, '', '1.62'),
    '952',
    arrayMap(r -> toUInt16(round(97 * r)), rise),
    arrayMap(r -> toUInt16(round(98 * r)), rise),
    toString(n % 100),
    toString(n % 800),
    'None',
    concat('BODY', leftPad(toString(n % 500), 6, '0')),
    'UB',
    'L2'
FROM numbers(1500);

-- what a broken client once wrote: no day, no maxima, empty curves, later than all others
INSERT INTO weld.weld_detail (id, prog_no, data_date, ck_local_time, umax, imax)
SELECT concat('X', toString(number)), 'None', 'None', toDateTime64('2026-11-21 08:00:00', 3), 'None', 'None' FROM numbers(1200);
