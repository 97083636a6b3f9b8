// SPDX-License-Identifier: Apache-2.0
//
// The table of node provers: every method by which an agent can prove its node, by the name that
// stands in the configuration under `node_attestor` and that goes to the server as the attestation
// data's type.
//
// Threads: free functions.
#pragma once

#include <memory>
#include <string>
#include <string_view>
#include <vector>

#include "attestors/join_token/join_token.h"
#include "attestors/node/node_attestor.h"
#include "attestors/x509pop/x509pop.h"
#include "core/base/random.h"
#include "core/base/secret.h"
#include "core/base/status.h"

namespace writ {

// What the operator says of each method.
struct NodeProverOptions {
  Secret join_token;  // empty: none was given
  X509PopProverOptions x509pop;
};

// Every method that there is.
std::vector<std::string> NodeProverTypes();

// `type` is one of them. InvalidArgument says what is wrong with its options.
Result<std::unique_ptr<NodeProverFactory>> MakeNodeProver(std::string_view type,
                                                          const NodeProverOptions& options,
                                                          Random* random);

}  // namespace writ
