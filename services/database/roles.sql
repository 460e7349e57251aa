-- MLflow's role and database, a role for monitoring, and the passwords as the secrets say now.
-- Run at every `up`.
\set ON_ERROR_STOP on
\set mlflow_password `cat /run/stack/mlflow-password`
\set monitor_password `cat /run/stack/monitor-password`
\set postgres_password `cat /run/stack/postgres-password`

-- A statement that fails is logged whole, and these hold passwords.
SET log_min_error_statement = panic;
SET log_statement = none;

SELECT 'CREATE ROLE mlflow' WHERE NOT EXISTS (SELECT FROM pg_roles WHERE rolname = 'mlflow') \gexec
ALTER ROLE mlflow LOGIN NOSUPERUSER NOCREATEDB NOCREATEROLE NOREPLICATION NOBYPASSRLS
  PASSWORD :'mlflow_password';
ALTER ROLE postgres PASSWORD :'postgres_password';

SELECT 'CREATE DATABASE mlflow OWNER mlflow'
  WHERE NOT EXISTS (SELECT FROM pg_database WHERE datname = 'mlflow') \gexec
REVOKE ALL ON DATABASE postgres, template1, mlflow FROM PUBLIC;

-- In the team overlay.
\getenv logins STACK_LOGINS
\if :{?logins}
SELECT 'CREATE DATABASE logins OWNER mlflow'
  WHERE NOT EXISTS (SELECT FROM pg_database WHERE datname = 'logins') \gexec
REVOKE ALL ON DATABASE logins FROM PUBLIC;
\endif

-- For postgres_exporter: PostgreSQL's statistics, and no table of MLflow's.
SELECT 'CREATE ROLE monitor' WHERE NOT EXISTS (SELECT FROM pg_roles WHERE rolname = 'monitor') \gexec
ALTER ROLE monitor LOGIN NOSUPERUSER NOCREATEDB NOCREATEROLE NOREPLICATION NOBYPASSRLS
  CONNECTION LIMIT 5 PASSWORD :'monitor_password';
GRANT pg_monitor TO monitor;
GRANT CONNECT ON DATABASE mlflow TO monitor;

\echo 'ready: role and database mlflow, role monitor'
