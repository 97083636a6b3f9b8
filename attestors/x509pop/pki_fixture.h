// SPDX-License-Identifier: Apache-2.0
//
// Pki: an operator's small PKI for tests: roots, intermediates and nodes' certificates, each with a
// key at hand.
#pragma once

#include <gtest/gtest.h>

#include <memory>
#include <string>
#include <vector>

#include "core/crypto/x509.h"
#include "test/fake/fake_clock.h"
#include "test/fake/key_signer.h"

namespace writ {

class Pki {
 public:
  struct Issued {
    Certificate certificate;
    std::shared_ptr<KeySigner> key;
  };

  explicit Pki(Clock* clock) : clock_(clock) {}

  Issued Root(const std::string& name) {
    auto key = std::make_shared<KeySigner>(KeyType::kEcP256);
    return {Parse(SignSelfSigned(Template(name, true), *key)), key};
  }
  // `key`: of another certificate, for cross-signing; a new one when null.
  Issued Intermediate(const std::string& name, const Issued& issuer,
                      std::shared_ptr<KeySigner> key = nullptr) {
    if (key == nullptr) key = std::make_shared<KeySigner>(KeyType::kEcP256);
    return Sign(Template(name, true), std::move(key), issuer);
  }
  Issued Node(const std::string& name, const Issued& issuer,
              std::vector<std::string> uris = {}, KeyType type = KeyType::kEcP256) {
    CertificateTemplate node = Template(name, false);
    node.uri_sans = std::move(uris);
    return Sign(node, std::make_shared<KeySigner>(type), issuer);
  }

  Duration life = std::chrono::hours(1);

 private:
  CertificateTemplate Template(const std::string& name, bool is_ca) {
    CertificateTemplate cert{.subject = {.common_name = name}, .is_ca = is_ca};
    cert.serial = *Serial::FromDecimal(std::to_string(++serial_));
    cert.not_before = clock_->Now() - std::chrono::hours(1);
    cert.not_after = clock_->Now() + life;
    return cert;
  }
  // As Go does it: no authority key ID where the issuer's name is the subject's.
  static Issued Sign(const CertificateTemplate& cert, std::shared_ptr<KeySigner> key,
                     const Issued& issuer) {
    Issuer509 by{issuer.certificate.subject_der(), issuer.certificate.subject_key_id(),
                 issuer.key.get()};
    if (cert.subject.common_name == issuer.certificate.subject_common_name()) {
      by.subject_key_id.clear();
    }
    return {Parse(SignCertificate(cert, key->Public(), by)), key};
  }
  static Certificate Parse(const Result<std::string>& der) {
    EXPECT_TRUE(der.ok()) << der.status().ToString();
    return *Certificate::FromDer(*der);
  }

  Clock* const clock_;
  int serial_ = 2570;  // 0x0a0a
};

}  // namespace writ
