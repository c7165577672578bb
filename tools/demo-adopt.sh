#!/usr/bin/env bash
# A plant with a table and a service of its own is adopted as docs/ADOPT.md says, on this machine: the simulator fills
# the table, the old service's configuration lies beside it. Everything stays up afterwards, to be looked at.
#
# usage: tools/demo-adopt.sh     (ROWS=20000 CURVES=whole-text can be changed; CURVES: integers, texts, whole-text)
set -euo pipefail
cd "$(dirname "${BASH_SOURCE[0]}")/.."

readonly ROWS=${ROWS:-20000} CURVES=${CURVES:-whole-text}
# Its own database beside the demo's.
readonly PLANT=weld_plant TABLE=weld_detail

# shellcheck source=tools/demo-programs.sh
source tools/demo-programs.sh
readonly FOLDER=$RUN_DIR/plant
export WELDFLEET_CONFIG

clickhouse() { curl -sS --fail-with-body "http://127.0.0.1:$SERVICES_CLICKHOUSE_PORT/" --data-binary "$1"; }
mysql() { mariadb --no-defaults --host=127.0.0.1 --port="$SERVICES_MYSQL_PORT" --user=weld --password=weld --batch --skip-column-names --execute "$1"; }
none_judged() { clickhouse "SELECT count() = 0 FROM $PLANT.$TABLE WHERE alg_complete_time IS NOT NULL"; }
left() { clickhouse "SELECT count() FROM $PLANT.$TABLE FINAL WHERE alg_complete_time IS NULL AND prog_no NOT IN ('41', '51')"; }

# What a person types, shown and run.
typed() {
    printf '\n$ %s\n' "$*"
    "$@"
}

# The plant as the old service left it, and its day as it goes on.
plant() { # plant ROWS [OPTION...]
    WELDFLEET_CONFIG=config/weldfleet.toml WELDFLEET__CLICKHOUSE__DATABASE=$PLANT WELDFLEET__TABLES__SOURCE_TABLE=$TABLE \
        target/release/scheduler simulate --like plant --curves "$CURVES" --day "$DAY" --rows "$@"
}

old_configuration() {
    cat >"$FOLDER/OLD.yaml" <<END
clickhouse:
  host: 127.0.0.1
  port: $SERVICES_CLICKHOUSE_PORT
  user: weld
  password: weld
  database: $PLANT
  table: $TABLE
mysql:
  host: 127.0.0.1
  port: $SERVICES_MYSQL_PORT
  user: weld
  password: weld
  database: $PLANT
  table: weld_confirm
service:
  batch_size: 2000
  loop_interval: 2
  save_dir: $FOLDER/csv
model:
  model_export_dir: models
  target_len: 1000
thresholds:
  nok_threshold: 0.797
  override: 0.9999
tip_dress_programs: [41, 51]
END
}

# The table in which the plant's people confirm NOK welds; its columns are none of the fleet's.
application() {
    mysql "CREATE DATABASE $PLANT"
    mysql "CREATE TABLE $PLANT.weld_confirm (nid INT AUTO_INCREMENT PRIMARY KEY, workshop_section VARCHAR(32) NOT NULL,
            area VARCHAR(32) NOT NULL, workshop_position VARCHAR(32), defect_type_alg VARCHAR(64) NOT NULL, spot_tag VARCHAR(64) NOT NULL,
            rfid VARCHAR(64) NOT NULL, weld_time DATETIME, kpi TEXT NOT NULL, rec_cause TEXT NOT NULL, atlas_info VARCHAR(64) NOT NULL)
        DEFAULT CHARSET = utf8mb4"
    mysql "INSERT INTO $PLANT.weld_confirm (workshop_section, area, workshop_position, defect_type_alg, spot_tag, rfid, kpi, rec_cause,
            atlas_info) VALUES ('UB', 'L2', 'A3', '小焊核', 'AB010_1', 'BODY000001', 'k', 'cap worn', '-')"
}

# What only a person knows: where Redis is, whose midnight ends a day. Dry shots stay the fleet's.
answer() {
    local redis="redis://127.0.0.1:$SERVICES_REDIS_PORT/1"
    sed -i -E "s|^# url = \"redis:.*|url = \"$redis\"|; s|^# (timezone = .*)|\1|" "$WELDFLEET_CONFIG"
    printf '\nanswered in %s:\n' "$WELDFLEET_CONFIG"
    grep -E '^(url = "redis|timezone = )' "$WELDFLEET_CONFIG"
}

wait_until() { # wait_until SECONDS COMMAND... : until it says 0
    local until=$((SECONDS + $1))
    shift
    while [[ $("$@") != 0 ]]; do
        if ((SECONDS > until)); then
            printf 'error: still waiting; see %s/*.log\n' "$RUN_DIR" >&2
            exit 1
        fi
        sleep 0.2
    done
}

main() {
    local begun first
    mkdir -p "$FOLDER"
    stop_programs
    rm -rf "${FOLDER:?}"/*
    start_services
    # What the new configuration says is what counts.
    unset WELDFLEET__CLICKHOUSE__URL WELDFLEET__REDIS__URL WELDFLEET__MYSQL__URL
    DAY=$(TZ=Asia/Shanghai date +%Y%m%d)

    heading "A plant's own table, curves as $CURVES"
    clickhouse "DROP DATABASE IF EXISTS $PLANT SYNC"
    mysql "DROP DATABASE IF EXISTS $PLANT"
    redis-cli -p "$SERVICES_REDIS_PORT" -n 1 FLUSHDB >/dev/null
    WELDFLEET__CLICKHOUSE__URL="http://127.0.0.1:$SERVICES_CLICKHOUSE_PORT" plant "$ROWS"
    # What the old service left in the table: it calls nearly every weld OK.
    clickhouse "ALTER TABLE $PLANT.$TABLE ADD COLUMN ai_result String DEFAULT if(cityHash64(id) % 300 = 0, 'NOK', 'OK')"
    clickhouse "SELECT id, spot_tag, prog_no, umax, imax, substring(toString(u_curve), 1, 24) AS u_curve, ver, ai_result FROM $PLANT.$TABLE
        LIMIT 3 FORMAT PrettyCompactMonoBlock"
    application
    old_configuration

    heading "From OLD.yaml to the first verdict"
    begun=$(date +%s%N)
    WELDFLEET_CONFIG=$FOLDER/weldfleet.toml
    typed target/release/scheduler adopt "$FOLDER/OLD.yaml" --out "$WELDFLEET_CONFIG"
    answer
    typed target/release/scheduler migrate --yes
    typed target/release/worker check
    printf '\n$ target/release/scheduler run &\n$ target/release/worker run &\n'
    start_program scheduler target/release/scheduler run
    start_program worker-1 target/release/worker run
    wait_until 600 none_judged
    first=$((($(date +%s%N) - begun) / 1000000))
    clickhouse "SELECT id, rfid, final_result, decided_by, defect, alg_status, alg_error FROM $PLANT.$TABLE
        WHERE alg_complete_time IS NOT NULL ORDER BY alg_complete_time, final_result = 'NOK' DESC LIMIT 5 FORMAT PrettyCompactMonoBlock"
    printf 'from OLD.yaml to the first verdict: %d.%03d s\n' $((first / 1000)) $((first % 1000))

    heading "The plant goes on: new rows, late ones, corrected ones"
    WELDFLEET__CLICKHOUSE__URL="http://127.0.0.1:$SERVICES_CLICKHOUSE_PORT" plant $((ROWS / 10)) --resent 0.05 --late 0.05 --later-after 3s
    wait_until 600 left
    summary
}

summary() {
    local body
    heading "Day $DAY is judged"
    clickhouse "SELECT multiIf(prog_no IN ('41', '51'), 'tip dress, nobody''s to judge', alg_status = 'ok', final_result, alg_error) AS became,
            count() AS rows, countIf(alg_complete_time IS NOT NULL) AS judged
        FROM $PLANT.$TABLE FINAL GROUP BY became ORDER BY rows DESC FORMAT PrettyCompactMonoBlock"
    heading "What the application's people see: its own row, and NOK welds of the fleet"
    mysql "SELECT nid, workshop_section, area, defect_type_alg, spot_tag, rfid FROM $PLANT.weld_confirm ORDER BY nid LIMIT 4"
    printf '%s\n' "NOK rows of the fleet in MySQL: $(mysql "SELECT count(*) FROM $PLANT.weld_confirm WHERE record_id IS NOT NULL")"
    body=$(mysql "SELECT rfid FROM $PLANT.weld_confirm WHERE record_id IS NOT NULL ORDER BY nid LIMIT 1")
    typed target/release/worker explain --body "$body" | sed -n "1,12p"
    typed target/release/scheduler evaluate --from "$DAY" --to "$DAY" --against previous_result
    typed target/release/scheduler status
    heading "Try next (first: export WELDFLEET_CONFIG=$WELDFLEET_CONFIG; unset WELDFLEET__CLICKHOUSE__URL WELDFLEET__REDIS__URL WELDFLEET__MYSQL__URL)"
    cat <<END
  target/release/scheduler evaluate --from $DAY --to $DAY --against previous_result --json
  target/release/scheduler backfill --from $DAY --to $DAY --status invalid --wait
  less $WELDFLEET_CONFIG
END
    heading "Stop with"
    echo "  make demo-down"
}

if [[ $# -gt 0 ]]; then
    sed -n '2,5s/^# \{0,1\}//p' "${BASH_SOURCE[0]}" >&2
    exit 2
fi
main
