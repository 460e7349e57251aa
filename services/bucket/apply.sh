#!/bin/sh
# MLflow's bucket, and an S3 user that reaches it and nothing else. Run at every `up`.
# Secrets go to mc on its standard input: arguments and environments show in process lists.
set -eu
export MC_CONFIG_DIR=/tmp/mc

# Healthy storage may still be loading its users, for long after a crash: hence the tries.
surely() {
  for _ in 1 2 3 4 5 6 7 8 9 10 11 12 13 14 15; do
    "$@" >/tmp/said 2>&1 && return
    case $(cat /tmp/said) in *"already in effect"*) return ;; esac # a policy attached before
    sleep 2
  done
  cat /tmp/said
  return 1
}
secret() { printf '%s\n' "$(cat "/run/stack/$1")"; }
log_in() { { secret root-user; secret root-password; } | mc alias set stack http://minio:9000; }
add_user() { { secret s3-access-key; secret s3-secret-key; } | mc admin user add stack; }

surely log_in
surely mc mb --ignore-existing stack/mlflow
surely mc admin policy create stack mlflow /opt/stack/policy.json
surely add_user
key=$(secret s3-access-key) # a name, as every S3 request carries it; not what is kept from others
surely mc admin policy attach stack mlflow --user "$key"

# Whoever else holds the policy had an earlier key of ours.
mc admin user list stack >/tmp/users
while read -r _ name policy; do
  [ "$policy" != mlflow ] || [ "$name" = "$key" ] || surely mc admin user remove stack "$name"
done </tmp/users

echo 'ready: bucket mlflow and its user'
