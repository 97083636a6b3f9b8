// SPDX-License-Identifier: Apache-2.0
//
// The agent's half of x509pop: shows the certificates and signs the server's challenge.
#include <utility>

#include "attestors/x509pop/messages.h"
#include "attestors/x509pop/proof.h"
#include "attestors/x509pop/x509pop.h"
#include "core/base/file.h"
#include "core/base/secret.h"
#include "core/crypto/pem.h"
#include "core/keys/key_manager.h"

namespace writ {
namespace {

// What the files hold at one moment.
struct NodeIdentity {
  std::vector<std::string> certificates_der;  // the node's own first
  PopProof proof;
  std::shared_ptr<Signer> signer;
};

// Other blocks are passed over: the key may stand in the same file.
Result<std::vector<Certificate>> ReadCertificates(const std::string& path) {
  const Secret pem(TRY(ReadFile(path)));
  std::vector<Certificate> certificates;
  for (PemBlock& block : TRY(PemDecode(pem.Reveal()), path)) {
    const Secret bytes(std::move(block.bytes));
    if (block.label != kPemCertificate) continue;
    certificates.push_back(TRY(Certificate::FromDer(bytes.Reveal()), path));
  }
  if (certificates.empty()) return InvalidArgument(path + " holds no CERTIFICATE block");
  return certificates;
}

Result<NodeIdentity> ReadNodeIdentity(const X509PopProverOptions& options) {
  std::vector<Certificate> chain = TRY(ReadCertificates(options.certificate_path),
                                       "read the node's certificate");
  const Secret pem(TRY(ReadFile(options.private_key_path), "read the node's private key"));
  PrivateKey key = TRY(PrivateKey::FromPem(pem), options.private_key_path);
  if (!(key.Public() == chain.front().public_key())) {
    return InvalidArgument("the private key in " + options.private_key_path +
                           " is not that of the first certificate in " + options.certificate_path);
  }
  if (!options.intermediates_path.empty()) {
    for (Certificate& intermediate : TRY(ReadCertificates(options.intermediates_path),
                                         "read the intermediate certificates")) {
      chain.push_back(std::move(intermediate));
    }
  }
  PopProof proof = TRY(PopProofOf(key.Public()), options.private_key_path);
  NodeIdentity identity{.proof = proof, .signer = MakeSoftwareSigner(std::move(key))};
  for (const Certificate& certificate : chain) {
    identity.certificates_der.push_back(certificate.der());
  }
  return identity;
}

class Prover final : public NodeProver {
 public:
  Prover(NodeIdentity identity, Random* random)
      : identity_(std::move(identity)), random_(random) {}

  Result<std::string> First() override { return WritePopPayload(identity_.certificates_der); }

  Result<std::string> Next(std::string_view challenge) override {
    std::string nonce = TRY(ReadPopChallenge(identity_.proof, challenge), "the server's message");
    return WritePopResponse(identity_.proof,
                            TRY(ProvePossession(nonce, *identity_.signer, *random_)));
  }

 private:
  const NodeIdentity identity_;
  Random* const random_;  // borrowed
};

class ProverFactory final : public NodeProverFactory {
 public:
  ProverFactory(X509PopProverOptions options, Random* random)
      : options_(std::move(options)), random_(random) {}

  Result<std::unique_ptr<NodeProver>> Begin() override {
    NodeIdentity identity = TRY(ReadNodeIdentity(options_));
    return std::unique_ptr<NodeProver>(std::make_unique<Prover>(std::move(identity), random_));
  }

 private:
  const X509PopProverOptions options_;
  Random* const random_;  // borrowed
};

}  // namespace

Result<std::unique_ptr<NodeProverFactory>> MakeX509PopProver(X509PopProverOptions options,
                                                             Random* random) {
  if (options.certificate_path.empty()) return InvalidArgument("certificate_path is required");
  if (options.private_key_path.empty()) return InvalidArgument("private_key_path is required");
  auto factory = std::make_unique<ProverFactory>(std::move(options), random);
  TRY(factory->Begin());
  return std::unique_ptr<NodeProverFactory>(std::move(factory));
}

}  // namespace writ
