#!/usr/bin/env bash
# SPDX-License-Identifier: Apache-2.0
#
# Writ at work, step by step, in a throw-away directory: a server, an agent, an entry for the user
# who runs this, an X.509-SVID and a JWT-SVID, both validated, and one rotation as it happens.
# usage: demo.sh DIRECTORY-OF-THE-PROGRAMS
set -euo pipefail

bin=$1
export PATH=$bin:$PATH
unset SPIFFE_ENDPOINT_SOCKET
dir=$(mktemp -d "${TMPDIR:-/tmp}/writ-demo.XXXXXX")
server_socket=$dir/server/run/admin.sock
workload_socket=$dir/public/workload.sock
server_pid='' agent_pid='' step=0
wait_tenths_max=150

clean_up() {
  local status=$?
  trap - EXIT INT TERM
  for pid in $agent_pid $server_pid; do kill "$pid" 2>/dev/null || true; done
  wait 2>/dev/null || true
  if [ "$status" != 0 ]; then
    printf '\nThe demo failed. The ends of the logs:\n'
    tail -n 15 "$dir"/*.log 2>/dev/null || true
  fi
  rm -rf "$dir"
  exit "$status"
}
trap clean_up EXIT
trap 'exit 130' INT TERM

# tell SENTENCE COMMAND: one line for a newcomer, and the command to do it by hand.
tell() {
  step=$((step + 1))
  printf '\n%d. %s\n   $ %s\n' "$step" "$1" "$2"
}
show() { sed 's/^/     /'; }

# until_true SENTENCE COMMAND...: waits, a little at a time, until the command succeeds.
until_true() {
  local what=$1 tries=0
  shift
  until "$@" >/dev/null 2>&1; do
    tries=$((tries + 1))
    if [ "$tries" -ge "$wait_tenths_max" ]; then
      printf 'demo: gave up waiting: %s\n' "$what" >&2
      return 1
    fi
    sleep 0.1
  done
}

free_port() {
  local port
  while :; do
    port=$((20000 + RANDOM % 12000))
    (exec 3<>"/dev/tcp/127.0.0.1/$port") 2>/dev/null || break
  done
  echo "$port"
}

port=$(free_port)
cat >"$dir/server.yaml" <<EOF
trust_domain: example.org
data_dir: $dir/server/data
listen:
  address: 127.0.0.1:$port
  admin_socket: $server_socket
  http: ""
EOF
cat >"$dir/agent.yaml" <<EOF
trust_domain: example.org
data_dir: $dir/agent/data
server:
  address: 127.0.0.1:$port
  bundle_file: $dir/bundle.pem
workload_socket: $workload_socket
admin_socket: $dir/agent/run/admin.sock
http: ""
sync_interval: 1s
EOF

printf 'Writ, in %s (removed at the end)\n' "$dir"

tell "Start a server: the authority of the trust domain example.org." \
  "writ-server run --config server.yaml"
writ-server run --config "$dir/server.yaml" >"$dir/server.log" 2>&1 &
server_pid=$!
until_true "the server serves" writ health server --socket "$server_socket"

tell "Save its bundle: what an agent trusts before it knows anything else." \
  "writ bundle show > bundle.pem"
writ bundle show --socket "$server_socket" >"$dir/bundle.pem"

tell "Make a join token: a new node's first proof, good once." \
  "writ token create --spiffe-id spiffe://example.org/demo-node"
token=$(writ token create --socket "$server_socket" \
  --spiffe-id spiffe://example.org/demo-node | awk '/^Token:/ {print $2}')
printf '     token %s...\n' "${token:0:8}"

tell "Start an agent: it proves its node with the token and gets its own identity." \
  "writ-agent run --config agent.yaml --join-token TOKEN"
WRIT_JOIN_TOKEN=$token writ-agent run --config "$dir/agent.yaml" >"$dir/agent.log" 2>&1 &
agent_pid=$!
attested() { writ agent list --socket "$server_socket" | grep -q join_token; }
until_true "the agent is attested" attested
writ agent list --socket "$server_socket" | show

tell "Register a workload: processes of user $(id -un) on that node are spiffe://example.org/demo." \
  "writ entry create --spiffe-id spiffe://example.org/demo --parent-id spiffe://example.org/demo-node --selector unix:uid:$(id -u) --x509-ttl 30s"
writ entry create --socket "$server_socket" --spiffe-id spiffe://example.org/demo \
  --parent-id spiffe://example.org/demo-node --selector "unix:uid:$(id -u)" --x509-ttl 30s | show

export SPIFFE_ENDPOINT_SOCKET=unix://$workload_socket
tell "Tell SPIFFE clients (this command, go-spiffe, py-spiffe) where the Workload API is." \
  "export SPIFFE_ENDPOINT_SOCKET=unix:///run/writ/public/workload.sock"

tell "Fetch an X.509-SVID: the agent looks at the calling process; no password is asked." \
  "writ svid fetch x509 --write identity"
until_true "the first X.509-SVID" writ svid fetch x509
writ svid fetch x509 --write "$dir/identity" | show

tell "Fetch a JWT-SVID for the audience db." "writ svid fetch jwt --audience db --write identity"
writ svid fetch jwt --audience db --write "$dir/identity" | show

tell "Validate both, as a peer would." \
  "writ svid validate x509 --file identity/svid.0.pem; writ svid validate jwt --audience db --file identity/jwt_svid.0.token"
writ svid validate x509 --file "$dir/identity/svid.0.pem" | show
writ svid validate jwt --audience db --file "$dir/identity/jwt_svid.0.token" | show

tell "Watch a rotation: this SVID lives 30 s, so a new one comes by itself within some 15 s." \
  "writ svid watch x509"
writ svid watch x509 --count 2 | grep -E '^(SPIFFE ID|Serial number|Expires)' | show

printf '\nThat is all: the identity renews itself for as long as the entry exists.\n'
