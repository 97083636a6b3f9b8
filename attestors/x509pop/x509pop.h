// SPDX-License-Identifier: Apache-2.0
//
// x509pop: the node proves that it holds the key of an X.509 certificate that it was given in
// another way: one of an operator's own PKI, or an SVID of the trust domain. Payloads, agent paths
// and selectors are those of SPIRE's plugin of this name (README.md).
//
// The conversation: certificates; the verifier's nonce; the prover's nonce and its signature over
// both. Neither side signs or verifies anything that the other chose alone.
//
// Trust: both sides' input is hostile. Threads: see node_attestor.h.
#pragma once

#include <functional>
#include <memory>
#include <string>
#include <string_view>
#include <vector>

#include "attestors/node/node_attestor.h"
#include "core/base/clock.h"
#include "core/base/random.h"
#include "core/base/status.h"
#include "core/crypto/x509.h"
#include "core/spiffe/bundle.h"
#include "core/spiffe/id.h"

namespace writ {

inline constexpr std::string_view kX509PopType = "x509pop";

// Who vouches for the nodes' certificates.
enum class X509PopMode {
  kExternalPki,  // the roots in ca_bundle_path(s)
  kSpiffe,       // the trust domain's own bundle: the node exchanges an SVID
};

// The limits beyond these are the readers' own (core/crypto/x509.h, core/crypto/key.h).
inline constexpr int64_t kX509PopIntermediatesMax = kChainLengthMax - 1;
inline constexpr int64_t kX509PopRsaBitsMin = 2048;
inline constexpr int64_t kX509PopRsaBitsMax = 8192;

struct X509PopVerifierOptions {
  X509PopMode mode = X509PopMode::kExternalPki;
  std::string svid_prefix = "/spire-exchange";  // mode spiffe; empty: any path
  std::string ca_bundle_path;                   // mode external_pki: this or the next
  std::vector<std::string> ca_bundle_paths;
  std::string agent_path_template;  // empty: the mode's own
  int64_t max_intermediates = 4;
  int64_t max_rsa_key_size = 8192;  // bits
  bool verify_client_ip = false;
};

struct X509PopVerifierNeeds {
  TrustDomain trust_domain;
  std::function<std::vector<Certificate>()> roots;  // the trust domain's, of this moment
  Clock* clock;                                     // borrowed, as is the next
  Random* random;
};

// Reads the CA bundles; a mistake in the options or the files is told at once. The needs are first
// used by a conversation.
Result<std::unique_ptr<NodeVerifierFactory>> MakeX509PopVerifier(
    const X509PopVerifierOptions& options, X509PopVerifierNeeds needs);

// For the configuration: InvalidArgument says what is wrong and where in the text.
Status CheckAgentPathTemplate(std::string_view text);
Status CheckSvidPrefix(std::string_view text);
// What is valid, but hardly meant.
std::vector<std::string> X509PopWarnings(const X509PopVerifierOptions& options);

struct X509PopProverOptions {
  std::string certificate_path;    // PEM, the node's own first
  std::string private_key_path;    // PEM
  std::string intermediates_path;  // PEM, or empty
};

// Reads the files once, so that a mistake shows at the start; each conversation reads them anew, so
// that what replaces them is used.
Result<std::unique_ptr<NodeProverFactory>> MakeX509PopProver(X509PopProverOptions options,
                                                             Random* random);

}  // namespace writ
