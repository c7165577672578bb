#!/usr/bin/env bash
# The part of mysql:9.7's entrypoint that docker-compose.yml relies on.
set -euo pipefail
data=/var/lib/mysql
# As a string of SQL.
quoted() { local text=${1//\\/\\\\}; printf "'%s'" "${text//\'/\\\'}"; }
server=(mysqld --no-defaults --datadir="$data/data" --skip-log-bin --mysqlx=OFF --secure-file-priv=)

if [[ ! -e $data/prepared ]]; then
    rm -rf "$data/data"
    # A statement a line.
    cat >"$data/setup.sql" <<SQL
CREATE DATABASE \`$MYSQL_DATABASE\`;
CREATE USER '$MYSQL_USER'@'%' IDENTIFIED BY $(quoted "$MYSQL_PASSWORD");
GRANT ALL ON \`$MYSQL_DATABASE\`.* TO '$MYSQL_USER'@'%';
ALTER USER root@localhost IDENTIFIED BY $(quoted "$MYSQL_ROOT_PASSWORD");
CREATE USER root@'%' IDENTIFIED BY $(quoted "$MYSQL_ROOT_PASSWORD");
GRANT ALL ON *.* TO root@'%' WITH GRANT OPTION;
SQL
    "${server[@]}" --initialize-insecure --init-file="$data/setup.sql"
    rm "$data/setup.sql"
    touch "$data/prepared"
fi
exec "${server[@]}" --bind-address=0.0.0.0 --skip-name-resolve --socket=/tmp/mysqld.sock "$@"
