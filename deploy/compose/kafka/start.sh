#!/usr/bin/env bash
# Start the broker of docker-compose.yml: format its storage once, then run it. The argument is the folder of its secrets.
set -euo pipefail
secrets=$1
kafka=${KAFKA_HOME:-/opt/kafka}/bin
properties=$secrets/server.properties
data=$(sed -n 's/^log\.dirs=//p' "$properties")

if [ ! -f "$data/meta.properties" ]; then
    # One argument: an id may begin with a hyphen.
    "$kafka/kafka-storage.sh" format --standalone "--cluster-id=$(cat "$secrets/cluster_id")" \
        --config "$properties" --add-scram "$(cat "$secrets/scram")"
fi
exec "$kafka/kafka-server-start.sh" "$properties"
