// SPDX-License-Identifier: Apache-2.0
//
// NodeProver and NodeVerifier: the two halves of a node's attestation conversation, a session each.
// No sockets inside, so a whole conversation is one unit test. The agent's half speaks first.
//
// Trust: the verifier's input is hostile; so is the prover's (an impostor server).
// Threads: a session is used by one thread at a time; a factory by many.
#pragma once

#include <memory>
#include <string>
#include <string_view>
#include <vector>

#include "core/base/status.h"
#include "core/spiffe/id.h"
#include "core/spiffe/selector.h"

namespace writ {

inline constexpr size_t kAttestationPayloadBytesMax = 1 << 20;

// The agent's half. First() gives the payload of the attestation data; Next() answers a challenge.
class NodeProver {
 public:
  virtual ~NodeProver() = default;
  virtual Result<std::string> First() = 0;
  virtual Result<std::string> Next(std::string_view challenge) = 0;
};

// What a verifier concluded. `agent_path` is the part after /spire/agent/ ("join_token/<token>").
struct NodeVerdict {
  std::string agent_path;
  Selectors selectors;
  bool may_reattest = false;
  // The join token to consume in the transaction that creates the agent; empty for other methods.
  std::string join_token;
};

// One answer of a verifier: either the challenge for the next round or the verdict.
struct NodeStep {
  std::string challenge;
  std::unique_ptr<NodeVerdict> verdict;  // null: send `challenge` and go on
};

// The server's half. The caller bounds the rounds (kAttestationRoundsMax).
inline constexpr int kAttestationRoundsMax = 16;
class NodeVerifier {
 public:
  virtual ~NodeVerifier() = default;
  // The payload first, then each challenge's response. InvalidArgument or PermissionDenied refuse.
  virtual Result<NodeStep> Next(std::string_view payload) = 0;
};

class NodeVerifierFactory {
 public:
  virtual ~NodeVerifierFactory() = default;
  // `address`: the IP address that the node calls from, as far as is known.
  virtual std::unique_ptr<NodeVerifier> Begin(const std::string& address) = 0;
};

class NodeProverFactory {
 public:
  virtual ~NodeProverFactory() = default;
  virtual Result<std::unique_ptr<NodeProver>> Begin() = 0;
};

}  // namespace writ
