// SPDX-License-Identifier: Apache-2.0
#include <gtest/gtest.h>

#include "attestors/x509pop/messages.h"
#include "attestors/x509pop/pki_fixture.h"
#include "attestors/x509pop/x509pop.h"
#include "core/base/file.h"
#include "core/crypto/pem.h"
#include "test/support/paths.h"

namespace writ {
namespace {

std::string KeyPem(const Pki::Issued& node) {
  return PemEncode(kPemPrivateKey, node.key->key().ExportPkcs8()->Reveal());
}

class X509PopProverTest : public ::testing::Test {
 protected:
  void SetUp() override {
    Write("node.pem", node_.certificate.ToPem());
    Write("node.key", KeyPem(node_));
    Write("middle.pem", middle_.certificate.ToPem());
    options_ = {.certificate_path = dir_ / "node.pem", .private_key_path = dir_ / "node.key"};
  }
  void Write(const std::string& name, const std::string& text) {
    ASSERT_TRUE(WriteFileAtomic(dir_ / name, text, 0600).ok());
  }
  Result<std::unique_ptr<NodeProverFactory>> Make() {
    return MakeX509PopProver(options_, &random_);
  }
  std::string First() { return *(*(*Make())->Begin())->First(); }

  TempDir dir_;
  FakeClock clock_;
  SeededRandom random_{5};
  Pki pki_{&clock_};
  Pki::Issued root_ = pki_.Root("root");
  Pki::Issued middle_ = pki_.Intermediate("middle", root_);
  Pki::Issued node_ = pki_.Node("node", middle_);
  X509PopProverOptions options_;
};

TEST_F(X509PopProverTest, ProverAndVerifierAgree) {
  Write("root.pem", root_.certificate.ToPem());
  options_.intermediates_path = dir_ / "middle.pem";
  auto verifiers = *MakeX509PopVerifier({.ca_bundle_path = dir_ / "root.pem"},
                                        {.trust_domain = *TrustDomain::Parse("example.org"),
                                         .clock = &clock_,
                                         .random = &random_});
  std::unique_ptr<NodeVerifier> verifier = verifiers->Begin("");
  auto provers = *Make();
  std::unique_ptr<NodeProver> prover = *provers->Begin();
  Result<NodeStep> challenge = verifier->Next(*prover->First());
  ASSERT_TRUE(challenge.ok()) << challenge.status().ToString();
  Result<NodeStep> verdict = verifier->Next(*prover->Next(challenge->challenge));
  ASSERT_TRUE(verdict.ok()) << verdict.status().ToString();
  EXPECT_TRUE(verdict->verdict->agent_path.starts_with("x509pop/"));
}

TEST_F(X509PopProverTest, ShowsTheNodesCertificateAndEveryIntermediate) {
  EXPECT_EQ(First(), WritePopPayload({node_.certificate.der()}));
  options_.intermediates_path = dir_ / "middle.pem";
  const std::string both = WritePopPayload({node_.certificate.der(), middle_.certificate.der()});
  EXPECT_EQ(First(), both);
  options_.intermediates_path = "";
  // One file for all of it.
  Write("node.pem", KeyPem(node_) + node_.certificate.ToPem() + middle_.certificate.ToPem());
  options_.private_key_path = options_.certificate_path;
  EXPECT_EQ(First(), both);
}

TEST_F(X509PopProverTest, FilesThatWereReplacedAreRead) {
  auto factory = *Make();
  Pki::Issued next = pki_.Node("next", middle_, {}, KeyType::kRsa2048);
  Write("node.pem", next.certificate.ToPem());
  EXPECT_EQ(factory->Begin().code(), Code::kInvalidArgument);  // the old key
  Write("node.key", KeyPem(next));
  EXPECT_EQ(*(*factory->Begin())->First(), WritePopPayload({next.certificate.der()}));
}

TEST_F(X509PopProverTest, MistakesAreToldAtTheStart) {
  options_.private_key_path = dir_ / "absent";
  EXPECT_EQ(Make().code(), Code::kNotFound);
  Write("other.key", KeyPem(middle_));
  options_.private_key_path = dir_ / "other.key";
  EXPECT_NE(Make().status().message().find("is not that of the first certificate"),
            std::string::npos);
  options_.private_key_path = dir_ / "node.pem";
  EXPECT_EQ(Make().code(), Code::kInvalidArgument);
  options_.private_key_path = dir_ / "node.key";
  options_.intermediates_path = dir_ / "node.key";
  EXPECT_NE(Make().status().message().find("holds no CERTIFICATE block"), std::string::npos);
  options_.certificate_path = "";
  EXPECT_EQ(Make().status(), InvalidArgument("certificate_path is required"));
}

TEST_F(X509PopProverTest, AnswersNoChallengeThatIsNotItsOwn) {
  auto factory = *Make();
  std::unique_ptr<NodeProver> prover = *factory->Begin();
  const std::string nonce(kPopNonceBytes, 'n');
  for (const std::string& challenge :
       {std::string(), std::string("{}"), WritePopChallenge(PopProof::kRsa, nonce),
        WritePopChallenge(PopProof::kEcdsa, "short"),
        WritePopChallenge(PopProof::kEcdsa, nonce + nonce)}) {
    EXPECT_EQ(prover->Next(challenge).code(), Code::kInvalidArgument) << challenge;
  }
}

}  // namespace
}  // namespace writ
