// SPDX-License-Identifier: Apache-2.0
//
// What the load runs against: a server and, for some operations, an agent. And the operations, one
// function each; all answer what Measure() answers, or figures of their own.
//
// Lifetime: values; nothing is left open when an operation returns, but what it created on the
// server (entries, agents, tokens) stays.
#pragma once

#include <string>
#include <vector>

#include "bench/load/measure.h"
#include "core/base/json.h"
#include "core/base/status.h"

namespace writ {

struct Deployment {
  std::string trust_domain = "example.org";
  std::string server_address;   // "host:port"
  std::string server_socket;    // the admin socket
  std::string bundle_file;
  std::string workload_socket;  // of the agent
  std::string parent_id;        // of entries that are made for the agent to serve
  Load load;
  bool own_connection = false;  // where both ways exist: one connection for each caller
};

// On the admin socket.
Result<Json> CreateEntriesInBatches(const Deployment& at);
Result<Json> CreateEntriesOneByOne(const Deployment& at);
Result<Json> MintX509(const Deployment& at);
Result<Json> MintJwt(const Deployment& at);

// As an agent, over TLS: attested by a token at the start.
Result<Json> AgentBatchX509(const Deployment& at);   // 50 a call; figures are for one
Result<Json> AgentSingleX509(const Deployment& at);
Result<Json> AgentJwt(const Deployment& at);
Result<Json> Attest(const Deployment& at);           // token and attestation, open connection
Result<Json> Handshake(const Deployment& at);        // a connection and GetBundle on it

// As a workload. With `own_connection`, a new one for each.
Result<Json> WorkloadX509(const Deployment& at);
Result<Json> WorkloadJwtCached(const Deployment& at);
Result<Json> WorkloadJwtNewAudience(const Deployment& at);
Result<Json> WorkloadStreams(const Deployment& at);  // bytes in memory for each open stream
Result<Json> EntryToWorkload(const Deployment& at);  // wall time from the call to the SVID

// One P-256 verification and one signature, in this process: what issuing is measured against.
Result<Json> RawSignatures(const Deployment& at);

}  // namespace writ
