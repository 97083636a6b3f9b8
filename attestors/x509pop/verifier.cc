// SPDX-License-Identifier: Apache-2.0
//
// The server's half of x509pop: verifies the chain, asks the node to sign, and says who it is.
#include <algorithm>
#include <optional>
#include <span>
#include <utility>

#include "attestors/x509pop/evidence.h"
#include "attestors/x509pop/messages.h"
#include "attestors/x509pop/path_template.h"
#include "attestors/x509pop/paths.h"
#include "attestors/x509pop/proof.h"
#include "attestors/x509pop/x509pop.h"
#include "core/base/bytes.h"
#include "core/base/file.h"
#include "core/spiffe/svid.h"

namespace writ {
namespace {

constexpr std::string_view kExternalPkiTemplate = "{{ .PluginName }}/{{ .Fingerprint }}";
constexpr std::string_view kSpiffeTemplate = "{{ .PluginName }}/{{ .SVIDPathTrimmed }}";

// What the options come to, checked once for all conversations. Immutable.
struct Rules {
  X509PopVerifierOptions options;
  PathTemplate path_template;
  std::string svid_prefix;         // ends with '/'
  std::vector<Certificate> roots;  // mode external_pki
  X509PopVerifierNeeds needs;
};

class Verifier final : public NodeVerifier {
 public:
  Verifier(std::shared_ptr<const Rules> rules, std::string address)
      : rules_(std::move(rules)), address_(std::move(address)) {}

  Result<NodeStep> Next(std::string_view message) override {
    switch (std::exchange(expected_, Expected::kNothing)) {
      case Expected::kPayload:
        return OnPayload(message);
      case Expected::kResponse:
        return OnResponse(message);
      case Expected::kNothing:
        break;
    }
    return InvalidArgument("an x509pop conversation has two messages, a third one came");
  }

 private:
  enum class Expected { kPayload, kResponse, kNothing };

  Result<NodeStep> OnPayload(std::string_view payload);
  Result<NodeStep> OnResponse(std::string_view response);
  Result<std::vector<Certificate>> ReadChain(std::string_view payload) const;
  Status VerifyPki(std::span<const Certificate> chain);
  Status VerifySvid(std::span<const Certificate> chain);

  const std::shared_ptr<const Rules> rules_;
  const std::string address_;
  Expected expected_ = Expected::kPayload;
  // Since the payload was accepted.
  std::optional<Certificate> leaf_;
  std::vector<Certificate> authorities_;  // above the leaf
  std::string svid_path_trimmed_;
  std::string nonce_;
};

Result<std::vector<Certificate>> Verifier::ReadChain(std::string_view payload) const {
  const X509PopVerifierOptions& options = rules_->options;
  const std::vector<std::string> ders =
      TRY(ReadPopPayload(payload, 1 + static_cast<size_t>(options.max_intermediates)));
  std::vector<Certificate> chain;
  for (const std::string& der : ders) {
    const std::string name = chain.empty()
                                 ? "leaf certificate"
                                 : "intermediate certificate " + std::to_string(chain.size() - 1);
    Certificate certificate = TRY(Certificate::FromDer(der), "unable to parse " + name);
    const int bits = certificate.public_key().rsa_bits();
    if (bits > options.max_rsa_key_size) {
      return InvalidArgument(name + " key size too large: RSA " + std::to_string(bits) +
                             ", at most " + std::to_string(options.max_rsa_key_size) + " bits");
    }
    chain.push_back(std::move(certificate));
  }
  return chain;
}

Status Verifier::VerifyPki(std::span<const Certificate> chain) {
  authorities_ = TRY(AuthoritiesAbove(chain, rules_->roots, rules_->needs.clock->Now()),
                     "certificate verification failed");
  return OkStatus();
}

// The leaf is an SVID of this trust domain, below the prefix. A peer would take it but for the URIs
// that are selectors here; without them it is held to every rule.
Status Verifier::VerifySvid(std::span<const Certificate> chain) {
  const TrustDomain& td = rules_->needs.trust_domain;
  const Time now = rules_->needs.clock->Now();
  const std::vector<Certificate> roots = rules_->needs.roots();
  Bundle bundle{.trust_domain = td};
  for (const Certificate& root : roots) bundle.x509.push_back({root});
  Result<VerifiedX509Svid> svid = VerifyX509Svid(chain, std::span(&bundle, 1), now, kSanScheme);
  if (!svid.ok()) {
    const bool has_id = std::ranges::any_of(
        chain.front().uri_sans(), [](std::string_view uri) { return uri.starts_with("spiffe:"); });
    return PermissionDenied(svid.status().message())
        .Annotate(has_id ? "certificate verification failed" : "valid SVID x509 cert not found");
  }
  std::string_view path = svid->id.path();
  if (!path.starts_with(rules_->svid_prefix) || path.size() == rules_->svid_prefix.size()) {
    return PermissionDenied("x509 cert doesnt match SVID prefix: expected a path below " +
                            rules_->svid_prefix + ", got " + svid->id.text());
  }
  svid_path_trimmed_ = path.substr(rules_->svid_prefix.size());
  authorities_ = TRY(AuthoritiesAbove(chain, roots, now), "certificate verification failed");
  return OkStatus();
}

Result<NodeStep> Verifier::OnPayload(std::string_view payload) {
  const std::vector<Certificate> chain = TRY(ReadChain(payload));
  TRY(rules_->options.mode == X509PopMode::kSpiffe ? VerifySvid(chain) : VerifyPki(chain));
  const Certificate& leaf = chain.front();
  if (rules_->options.verify_client_ip) TRY(CheckClientAddress(leaf, address_));
  if (!leaf.can_sign_digitally()) {
    return InvalidArgument(
        "certificate not intended for digital signature use: its key usage lacks it");
  }
  PopProof proof = TRY(PopProofOf(leaf.public_key()), "leaf certificate");
  leaf_ = leaf;
  nonce_ = rules_->needs.random->Bytes(kPopNonceBytes);
  expected_ = Expected::kResponse;
  NodeStep step;
  step.challenge = WritePopChallenge(proof, nonce_);
  return step;
}

Result<NodeStep> Verifier::OnResponse(std::string_view text) {
  PopProof proof = TRY(PopProofOf(leaf_->public_key()));
  PopResponse response = TRY(ReadPopResponse(proof, text));
  TRY(CheckPossession(nonce_, response, leaf_->public_key()),
      "challenge response verification failed");
  PathFacts facts = TRY(PathFactsOf(*leaf_, rules_->needs.trust_domain, svid_path_trimmed_));
  auto verdict = std::make_unique<NodeVerdict>();
  verdict->agent_path = TRY(rules_->path_template.Expand(facts));
  TRY(ValidatePath("/" + verdict->agent_path), "the certificate gives no valid agent path");
  verdict->selectors = TRY(PopSelectorsOf(*leaf_, authorities_, facts));
  verdict->may_reattest = true;
  NodeStep step;
  step.verdict = std::move(verdict);
  return step;
}

class VerifierFactory final : public NodeVerifierFactory {
 public:
  explicit VerifierFactory(std::shared_ptr<const Rules> rules) : rules_(std::move(rules)) {}

  std::unique_ptr<NodeVerifier> Begin(const std::string& address) override {
    return std::make_unique<Verifier>(rules_, address);
  }

 private:
  const std::shared_ptr<const Rules> rules_;
};

Result<std::vector<Certificate>> ReadRoots(const X509PopVerifierOptions& options) {
  std::vector<std::string> paths = options.ca_bundle_paths;
  if (!options.ca_bundle_path.empty()) paths.push_back(options.ca_bundle_path);
  if (options.mode == X509PopMode::kSpiffe) {
    if (paths.empty()) return std::vector<Certificate>();
    return InvalidArgument("ca_bundle_path and ca_bundle_paths have no use in mode spiffe");
  }
  if (!options.ca_bundle_path.empty() && paths.size() > 1) {
    return InvalidArgument("set ca_bundle_path or ca_bundle_paths, not both");
  }
  if (paths.empty()) {
    return InvalidArgument("mode external_pki needs ca_bundle_path or ca_bundle_paths");
  }
  std::vector<Certificate> roots;
  for (const std::string& path : paths) {
    const std::string pem = TRY(ReadFile(path), "read the CA bundle");
    for (Certificate& root : TRY(Certificate::FromPem(pem), "CA bundle " + path)) {
      roots.push_back(std::move(root));
    }
  }
  return roots;
}

Result<PathTemplate> TemplateOf(const X509PopVerifierOptions& options) {
  if (!options.agent_path_template.empty()) return PathTemplate::Parse(options.agent_path_template);
  return PathTemplate::Parse(options.mode == X509PopMode::kSpiffe ? kSpiffeTemplate
                                                                  : kExternalPkiTemplate);
}

}  // namespace

Status CheckAgentPathTemplate(std::string_view text) { return PathTemplate::Parse(text).status(); }

Status CheckSvidPrefix(std::string_view text) {
  if (text.empty() || text == "/") return OkStatus();
  if (text.ends_with('/')) text.remove_suffix(1);
  return ValidatePath(text);
}

std::vector<std::string> X509PopWarnings(const X509PopVerifierOptions& options) {
  const Result<PathTemplate> path_template = TemplateOf(options);
  if (!path_template.ok()) return {};  // an error, told elsewhere
  if (options.mode == X509PopMode::kExternalPki &&
      path_template->Uses(&PathFacts::svid_path_trimmed)) {
    return {"agent_path_template uses .SVIDPathTrimmed, which is empty in mode external_pki: a "
            "path that ends with it is refused at every attestation; use .Fingerprint or another "
            "variable of the certificate"};
  }
  if (path_template->TellsNodesApart()) return {};
  return {"agent_path_template has no variable of the certificate: all nodes become one agent, and "
          "each attestation takes the one before its SVID; use .Fingerprint or another that is "
          "unique"};
}

Result<std::unique_ptr<NodeVerifierFactory>> MakeX509PopVerifier(
    const X509PopVerifierOptions& options, X509PopVerifierNeeds needs) {
  std::vector<Certificate> roots = TRY(ReadRoots(options));
  PathTemplate path_template = TRY(TemplateOf(options), "agent_path_template");
  TRY(CheckSvidPrefix(options.svid_prefix), "svid_prefix");
  std::string prefix = options.svid_prefix.ends_with('/') ? options.svid_prefix
                                                          : options.svid_prefix + "/";
  auto rules = std::make_shared<const Rules>(Rules{options, std::move(path_template),
                                                   std::move(prefix), std::move(roots),
                                                   std::move(needs)});
  return std::unique_ptr<NodeVerifierFactory>(std::make_unique<VerifierFactory>(std::move(rules)));
}

}  // namespace writ
