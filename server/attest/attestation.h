// SPDX-License-Identifier: Apache-2.0
//
// Attestor: begins attestation conversations. Attestation: one of them, from an agent's first
// message to the node that it proved to be. CommitNode() and CommitRenewal() are the store
// transactions that the Issuer runs between signing an agent's SVID and handing it out.
//
// The order of things: the CSR is parsed and its signature verified BEFORE the verifier sees the
// payload, so that a malformed CSR costs nobody a token; the token is consumed only in the
// transaction that stores the agent with its new serial number.
//
// Trust: everything that comes from the node is hostile. Rounds are bounded.
// Threads: Attestor is thread-safe; an Attestation is used by one thread at a time.
#pragma once

#include <memory>
#include <optional>
#include <string>
#include <string_view>

#include "attestors/node/node_attestor.h"
#include "attestors/node/verifiers.h"
#include "core/base/clock.h"
#include "core/base/status.h"
#include "core/crypto/key.h"
#include "core/crypto/x509.h"
#include "core/spiffe/id.h"
#include "server/entry/registry.h"
#include "server/store/store.h"

namespace writ {

// A node that proved what it is, with the key that it wants certified.
struct AttestedNode {
  SpiffeId id;
  PublicKey key;
  std::string type;
  NodeVerdict verdict;
};

// Either a challenge for the node or the end.
struct AttestationStep {
  std::string challenge;
  std::optional<AttestedNode> node;
};

class Attestation {
 public:
  // By Attestor::Begin().
  Attestation(const TrustDomain& td, const Registry* registry, std::string type, PublicKey key,
              std::unique_ptr<NodeVerifier> verifier);

  // The payload first, then the answer to each challenge. PermissionDenied when the node is a
  // banned agent.
  Result<AttestationStep> Next(std::string_view response);

 private:
  Result<AttestedNode> Conclude(NodeVerdict verdict);

  const TrustDomain td_;
  const Registry* const registry_;  // borrowed
  const std::string type_;
  const PublicKey key_;
  const std::unique_ptr<NodeVerifier> verifier_;
  int rounds_ = 0;
};

class Attestor {
 public:
  Attestor(TrustDomain td, const NodeVerifiers* verifiers, const Registry* registry,
           AgentStore* store, Clock* clock)
      : td_(std::move(td)),
        verifiers_(verifiers),
        registry_(registry),
        store_(store),
        clock_(clock) {}

  // InvalidArgument for a bad CSR, FailedPrecondition for a method that is not configured. The
  // payload is then the first message to pass to Next(). `address`: the node's IP address, as far
  // as is known.
  Result<std::unique_ptr<Attestation>> Begin(std::string_view type, std::string_view csr,
                                             const std::string& address) const;

  // Consumes the join token, if there was one, and stores the agent with its new serial number.
  Status CommitNode(const AttestedNode& node, const Serial& serial, Time not_after) const;

  // PermissionDenied with kMustReattest when the agent has to attest anew instead; NotFound.
  Status CheckRenewal(const SpiffeId& id) const;
  // Stores the serial number of a renewed SVID as pending: its first use makes it current.
  Status CommitRenewal(const SpiffeId& id, const Serial& serial, Time not_after) const;

 private:
  const TrustDomain td_;
  const NodeVerifiers* const verifiers_;  // all borrowed
  const Registry* const registry_;
  AgentStore* const store_;
  Clock* const clock_;
};

}  // namespace writ
