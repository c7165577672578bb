#!/usr/bin/env bash
# A day of welds, judged on this machine by real parts: services, tables, simulated rows, one scheduler, two workers.
# Everything stays up afterwards, to be looked at.
#
# usage: tools/demo.sh [up|down]     (default: up; ROWS=50000 WORKERS=2 can be changed, and WELDFLEET__LEASE__…; what else a
# shell has set of WELDFLEET is left out)
set -euo pipefail
cd "$(dirname "${BASH_SOURCE[0]}")/.."

readonly ROWS=${ROWS:-50000} WORKERS=${WORKERS:-2}
readonly SAVE_DIR=data/csv
# Of a console on loopback, over simulated welds.
readonly DEMO_PASSWORD=welds-on-show

# shellcheck source=tools/demo-programs.sh
source tools/demo-programs.sh

clickhouse() { query "$WELDFLEET__CLICKHOUSE__URL/?database=weld" "$1"; }
mysql_rows() {
    mariadb --no-defaults --host=127.0.0.1 --port="$SERVICES_MYSQL_PORT" --user=weld --password=weld weld \
        --batch --skip-column-names --execute "$1"
}
left() { clickhouse "SELECT count() FROM spot_records WHERE data_date = $DAY AND alg_complete_time IS NULL"; }

# A line a second until every row of the day has a verdict or a reason.
watch_progress() {
    local started=$SECONDS rows_left silent=0 done_rows width=40 filled bar
    while true; do
        if ! rows_left=$(left); then
            printf '%s\n' "$rows_left" >&2
            ((++silent < 10)) || fail "ClickHouse does not say what is left; its log is .services/clickhouse/log"
            sleep 1
            continue
        fi
        silent=0
        done_rows=$((TOTAL - rows_left))
        filled=$((TOTAL > 0 ? width * done_rows / TOTAL : width))
        printf -v bar '%*s' "$filled" ''
        printf '%s%-*s  %s of %s rows  %s s' "${CLEAR:-}" "$width" "${bar// /#}" \
            "$(number "$done_rows")" "$(number "$TOTAL")" "$((SECONDS - started))"
        [[ -n ${CLEAR:-} ]] || printf '\n'
        [[ $rows_left != 0 ]] || break
        if ((SECONDS - started > 600)); then
            printf '\n'
            fail "rows are still left after 10 minutes; see $RUN_DIR/*.log"
        fi
        sleep 1
    done
    printf '\n'
}

# The mirror follows the commits by a moment.
wait_for_mirror() {
    local nok mirrored
    nok=$(clickhouse "SELECT count() FROM spot_records WHERE data_date = $DAY AND final_result = 'NOK'")
    for _ in {1..300}; do
        mirrored=$(mysql_rows "SELECT count(*) FROM nok_records WHERE data_date = $DAY")
        [[ $mirrored != "$nok" ]] || return 0
        sleep 0.2
    done
    fail "MySQL has $mirrored of $nok NOK rows after a minute; see $RUN_DIR/*.log"
}

summary() {
    local ok nok invalid other agree judged found labelled alarms rows_per_s csv_files speed="too few rows to tell"
    read -r ok nok invalid other agree judged found labelled alarms rows_per_s < <(clickhouse "
        WITH (SELECT min(alg_complete_time) FROM spot_records WHERE data_date = $DAY AND alg_complete_time >= '$BEGUN') AS first,
             dateDiff('millisecond', first, max(alg_complete_time)) AS ms
        SELECT countIf(final_result = 'OK'), countIf(final_result = 'NOK'), countIf(alg_status = 'invalid'),
               countIf(alg_status IN ('poison', 'error')),
               countIf(final_result = label), countIf(final_result IN ('OK', 'NOK')),
               countIf(final_result = 'NOK' AND label = 'NOK'), countIf(label = 'NOK' AND final_result IS NOT NULL),
               countIf(final_result = 'NOK' AND label = 'OK'),
               if(ms < 500, 0, toUInt64(1000 * countIf(alg_complete_time > first) / ms))
        FROM spot_records WHERE data_date = $DAY FORMAT TSV")
    ((rows_per_s == 0)) ||
        speed="about $(number "$rows_per_s") rows/s with $WORKERS workers on $(nproc) cores, ClickHouse included"
    csv_files=$(find "$SAVE_DIR/$DAY" -name '*.csv.gz' | wc -l)
    heading "Day $DAY is judged"
    printf '  %-22s %s\n' \
        "rows" "$(number "$TOTAL")" \
        "OK" "$(number "$ok")" \
        "NOK" "$(number "$nok")" \
        "invalid" "$(number "$invalid")  (each with its reason in alg_error)" \
        "poison or error" "$(number "$other")" \
        "agree with the label" "$(number "$agree") of $(number "$judged") judged welds" \
        "defects found" "$(number "$found") of $(number "$labelled") welds that the simulator made NOK, $(number "$alarms") false alarms" \
        "speed" "$speed" \
        "NOK rows in MySQL" "$(number "$(mysql_rows "SELECT count(*) FROM nok_records WHERE data_date = $DAY")")" \
        "audit files" "$csv_files in $SAVE_DIR/$DAY/"
    ((found == labelled)) || printf '  %s\n' "A weld is NOK if model and rules both say so, or the model is nearly certain: the model alone finds more."
    heading "A NOK weld, drawn"
    local worst
    worst=$(clickhouse "SELECT record_id FROM spot_records WHERE data_date = $DAY AND final_result = 'NOK' AND rule_hits LIKE '%expulsion%' ORDER BY ml_nok_prob DESC LIMIT 1")
    if [[ -n $worst ]] && target/release/worker explain --record-id "$worst" --day "$DAY" --png "$RUN_DIR/weld-$worst.png" >/dev/null 2>&1; then
        echo "  $RUN_DIR/weld-$worst.png"
    else
        echo "  none of this day could be drawn; with more ROWS one has an expulsion"
    fi
    heading "The console: NOK welds by keyboard (j, then c, f or u)"
    echo "  http://$(sed -nE 's/.*http listening address=([0-9.:]+).*/\1/p' "$RUN_DIR/scheduler.log" | head -n 1)/ui   name demo, password $DEMO_PASSWORD"
    heading "Try next ($(before_next "source .services/env"))"
    cat <<END
  redis-cli -p $SERVICES_REDIS_PORT ZRANGE 'weldfleet:{infer}:done' 0 4 WITHSCORES
  redis-cli -p $SERVICES_REDIS_PORT HGETALL "weldfleet:{infer}:job:\$(redis-cli -p $SERVICES_REDIS_PORT ZRANGE 'weldfleet:{infer}:done' 0 0)"
  redis-cli -p $SERVICES_REDIS_PORT ZRANGE 'weldfleet:{infer}:workers' 0 -1 WITHSCORES
  target/release/scheduler backfill --from $DAY --to $DAY --force --wait
  target/release/scheduler evaluate --from $DAY --to $DAY   # the model, the rules, and both together
  target/release/scheduler status
END
    heading "Stop with"
    echo "  make demo-down"
}

up() {
    local begun=$SECONDS worker
    want_number ROWS 1 50000
    want_number WORKERS 1 2
    begin
    start_services

    heading "Tables and rows"
    target/release/scheduler migrate
    DAY=$(TZ=Asia/Shanghai date +%Y%m%d)
    target/release/scheduler simulate --day "$DAY" --rows "$ROWS" --invalid-share 0.01
    TOTAL=$(clickhouse "SELECT count() FROM spot_records WHERE data_date = $DAY")

    # What an earlier demo judged of the day says nothing of this one's speed.
    BEGUN=$(clickhouse "SELECT now64(3)")

    heading "One scheduler, $WORKERS workers"
    export WELDFLEET__CONSOLE__USERS_FILE=$PWD/$RUN_DIR/users.toml
    rm -f "$WELDFLEET__CONSOLE__USERS_FILE"
    target/release/scheduler users add demo --role operator --password-stdin <<<"$DEMO_PASSWORD" >/dev/null
    start_program scheduler target/release/scheduler run
    for ((worker = 1; worker <= WORKERS; worker++)); do
        # The workers share this machine's cores; on hosts of their own each would take all of its cores.
        WELDFLEET__MODEL__THREADS=$(((($(nproc) + WORKERS - 1)) / WORKERS)) \
            start_program "worker-$worker" target/release/worker run
    done
    CLEAR=''
    [[ ! -t 1 ]] || CLEAR=$'\r\033[K'
    watch_progress
    wait_for_mirror
    summary
    printf '\nDone in %s s after the build.\n' "$((SECONDS - begun))"
}

case ${1:-up} in
up) up ;;
down)
    stop_programs
    tools/services.sh down
    ;;
*)
    echo "usage: tools/demo.sh [up|down]" >&2
    exit 2
    ;;
esac
