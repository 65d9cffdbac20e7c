#!/bin/sh
# First start on an empty data directory: make the system tables, the database and its user; then become the server.
set -eu
data=/var/lib/mysql

if [ "${1:-}" = mariadbd ] && [ ! -d "$data/mysql" ]; then
    : "${MARIADB_DATABASE:?set MARIADB_DATABASE}" "${MARIADB_USER:?set MARIADB_USER}" "${MARIADB_PASSWORD:?set MARIADB_PASSWORD}"
    chown mysql:mysql "$data"
    mariadb-install-db --user=mysql --datadir="$data" --skip-test-db --auth-root-authentication-method=socket >/dev/null
    password=$(printf %s "$MARIADB_PASSWORD" | sed "s/[\\\\']/\\\\&/g")
    # One bootstrap run without networking: nobody can connect before the user exists.
    mariadbd --user=mysql --bootstrap <<SQL
FLUSH PRIVILEGES;
CREATE DATABASE IF NOT EXISTS \`$MARIADB_DATABASE\`;
CREATE USER IF NOT EXISTS '$MARIADB_USER'@'%' IDENTIFIED BY '$password';
GRANT ALL ON \`$MARIADB_DATABASE\`.* TO '$MARIADB_USER'@'%';
SQL
fi

exec "$@"
