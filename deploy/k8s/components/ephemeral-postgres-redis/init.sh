#!/bin/sh
# A role and a database for each context, with the passwords of the secret `postgres`.
set -e
for context in auth generation executor results; do
    password=$(printenv "$context")
    psql -v ON_ERROR_STOP=1 -U postgres -v "password=$password" <<SQL
CREATE ROLE $context LOGIN PASSWORD :'password';
CREATE DATABASE $context OWNER $context;
SQL
done
