#!/bin/sh
# Answers each request with the page of www/.
exec busybox httpd -f -v -p "${PORT:-3000}" -h "${ROOT:-/app/www}"
