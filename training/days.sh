#!/bin/sh
# Simulates the days the committed model was trained, calibrated and tested on, into the configured ClickHouse.
# SCHEDULER is the binary, the configuration comes from WELDFLEET_CONFIG as always, ROWS makes each day that small.
set -eu
scheduler() { "${SCHEDULER:-target/release/scheduler}" "$@"; }
scheduler simulate --day 20260901 --rows "${ROWS:-30000}" --seed 101 --nok-rate 0.15 --points 600
scheduler simulate --day 20260902 --rows "${ROWS:-30000}" --seed 102 --nok-rate 0.15 --points program
scheduler simulate --day 20260903 --rows "${ROWS:-30000}" --seed 103 --nok-rate 0.006 --points 600
scheduler simulate --day 20260904 --rows "${ROWS:-30000}" --seed 104 --nok-rate 0.006 --points program
scheduler simulate --day 20260905 --rows "${ROWS:-50000}" --seed 105 --nok-rate 0.006 --points 600
scheduler simulate --day 20260906 --rows "${ROWS:-50000}" --seed 106 --nok-rate 0.006 --points program
