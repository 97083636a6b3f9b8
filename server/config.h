// SPDX-License-Identifier: Apache-2.0
//
// ServerConfig: everything that writ-server can be told, checked. Every value is usable as it
// stands: defaults that depend on others are filled in, paths are absolute.
//
// Threads: a value.
#pragma once

#include <chrono>
#include <optional>
#include <string>
#include <vector>

#include "attestors/node/verifiers.h"
#include "core/base/clock.h"
#include "core/base/config.h"
#include "core/base/environment.h"
#include "core/base/status.h"
#include "core/crypto/key.h"
#include "core/crypto/x509.h"
#include "core/keys/key_manager.h"
#include "core/net/ip.h"
#include "core/spiffe/id.h"
#include "server/api/rate_limits.h"

namespace writ {

struct ServerConfig {
  struct Listen {
    std::string address = "0.0.0.0:8081";
    std::string admin_socket = "/run/writ/server/admin.sock";
    std::string http = "127.0.0.1:8082";  // empty: no HTTP listener
    std::string socket_group;             // empty: the process's own group
  };
  struct Ca {
    Duration ttl = std::chrono::hours(24);
    KeyType key_type = KeyType::kEcP256;
    KeyType jwt_key_type = KeyType::kEcP256;
    Subject subject{.organization = "Writ"};
  };
  struct Svid {
    Duration x509_ttl = std::chrono::hours(1);
    Duration jwt_ttl = std::chrono::minutes(5);
    Duration agent_ttl = Duration::zero();  // never zero once loaded: x509_ttl when not set
    std::string jwt_issuer;                 // empty: no `iss`
    Subject subject{.organization = "Writ"};
  };

  struct Prune {
    Duration agents_expired_for = Duration::zero();  // zero: never
    bool non_reattestable = false;
  };

  std::optional<TrustDomain> trust_domain;  // there, once loaded
  std::string data_dir = "/var/lib/writ/server";
  Listen listen;
  Ca ca;
  Svid svid;
  std::string sqlite_path;  // below data_dir when not set
  KeyManagerKind key_manager = KeyManagerKind::kDisk;
  std::vector<std::string> node_attestors{"join_token"};  // the methods in use, by type
  NodeVerifierOptions node_attestor_options;
  std::vector<SpiffeId> admin_ids;
  std::vector<IpRange> proxies;  // whose PROXY headers are believed
  RateLimitSettings rate_limit;
  Prune prune;
  std::string audit_path;  // below data_dir when not set
  LogSettings log;
};

// `arguments`: what follows `run` or `validate` (see ConfigSchema::Load). InvalidArgument lists
// every problem, one on a line.
Result<ServerConfig> LoadServerConfig(const std::vector<std::string>& arguments,
                                      const Environment& environment);

// What is allowed but will not work as it reads, a sentence each with what to change.
std::vector<std::string> Warnings(const ServerConfig& config);

std::string ServerFlagHelp();   // for --help
std::string ServerReference();  // for docs/configuration.md

}  // namespace writ
