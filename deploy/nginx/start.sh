#!/bin/sh
# Allows a body of MAX_UPLOAD_BYTES and 1 MiB for the multipart around it; ingest then measures the file exactly.
set -eu
echo "client_max_body_size $((MAX_UPLOAD_BYTES + 1048576));" >/tmp/body_limit.conf
exec nginx -e stderr -c /etc/hospital-bulk/nginx.conf -g 'daemon off;'
