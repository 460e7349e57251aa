#!/bin/sh
# MLflow's bucket, and an S3 user that reaches it and nothing else. Run at every `up`.
# Secrets go to mc on its standard input: arguments and environments show in process lists.
set -eu
export MC_CONFIG_DIR=/tmp/mc

secret() { printf '%s\n' "$(cat "/run/stack/$1")"; }
quietly() {
  "$@" >/tmp/said 2>&1 || {
    case $(cat /tmp/said) in *"already in effect"*) return 0 ;; esac # a policy attached before
    cat /tmp/said
    return 1
  }
}

{ secret root-user; secret root-password; } | quietly mc alias set stack http://minio:9000
quietly mc mb --ignore-existing stack/mlflow
quietly mc admin policy create stack mlflow /opt/stack/policy.json
{ secret s3-access-key; secret s3-secret-key; } | quietly mc admin user add stack
key=$(secret s3-access-key) # a name, as every S3 request carries it; not what is kept from others
quietly mc admin policy attach stack mlflow --user "$key"

# Whoever else holds the policy had an earlier key of ours.
mc admin user list stack >/tmp/users
while read -r _ name policy; do
  [ "$policy" != mlflow ] || [ "$name" = "$key" ] || quietly mc admin user remove stack "$name"
done </tmp/users

echo 'ready: bucket mlflow and its user'
