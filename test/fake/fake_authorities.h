// SPDX-License-Identifier: Apache-2.0
//
// FakeAuthorities: signing authorities with real keys in memory that never rotate; a test may taint
// them.
#pragma once

#include <memory>

#include "core/base/bytes.h"
#include "core/crypto/x509.h"
#include "core/spiffe/id.h"
#include "server/ca/authorities.h"
#include "test/fake/key_signer.h"

namespace writ {

class FakeAuthorities final : public Authorities {
 public:
  FakeAuthorities(const TrustDomain& td, Time not_before, Time not_after,
                  KeyType type = KeyType::kEcP256) {
    auto x509_signer = std::make_shared<KeySigner>(type);
    CertificateTemplate ca;
    ca.serial = *Serial::FromDecimal("1");
    ca.subject = {.organization = "Writ", .serial_number = "1"};
    ca.not_before = not_before;
    ca.not_after = not_after;
    ca.uri_sans = {td.id()};
    ca.is_ca = true;
    x509_ = std::make_shared<const X509Ca>(
        X509Ca{HexEncode(x509_signer->Public().key_id_sha1()),
               *Certificate::FromDer(*SignSelfSigned(ca, *x509_signer)), x509_signer});
    jwt_ = std::make_shared<const JwtSigner>(
        JwtSigner{"jwt-key-1", std::make_shared<KeySigner>(type), not_after});
  }

  std::shared_ptr<const X509Ca> CurrentX509() const override { return x509_; }
  std::shared_ptr<const JwtSigner> CurrentJwt() const override { return jwt_; }
  void OnBundleChange() override {}
  Time Step() override { return x509_->certificate.not_after(); }

  void Taint() {
    X509Ca x509 = *x509_;
    JwtSigner jwt = *jwt_;
    x509.tainted = jwt.tainted = true;
    x509_ = std::make_shared<const X509Ca>(std::move(x509));
    jwt_ = std::make_shared<const JwtSigner>(std::move(jwt));
  }

 private:
  std::shared_ptr<const X509Ca> x509_;    // of the test's thread
  std::shared_ptr<const JwtSigner> jwt_;  // likewise
};

}  // namespace writ
