// SPDX-License-Identifier: Apache-2.0
//
// For this folder's tests: a CA, identities whose keys cannot be exported, and verifiers.
#pragma once

#include <atomic>
#include <memory>
#include <string>
#include <utility>
#include <vector>

#include "core/crypto/x509.h"
#include "core/net/tls.h"
#include "test/fake/fake_clock.h"
#include "test/fake/key_signer.h"

namespace writ {

// Signs and nothing else, like a key in a TPM.
class OpaqueSigner final : public Signer {
 public:
  explicit OpaqueSigner(KeyType type) : key_(PrivateKey::Generate(type).value()) {}
  const PublicKey& Public() const override { return key_.Public(); }
  Result<std::string> Sign(SignatureScheme scheme, std::string_view message) override {
    ++signatures_;
    if (broken_) return Unavailable("the token is gone");
    return key_.Sign(scheme, message);
  }
  int signatures() const { return signatures_; }
  void Break() { broken_ = true; }

 private:
  const PrivateKey key_;
  std::atomic<int> signatures_ = 0;
  std::atomic<bool> broken_ = false;
};

class TestCa {
 public:
  TestCa() : certificate_(MakeRoot()) {}

  TlsIdentity Issue(const std::string& uri, std::shared_ptr<Signer> signer) {
    CertificateTemplate leaf = Template(uri);
    Issuer509 issuer{certificate_.subject_der(), certificate_.subject_key_id(), &signer_};
    std::string der = SignCertificate(leaf, signer->Public(), issuer).value();
    return {{Certificate::FromDer(der).value()}, std::move(signer)};
  }
  // A web server's certificate.
  Certificate IssueForHost(const std::string& dns_name, Signer& signer) {
    CertificateTemplate leaf = Template("spiffe://example.org/web");
    leaf.dns_sans = {dns_name};
    Issuer509 issuer{certificate_.subject_der(), certificate_.subject_key_id(), &signer_};
    return Certificate::FromDer(SignCertificate(leaf, signer.Public(), issuer).value()).value();
  }
  std::string Pem() const { return certificate_.ToPem(); }
  TlsIdentity Issue(const std::string& uri, KeyType type = KeyType::kEcP256) {
    return Issue(uri, std::make_shared<OpaqueSigner>(type));
  }
  // Accepts what this CA has signed.
  VerifyPeer Verifier() const {
    return [root = certificate_](const std::vector<Certificate>& chain) -> Status {
      TRY(VerifyChain(chain, std::vector<Certificate>{root}, FromUnixSeconds(kNow)));
      return OkStatus();
    };
  }

 private:
  // Valid under a fake clock and under the machine's, which OpenSSL's own checks read.
  static constexpr int64_t kYear2020 = 1'577'836'800;
  static constexpr int64_t kNow = 1'790'000'000;
  static constexpr int64_t kYear2050 = 2'524'608'000;

  CertificateTemplate Template(const std::string& uri) {
    CertificateTemplate cert{.serial = Serial::Generate(random_)};
    cert.subject.organization = "Test";
    cert.not_before = FromUnixSeconds(kYear2020);
    cert.not_after = FromUnixSeconds(kYear2050);
    cert.uri_sans = {uri};
    return cert;
  }
  Certificate MakeRoot() {
    CertificateTemplate root = Template("spiffe://example.org");
    root.is_ca = true;
    root.subject.common_name = "root";
    return Certificate::FromDer(SignSelfSigned(root, signer_).value()).value();
  }

  SystemRandom random_;
  KeySigner signer_{KeyType::kEcP256};
  Certificate certificate_;
};

inline Status AcceptAnyPeer(const std::vector<Certificate>&) { return OkStatus(); }

}  // namespace writ
