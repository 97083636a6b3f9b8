#!/usr/bin/env bash
# SPDX-License-Identifier: Apache-2.0
#
# Makes the certificates of this folder anew: what our own writer refuses to write, by OpenSSL's
# command. Each NAME.pem is a chain, leaf first; ca.pem is the root of all of them. The keys are
# thrown away: nothing here can sign.
set -euo pipefail
cd "$(dirname "$0")"
keys=$(mktemp -d)
trap 'rm -rf "$keys"' EXIT
days=36500
leaf_usage='critical,digitalSignature,keyEncipherment,keyAgreement'
ca_usage='critical,keyCertSign,cRLSign'

key() { openssl genpkey -algorithm EC -pkeyopt ec_paramgen_curve:P-256 -out "$keys/$1.key" 2>/dev/null; }

# issue NAME ISSUER EXTENSIONS...: a certificate NAME signed by ISSUER.
issue() {
  local name=$1 issuer=$2
  shift 2
  key "$name"
  printf '%s\n' "$@" >"$keys/$name.ext"
  openssl req -new -key "$keys/$name.key" -subj "/O=Writ/CN=$name" -out "$keys/$name.csr"
  openssl x509 -req -in "$keys/$name.csr" -CA "$keys/$issuer.crt" -CAkey "$keys/$issuer.key" \
    -set_serial "0x$(openssl rand -hex 8)" -days $days -sha256 -extfile "$keys/$name.ext" \
    -out "$keys/$name.crt" 2>/dev/null
}
leaf() { issue "$1" ca "${@:2}" && cp "$keys/$1.crt" "$1.pem"; }
below() { # below INTERMEDIATE: a good leaf below it, and the chain of both
  issue "$1_leaf" "$1" "basicConstraints=critical,CA:FALSE" "keyUsage=$leaf_usage" "$web"
  cat "$keys/$1_leaf.crt" "$keys/$1.crt" >"$1.pem"
}
root() { # root NAME EXTENSIONS...
  key "$1"
  local arguments=()
  for extension in "${@:2}"; do arguments+=(-addext "$extension"); done
  openssl req -x509 -new -key "$keys/$1.key" -subj "/O=Writ/CN=$1" -days $days -sha256 \
    -config <(printf '[req]\ndistinguished_name=dn\n[dn]\n') "${arguments[@]}" -out "$keys/$1.crt"
  cp "$keys/$1.crt" "$1.pem"
}

web='subjectAltName=URI:spiffe://example.org/web'
is_leaf='basicConstraints=critical,CA:FALSE'
is_ca='basicConstraints=critical,CA:TRUE'
td_san='subjectAltName=URI:spiffe://example.org'

root ca "$is_ca" "keyUsage=$ca_usage" "$td_san" 'subjectKeyIdentifier=hash'
leaf good "$is_leaf" "keyUsage=$leaf_usage" "$web"
leaf no_basic_constraints "keyUsage=$leaf_usage" "$web"
leaf dns_too "$is_leaf" "keyUsage=$leaf_usage" "$web,DNS:web.example.org"
leaf signature_usage_only "$is_leaf" 'keyUsage=critical,digitalSignature' "$web"
leaf ca_flag "$is_ca" "keyUsage=$leaf_usage" "$web"
leaf cert_sign "$is_leaf" "keyUsage=$leaf_usage,keyCertSign" "$web"
leaf crl_sign "$is_leaf" "keyUsage=$leaf_usage,cRLSign" "$web"
leaf no_digital_signature "$is_leaf" 'keyUsage=critical,keyEncipherment' "$web"
leaf no_key_usage "$is_leaf" "$web"
leaf two_uris "$is_leaf" "keyUsage=$leaf_usage" "$web,URI:spiffe://example.org/other"
leaf second_uri_foreign "$is_leaf" "keyUsage=$leaf_usage" "$web,URI:https://example.org/"
leaf no_uri "$is_leaf" "keyUsage=$leaf_usage" 'subjectAltName=DNS:web.example.org'
leaf no_path "$is_leaf" "keyUsage=$leaf_usage" "$td_san"
leaf https_uri "$is_leaf" "keyUsage=$leaf_usage" 'subjectAltName=URI:https://example.org/web'
leaf bad_id "$is_leaf" "keyUsage=$leaf_usage" 'subjectAltName=URI:spiffe://example.org/web/'
leaf other_domain "$is_leaf" "keyUsage=$leaf_usage" 'subjectAltName=URI:spiffe://example.com/web'

issue intermediate ca "$is_ca" "keyUsage=$ca_usage" "$td_san" && below intermediate
issue intermediate_without_id ca "$is_ca" "keyUsage=$ca_usage" && below intermediate_without_id
issue intermediate_cert_sign_only ca "$is_ca" 'keyUsage=critical,keyCertSign' "$td_san" &&
  below intermediate_cert_sign_only
issue intermediate_no_ca ca "$is_leaf" "keyUsage=$ca_usage" "$td_san" && below intermediate_no_ca
issue intermediate_no_cert_sign ca "$is_ca" 'keyUsage=critical,digitalSignature' "$td_san" &&
  below intermediate_no_cert_sign
issue intermediate_no_key_usage ca "$is_ca" "$td_san" && below intermediate_no_key_usage
issue intermediate_with_path ca "$is_ca" "keyUsage=$ca_usage" \
  'subjectAltName=URI:spiffe://example.org/ca' && below intermediate_with_path
issue intermediate_other_domain ca "$is_ca" "keyUsage=$ca_usage" \
  'subjectAltName=URI:spiffe://example.com' && below intermediate_other_domain
issue path_length_zero ca 'basicConstraints=critical,CA:TRUE,pathlen:0' "keyUsage=$ca_usage" "$td_san"
issue path_too_long path_length_zero "$is_ca" "keyUsage=$ca_usage" "$td_san" && below path_too_long
cat "$keys/path_length_zero.crt" >>path_too_long.pem

root root_no_key_usage "$is_ca" "$td_san"
issue below_root_no_key_usage root_no_key_usage "$is_leaf" "keyUsage=$leaf_usage" "$web"
cat "$keys/below_root_no_key_usage.crt" >below_root_no_key_usage.pem
root root_trailing_slash "$is_ca" "keyUsage=$ca_usage" 'subjectAltName=URI:spiffe://example.org/'
issue below_root_trailing_slash root_trailing_slash "$is_leaf" "keyUsage=$leaf_usage" "$web"
cat "$keys/below_root_trailing_slash.crt" >below_root_trailing_slash.pem
root root_with_path "$is_ca" "keyUsage=$ca_usage" 'subjectAltName=URI:spiffe://example.org/ca'
issue below_root_with_path root_with_path "$is_leaf" "keyUsage=$leaf_usage" "$web"
cat "$keys/below_root_with_path.crt" >below_root_with_path.pem
