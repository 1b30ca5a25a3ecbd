#!/bin/sh
# Allows a body of MAX_UPLOAD_BYTES and 1 MiB for the multipart around it; ingest then measures the file exactly.
# Asks the name server of the place where it runs, which in Kubernetes wants whole names: SERVICE_DOMAIN goes behind them.
set -eu
here=$(dirname "$0") there=${TMPDIR:-/tmp}
nameserver=$(awk '$1 == "nameserver" {print ($2 ~ /:/) ? "[" $2 "]" : $2; exit}' "${RESOLV_CONF:-/etc/resolv.conf}")
echo "client_max_body_size $((MAX_UPLOAD_BYTES + 1048576));" >"$there/body_limit.conf"
sed -e "s/resolver 127\.0\.0\.11 /resolver ${nameserver:-127.0.0.11} /" \
    -e "s/\(set \$service [a-z]*\):/\1${SERVICE_DOMAIN:-}:/" "$here/nginx.conf" >"$there/nginx.conf"
exec nginx -e stderr -c "$there/nginx.conf" -g 'daemon off;'
