#!/bin/sh
# Signs a certificate for a service account with the mesh's CA, and puts it into the Secret that its pods' proxies read.
#   ./identity.sh FOLDER NAMESPACE SERVICEACCOUNT      (FOLDER has ca.key and ca.crt; they are made when they are missing)
set -eu
folder=$1 namespace=$2 account=$3
new="-newkey ec -pkeyopt ec_paramgen_curve:P-256 -nodes"
if [ ! -e "$folder/ca.crt" ]; then
  openssl req -x509 $new -days 365 -subj /CN=mesh-ca -keyout "$folder/ca.key" -out "$folder/ca.crt" 2>/dev/null
fi
openssl req $new -subj "/CN=$namespace:$account" -keyout "$folder/$account.key" -out "$folder/$account.csr" 2>/dev/null
openssl x509 -req -days 30 -in "$folder/$account.csr" -CA "$folder/ca.crt" -CAkey "$folder/ca.key" -CAcreateserial \
  -out "$folder/$account.crt" 2>/dev/null
cat "$folder/$account.crt" "$folder/$account.key" >"$folder/$account.pem"
kubectl create secret generic "mesh-identity-$account" -n "$namespace" \
  --from-file=tls.pem="$folder/$account.pem" --from-file=ca.crt="$folder/ca.crt"
