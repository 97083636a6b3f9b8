// SPDX-License-Identifier: Apache-2.0
//
// AgentConfig: everything that writ-agent can be told, checked. Every value is usable as it stands;
// paths are absolute.
//
// Threads: a value; it can be moved, not copied (it may hold the join token).
#pragma once

#include <chrono>
#include <optional>
#include <string>
#include <vector>

#include "agent/cache/cache.h"
#include "attestors/node/provers.h"
#include "attestors/unix/unix_attestor.h"
#include "core/base/clock.h"
#include "core/base/config.h"
#include "core/base/environment.h"
#include "core/base/secret.h"
#include "core/base/status.h"
#include "core/crypto/key.h"
#include "core/keys/key_manager.h"
#include "core/spiffe/id.h"

namespace writ {

struct AgentConfig {
  struct Server {
    std::string address;  // "host:port"
    // Exactly one of the next three says whom to trust at first.
    std::string bundle_file;
    std::string bundle_url;  // https
    bool insecure_bootstrap = false;
    std::string ca_file;        // with bundle_url; empty: the system's roots
    std::string bundle_sha256;  // with bundle_url; 64 hex digits in lower case, or empty: no pin
    bool rebootstrap = true;
  };

  std::optional<TrustDomain> trust_domain;  // there, once loaded
  std::string data_dir = "/var/lib/writ/agent";
  Server server;
  std::string workload_socket = "/run/writ/public/workload.sock";
  std::string admin_socket = "/run/writ/agent/admin.sock";
  std::string admin_socket_group;       // empty: the process's own group
  std::string http = "127.0.0.1:8083";  // empty: no HTTP listener
  std::string node_attestor = "join_token";  // how the node proves itself, by type
  NodeProverOptions node_attestor_options;
  UnixAttestorOptions unix_attestor;
  KeyManagerKind key_manager = KeyManagerKind::kDisk;
  CacheLimits cache;
  int64_t rate_limit = 0;  // calls in a second, of each method and set of selectors; 0: no limit
  bool allow_unauthenticated_verifiers = false;  // bundles also for whom no entry matches
  Duration sync_interval = std::chrono::seconds(5);
  KeyType svid_key_type = KeyType::kEcP256;
  LogSettings log;
};

// `arguments`: what follows `run` or `validate` (see ConfigSchema::Load). InvalidArgument lists
// every problem, one on a line.
Result<AgentConfig> LoadAgentConfig(const std::vector<std::string>& arguments,
                                    const Environment& environment);

// What is allowed but deserves a second look, a sentence each.
std::vector<std::string> Warnings(const AgentConfig& config);

std::string AgentFlagHelp();   // for --help
std::string AgentReference();  // for docs/configuration.md

}  // namespace writ
