#!/usr/bin/env bash
# The part of clickhouse-server's entrypoint that docker-compose.yml relies on, for the engine out of libchdb.
set -euo pipefail
home=/var/lib/clickhouse
mkdir -p "$home/config"

cat >"$home/config/config.xml" <<XML
<clickhouse><users_config>users.xml</users_config><listen_host>0.0.0.0</listen_host></clickhouse>
XML
# `default` is the account the engine itself starts as; unlike there, it may not come over the network.
cat >"$home/config/users.xml" <<XML
<clickhouse>
  <profiles><default/></profiles><quotas><default/></quotas>
  <users>
    <default>
      <password/><networks><ip>127.0.0.1</ip></networks><profile>default</profile><quota>default</quota>
    </default>
    <$CLICKHOUSE_USER>
      <password><![CDATA[${CLICKHOUSE_PASSWORD//]]>/]]]]><![CDATA[>}]]></password>
      <networks><ip>::/0</ip></networks><profile>default</profile><quota>default</quota>
    </$CLICKHOUSE_USER>
  </users>
</clickhouse>
XML

exec /opt/chdb/clickhouse /opt/chdb/libchdb.so --config-file="$home/config/config.xml" --path="$home/data" \
    --http_port=8123 --listen_host=0.0.0.0 --logger.console=1 --logger.level=warning --multiquery --query="
        CREATE DATABASE IF NOT EXISTS $CLICKHOUSE_DB;
        SYSTEM START LISTEN HTTP;
        SELECT sleepEachRow(3) FROM numbers(100000000)
        SETTINGS max_block_size=1, function_sleep_max_microseconds_per_block=0 FORMAT Null"
