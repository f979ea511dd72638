#!/bin/sh
# The users of a ClickHouse server that belongs to Isotherm alone, with the roles of `isotherm migrate --access`.
# Run again, it gives them the passwords that stand in the environment then.
set -eu

ask() { clickhouse-client --host "$CLICKHOUSE_HOST" --user admin --query "$1"; }

user() {
    # The server is told the hash only, so no character of a password can be taken for SQL.
    hash=$(printf %s "$2" | sha256sum | cut -d ' ' -f 1)
    ask "CREATE USER IF NOT EXISTS $1 IDENTIFIED WITH sha256_hash BY '$hash' DEFAULT DATABASE market"
    ask "ALTER USER $1 IDENTIFIED WITH sha256_hash BY '$hash'"
    ask "GRANT isotherm_$1 TO $1"
}

user writer "$ISOTHERM_STORE_WRITER_PASSWORD"
user analyst "$ISOTHERM_STORE_ANALYST_PASSWORD"
user board "$ISOTHERM_STORE_BOARD_PASSWORD"
