#!/bin/sh
# A role and a database for each service, and for webhooks, with the passwords that the secrets hold now. Does nothing twice, so it runs at every start.
set -eu
PGPASSWORD=$(cat /run/secrets/postgres.password)
export PGPASSWORD

for service in customers interactions segmentation campaigns webhooks; do
  SERVICE=$service
  export SERVICE
  psql --no-psqlrc --quiet --set ON_ERROR_STOP=1 --set role="vefa_$service" <<'SQL'
-- A statement that fails is not written to the server's log: it holds a password.
set log_min_error_statement = panic;
\set password `cat "/run/secrets/$SERVICE.password"`
select format('create role %I', :'role') where not exists (select from pg_roles where rolname = :'role') \gexec
alter role :"role" login password :'password';
select format('create database %I owner %I', :'role', :'role') where not exists (select from pg_database where datname = :'role') \gexec
-- Each service has its own database and no other.
revoke all on database :"role" from public;
SQL
done
psql --no-psqlrc --quiet --set ON_ERROR_STOP=1 --command 'revoke connect on database postgres from public'
