// SPDX-License-Identifier: Apache-2.0
//
// The table of node verifiers: every method that a server can verify, by the name that agents send
// as the attestation data's type and that stands in the configuration under `node_attestors`.
//
// Threads: immutable after Make().
#pragma once

#include <functional>
#include <map>
#include <memory>
#include <span>
#include <string>
#include <string_view>
#include <vector>

#include "attestors/join_token/join_token.h"
#include "attestors/node/node_attestor.h"
#include "attestors/x509pop/x509pop.h"
#include "core/base/clock.h"
#include "core/base/status.h"

namespace writ {

// What the methods need of the server. It is first used by a conversation.
struct NodeVerifierNeeds {
  TrustDomain trust_domain;
  FindJoinToken find_join_token;
  std::function<std::vector<Certificate>()> roots;  // the trust domain's, of this moment
  Clock* clock;                                     // borrowed, as is the next
  Random* random;
};

// What the operator says of each method.
struct NodeVerifierOptions {
  X509PopVerifierOptions x509pop;
};

class NodeVerifiers {
 public:
  // `types`: the configured methods. InvalidArgument names one that does not exist, and those that
  // do; or what is wrong with the options of one that is configured.
  static Result<NodeVerifiers> Make(std::span<const std::string> types,
                                    const NodeVerifierOptions& options,
                                    const NodeVerifierNeeds& needs);

  // Every method that there is.
  static std::vector<std::string> Types();

  // Null when the method is not configured.
  NodeVerifierFactory* Find(std::string_view type) const;

 private:
  std::map<std::string, std::unique_ptr<NodeVerifierFactory>, std::less<>> by_type_;
};

}  // namespace writ
