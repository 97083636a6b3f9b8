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

#include "attestors/join_token/join_token.h"
#include "attestors/node/node_attestor.h"
#include "core/base/clock.h"
#include "core/base/status.h"

namespace writ {

// What the methods need of the server.
struct NodeVerifierNeeds {
  FindJoinToken find_join_token;
  Clock* clock;  // borrowed
};

class NodeVerifiers {
 public:
  // `types`: the configured methods. InvalidArgument names one that does not exist, and those that
  // do.
  static Result<NodeVerifiers> Make(std::span<const std::string> types,
                                    const NodeVerifierNeeds& needs);

  // Null when the method is not configured.
  NodeVerifierFactory* Find(std::string_view type) const;

 private:
  std::map<std::string, std::unique_ptr<NodeVerifierFactory>, std::less<>> by_type_;
};

}  // namespace writ
