#!/usr/bin/env bash
# SPDX-License-Identifier: Apache-2.0
#
# Makes the certificates of this folder anew: what our own writer does not write, by OpenSSL's
# command. ca.pem is the root of all of them. The keys are thrown away: nothing here can sign.
set -euo pipefail
cd "$(dirname "$0")"
keys=$(mktemp -d)
trap 'rm -rf "$keys"' EXIT
days=36500

openssl req -x509 -newkey ec -pkeyopt ec_paramgen_curve:P-256 -nodes -keyout "$keys/ca.key" \
  -subj '/CN=nodes' -days $days -addext 'keyUsage=critical,keyCertSign' -out ca.pem 2>/dev/null

leaf() { # leaf NAME ALGORITHM EXTENSIONS...
  openssl genpkey -algorithm "$2" ${4:+-pkeyopt "$4"} -out "$keys/$1.key" 2>/dev/null
  printf '%b\n' "$3" >"$keys/$1.ext"
  openssl req -new -key "$keys/$1.key" -subj "/CN=$1" -out "$keys/$1.csr"
  openssl x509 -req -in "$keys/$1.csr" -CA ca.pem -CAkey "$keys/ca.key" \
    -set_serial "0x$(openssl rand -hex 8)" -days $days -sha256 -extfile "$keys/$1.ext" \
    -out "$1.pem" 2>/dev/null
}
signs='keyUsage=critical,digitalSignature'
p256=ec_paramgen_curve:P-256

leaf addresses EC "$signs\nsubjectAltName=IP:10.1.2.3,IP:fd00::1,DNS:node" "$p256"
leaf no_key_usage EC 'basicConstraints=CA:FALSE' "$p256"
leaf no_digital_signature EC 'keyUsage=critical,keyAgreement' "$p256"
leaf ed25519 ED25519 "$signs"
leaf rsa_4096 RSA "$signs" rsa_keygen_bits:4096
