#!/bin/sh
# Makes the queue `keygen` and puts 100 items into it; the queue is reached through
# kubectl port-forward rs/queue 8080:8080
set -e
server=http://localhost:8080/memq/server/queues
curl -fsS --retry 5 --retry-connrefused -X PUT "$server/keygen"
for i in $(seq 0 99); do
  curl -fsS -X POST -d "work-item-$i" "$server/keygen/enqueue" >/dev/null
done
curl -fsS http://localhost:8080/memq/server/stats
