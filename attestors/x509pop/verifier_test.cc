// SPDX-License-Identifier: Apache-2.0
#include <gtest/gtest.h>

#include <functional>

#include "attestors/x509pop/messages.h"
#include "attestors/x509pop/pki_fixture.h"
#include "attestors/x509pop/proof.h"
#include "attestors/x509pop/x509pop.h"
#include "core/base/bytes.h"
#include "core/base/file.h"
#include "core/crypto/digest.h"
#include "test/fake/mutate.h"
#include "test/support/paths.h"

namespace writ {
namespace {

class X509PopVerifierTest : public ::testing::Test {
 protected:
  void SetUp() override {
    ASSERT_TRUE(WriteFileAtomic(dir_ / "ca.pem", root_.certificate.ToPem(), 0644).ok());
    options_.ca_bundle_path = dir_ / "ca.pem";
  }

  Result<std::unique_ptr<NodeVerifierFactory>> Make() {
    return MakeX509PopVerifier(options_, {.trust_domain = td_,
                                          .roots = [this] { return td_roots_; },
                                          .clock = &clock_,
                                          .random = &random_});
  }
  std::unique_ptr<NodeVerifier> Begin(const std::string& address = "") {
    factory_ = *Make();
    return factory_->Begin(address);
  }
  static std::string Payload(const std::vector<Certificate>& chain) {
    std::vector<std::string> ders;
    for (const Certificate& certificate : chain) ders.push_back(certificate.der());
    return WritePopPayload(ders);
  }
  // The prover's answer, by whichever key.
  std::string Answer(const Certificate& leaf, const std::string& challenge, Signer& signer) {
    PopProof proof = *PopProofOf(leaf.public_key());
    std::string nonce = *ReadPopChallenge(proof, challenge);
    return *WritePopResponse(proof, *ProvePossession(nonce, signer, random_));
  }
  Result<NodeVerdict> Attest(const Pki::Issued& node, std::vector<Certificate> above = {}) {
    std::unique_ptr<NodeVerifier> session = Begin();
    above.insert(above.begin(), node.certificate);
    NodeStep step = TRY(session->Next(Payload(above)));
    EXPECT_EQ(step.verdict, nullptr);
    step = TRY(session->Next(Answer(node.certificate, step.challenge, *node.key)));
    EXPECT_NE(step.verdict, nullptr);
    return std::move(*step.verdict);
  }
  Status PayloadStatus(const std::string& payload) { return Begin()->Next(payload).status(); }

  void UseSpiffeMode() {
    options_ = {.mode = X509PopMode::kSpiffe};
    td_roots_ = {root_.certificate};
  }

  const TrustDomain td_ = *TrustDomain::Parse("example.org");
  TempDir dir_;
  // When the certificates of test/golden/x509pop are valid.
  FakeClock clock_{FromUnixSeconds(1'900'000'000)};
  SeededRandom random_{5};
  Pki pki_{&clock_};
  Pki::Issued root_ = pki_.Root("root");
  Pki::Issued middle_ = pki_.Intermediate("middle", root_);
  X509PopVerifierOptions options_;
  std::vector<Certificate> td_roots_;
  std::unique_ptr<NodeVerifierFactory> factory_;
};

TEST_F(X509PopVerifierTest, ANodeIsKnownByItsFingerprint) {
  for (KeyType type : {KeyType::kEcP256, KeyType::kEcP384, KeyType::kRsa2048}) {
    Pki::Issued node = pki_.Node("node", middle_, {"x509pop://example.org/env/prod"}, type);
    Result<NodeVerdict> verdict = Attest(node, {middle_.certificate});
    ASSERT_TRUE(verdict.ok()) << verdict.status().ToString();
    EXPECT_EQ(verdict->agent_path, "x509pop/" + HexEncode(Sha1(node.certificate.der())));
    EXPECT_TRUE(verdict->may_reattest);
    EXPECT_TRUE(verdict->join_token.empty());
    EXPECT_EQ(verdict->selectors.size(), 5u);
    EXPECT_TRUE(verdict->selectors.Contains({"x509pop", "san:env:prod"}));
    EXPECT_TRUE(verdict->selectors.Contains(
        {"x509pop", "ca:fingerprint:" + HexEncode(Sha1(middle_.certificate.der()))}));
  }
}

TEST_F(X509PopVerifierTest, TheTemplateMakesThePath) {
  options_.agent_path_template = "/cn/{{ .Subject.CommonName }}/{{ .URISanSelectors.env }}";
  EXPECT_EQ(Attest(pki_.Node("n1", root_, {"x509pop://example.org/env/prod"}))->agent_path,
            "cn/n1/prod");
  EXPECT_EQ(Attest(pki_.Node("n1", root_)).code(), Code::kInvalidArgument);
  // What a certificate says may fit into no path.
  for (const char* name : {"", "a b", "..", "a/", "a//b", "\xc3\xa4"}) {
    options_.agent_path_template = "cn/{{ .Subject.CommonName }}";
    EXPECT_EQ(Attest(pki_.Node(name, root_)).code(), Code::kInvalidArgument) << name;
  }
}

TEST_F(X509PopVerifierTest, ACertificateOfAnotherAuthorityIsDenied) {
  Pki::Issued other = pki_.Root("root");
  EXPECT_EQ(Attest(pki_.Node("node", other)).code(), Code::kPermissionDenied);
  EXPECT_EQ(Attest(pki_.Node("node", other), {other.certificate}).code(), Code::kPermissionDenied);
  EXPECT_EQ(Attest(pki_.Node("node", middle_)).code(), Code::kPermissionDenied);
  Pki::Issued node = pki_.Node("node", root_);
  clock_.Advance(std::chrono::hours(2));
  EXPECT_EQ(Attest(node).code(), Code::kPermissionDenied);
}

TEST_F(X509PopVerifierTest, AnotherKeyProvesNothing) {
  Pki::Issued node = pki_.Node("node", root_);
  node.key = std::make_shared<KeySigner>(KeyType::kEcP256);
  Status status = Attest(node).status();
  EXPECT_EQ(status.code(), Code::kPermissionDenied);
  EXPECT_TRUE(status.message().starts_with("challenge response verification failed"))
      << status.ToString();
}

TEST_F(X509PopVerifierTest, AResponseIsGoodForItsOwnConversationOnce) {
  Pki::Issued node = pki_.Node("node", root_);
  std::unique_ptr<NodeVerifier> first = Begin();
  NodeStep step = *first->Next(Payload({node.certificate}));
  std::string answer = Answer(node.certificate, step.challenge, *node.key);
  auto other_factory = *Make();
  std::unique_ptr<NodeVerifier> second = other_factory->Begin("");
  ASSERT_TRUE(second->Next(Payload({node.certificate})).ok());
  EXPECT_EQ(second->Next(answer).code(), Code::kPermissionDenied);
  ASSERT_TRUE(first->Next(answer).ok());
  EXPECT_EQ(first->Next(answer).code(), Code::kInvalidArgument);
}

TEST_F(X509PopVerifierTest, AConversationThatFailedIsOver) {
  Pki::Issued node = pki_.Node("node", root_);
  std::unique_ptr<NodeVerifier> session = Begin();
  ASSERT_FALSE(session->Next("{}").ok());
  EXPECT_EQ(session->Next(Payload({node.certificate})).code(), Code::kInvalidArgument);
  session = Begin();
  NodeStep step = *session->Next(Payload({node.certificate}));
  std::string answer = Answer(node.certificate, step.challenge, *node.key);
  ASSERT_FALSE(session->Next("{}").ok());
  EXPECT_EQ(session->Next(answer).code(), Code::kInvalidArgument);
}

TEST_F(X509PopVerifierTest, LimitsHold) {
  Pki::Issued node = pki_.Node("node", root_);
  std::vector<Certificate> chain = {node.certificate};
  chain.insert(chain.end(), 4, middle_.certificate);
  EXPECT_TRUE(PayloadStatus(Payload(chain)).ok());
  chain.push_back(middle_.certificate);
  EXPECT_EQ(PayloadStatus(Payload(chain)).code(), Code::kInvalidArgument);
  std::string pem = *ReadFile(SourcePath("test/golden/x509pop/rsa_4096.pem"));
  std::string large = Payload(*Certificate::FromPem(pem));
  EXPECT_EQ(PayloadStatus(large).code(), Code::kPermissionDenied);  // of another authority
  options_.max_rsa_key_size = 2048;
  EXPECT_EQ(PayloadStatus(large).code(), Code::kInvalidArgument);
}

TEST_F(X509PopVerifierTest, CertificatesThatCannotProveAreRefused) {
  options_.ca_bundle_path = SourcePath("test/golden/x509pop/ca.pem");
  for (const char* name : {"no_key_usage", "no_digital_signature", "ed25519"}) {
    std::string pem = *ReadFile(SourcePath("test/golden/x509pop/") + name + ".pem");
    Status status = PayloadStatus(Payload(*Certificate::FromPem(pem)));
    EXPECT_EQ(status.code(), Code::kInvalidArgument) << name << ": " << status.ToString();
  }
  std::string pem = *ReadFile(SourcePath("test/golden/x509pop/rsa_4096.pem"));
  EXPECT_TRUE(PayloadStatus(Payload(*Certificate::FromPem(pem))).ok());
}

TEST_F(X509PopVerifierTest, TheAddressIsComparedOnWish) {
  options_.ca_bundle_path = SourcePath("test/golden/x509pop/ca.pem");
  std::string pem = *ReadFile(SourcePath("test/golden/x509pop/addresses.pem"));
  std::string payload = Payload(*Certificate::FromPem(pem));
  EXPECT_TRUE(Begin("192.0.2.1")->Next(payload).ok());
  options_.verify_client_ip = true;
  EXPECT_TRUE(Begin("10.1.2.3")->Next(payload).ok());
  EXPECT_EQ(Begin("192.0.2.1")->Next(payload).code(), Code::kPermissionDenied);
  Status unknown = Begin("")->Next(payload).status();
  EXPECT_EQ(unknown.code(), Code::kInternal);
  EXPECT_TRUE(unknown.message().starts_with("client IP not available for verification"))
      << unknown.message();
}

TEST_F(X509PopVerifierTest, HostileMessagesAreRefused) {
  Pki::Issued node = pki_.Node("node", middle_);
  std::string payload = Payload({node.certificate, middle_.certificate});
  Mutator mutator(11);
  for (int i = 0; i < 300; ++i) {
    std::unique_ptr<NodeVerifier> session = Begin();
    std::string mutated = mutator.Mutate(payload);
    Result<NodeStep> step = session->Next(mutated);
    if (!step.ok()) continue;
    // Only what the reader passes over may differ.
    Result<NodeStep> last = session->Next(
        mutator.Mutate(Answer(node.certificate, step->challenge, *node.key)));
    if (last.ok()) {
      EXPECT_EQ(last->verdict->agent_path, "x509pop/" + HexEncode(Sha1(node.certificate.der())));
    }
  }
  EXPECT_EQ(PayloadStatus(WritePopPayload({"no certificate"})).code(), Code::kInvalidArgument);
  EXPECT_EQ(PayloadStatus(WritePopPayload({node.certificate.der(), "x"})).code(),
            Code::kInvalidArgument);
}

TEST_F(X509PopVerifierTest, AnSvidIsExchangedForTheAgentsId) {
  UseSpiffeMode();
  Result<NodeVerdict> verdict =
      Attest(pki_.Node("", root_, {"spiffe://example.org/spire-exchange/host/1"}));
  ASSERT_TRUE(verdict.ok()) << verdict.status().ToString();
  EXPECT_EQ(verdict->agent_path, "x509pop/host/1");
  for (const char* id :
       {"spiffe://example.org/other/host", "spiffe://example.org/spire-exchange",
        "spiffe://other.org/spire-exchange/host", "spiffe://example.org/spire-exchangehost/x"}) {
    EXPECT_EQ(Attest(pki_.Node("", root_, {id})).code(), Code::kPermissionDenied) << id;
  }
  Status elsewhere = Attest(pki_.Node("", root_, {"spiffe://example.org/somesvid"})).status();
  EXPECT_TRUE(elsewhere.message().starts_with("x509 cert doesnt match SVID prefix"))
      << elsewhere.message();
}

TEST_F(X509PopVerifierTest, AnSvidMayBringSelectors) {
  UseSpiffeMode();
  const std::string id = "spiffe://example.org/spire-exchange/testhost";
  Result<NodeVerdict> verdict = Attest(
      pki_.Node("node", middle_, {"x509pop://example.org/env/prod", id,
                                  "x509pop://example.org/key/path/to/value",
                                  "x509pop://other.org/not/ours"}),
      {middle_.certificate});
  ASSERT_TRUE(verdict.ok()) << verdict.status().ToString();
  EXPECT_EQ(verdict->agent_path, "x509pop/testhost");
  EXPECT_TRUE(verdict->selectors.Contains({"x509pop", "san:env:prod"}));
  EXPECT_TRUE(verdict->selectors.Contains({"x509pop", "san:key:path/to/value"}));
  EXPECT_EQ(verdict->selectors.size(), 6u);  // two authorities, the serial and the name besides
}

TEST_F(X509PopVerifierTest, AnSvidHasOneIdAndNoUriButSelectors) {
  UseSpiffeMode();
  const std::string id = "spiffe://example.org/spire-exchange/testhost";
  for (const std::vector<std::string>& uris : std::vector<std::vector<std::string>>{
           {id, id},
           {id, "spiffe://example.org/spire-exchange/other"},
           {id, "spiffe://other.org/a", "x509pop://example.org/a/b"},
           {id, "https://example.org"},
           {id, "x509pop:example.org/a/b"},
           {id, "X509POP://example.org/a/b"},
           {id, "x509popx://example.org/a/b"}}) {
    EXPECT_EQ(Attest(pki_.Node("", root_, uris)).code(), Code::kPermissionDenied) << uris[1];
  }
  for (const std::vector<std::string>& uris :
       std::vector<std::vector<std::string>>{{}, {"x509pop://example.org/a/b"}}) {
    Status status = Attest(pki_.Node("node", root_, uris)).status();
    EXPECT_EQ(status.code(), Code::kPermissionDenied);
    EXPECT_TRUE(status.message().starts_with("valid SVID x509 cert not found"))
        << status.message();
  }
}

TEST_F(X509PopVerifierTest, NamesMayBeTheSameAllTheWay) {
  Pki::Issued root = pki_.Root("");
  Pki::Issued middle = pki_.Intermediate("", root);
  ASSERT_TRUE(WriteFileAtomic(options_.ca_bundle_path, root.certificate.ToPem(), 0644).ok());
  EXPECT_TRUE(Attest(pki_.Node("node", middle), {middle.certificate}).ok());
  EXPECT_TRUE(Attest(pki_.Node("", middle), {middle.certificate}).ok());
  EXPECT_EQ(Attest(pki_.Node("", middle)).code(), Code::kPermissionDenied);
  Pki::Issued other = pki_.Root("");
  EXPECT_EQ(Attest(pki_.Node("", other), {other.certificate}).code(), Code::kPermissionDenied);
  UseSpiffeMode();
  td_roots_ = {root.certificate};
  const std::string id = "spiffe://example.org/spire-exchange/a";
  EXPECT_EQ(Attest(pki_.Node("", middle, {id}), {middle.certificate})->agent_path, "x509pop/a");
  EXPECT_EQ(Attest(pki_.Node("", other, {id}), {other.certificate}).code(),
            Code::kPermissionDenied);
}

TEST_F(X509PopVerifierTest, TheSvidPrefixIsASetting) {
  UseSpiffeMode();
  Pki::Issued node = pki_.Node("", root_, {"spiffe://example.org/nodes/a"});
  options_.svid_prefix = "/nodes";
  EXPECT_EQ(Attest(node)->agent_path, "x509pop/a");
  options_.svid_prefix = "/nodes/";
  EXPECT_EQ(Attest(node)->agent_path, "x509pop/a");
  options_.svid_prefix = "";
  EXPECT_EQ(Attest(node)->agent_path, "x509pop/nodes/a");
}

TEST_F(X509PopVerifierTest, TheTrustDomainsRootsAreThoseOfThisMoment) {
  UseSpiffeMode();
  Pki::Issued node = pki_.Node("", root_, {"spiffe://example.org/spire-exchange/a"});
  auto factory = *Make();
  EXPECT_TRUE(factory->Begin("")->Next(Payload({node.certificate})).ok());
  td_roots_ = {pki_.Root("next").certificate};
  EXPECT_EQ(factory->Begin("")->Next(Payload({node.certificate})).code(), Code::kPermissionDenied);
}

TEST_F(X509PopVerifierTest, MistakesInTheOptionsAreToldAtTheStart) {
  auto error = [&](const std::function<void(X509PopVerifierOptions&)>& change) {
    X509PopVerifierOptions kept = options_;
    change(options_);
    Result<std::unique_ptr<NodeVerifierFactory>> made = Make();
    options_ = kept;
    return made.ok() ? "accepted" : made.status().message();
  };
  EXPECT_EQ(error([](auto&) {}), "accepted");
  EXPECT_NE(error([](auto& o) { o.ca_bundle_path = ""; }).find("needs ca_bundle_path"),
            std::string::npos);
  EXPECT_NE(error([](auto& o) { o.ca_bundle_paths = {"/x"}; }).find("not both"),
            std::string::npos);
  EXPECT_NE(error([](auto& o) { o.mode = X509PopMode::kSpiffe; }).find("no use in mode spiffe"),
            std::string::npos);
  EXPECT_NE(error([&](auto& o) { o.ca_bundle_path = dir_ / "absent"; }).find("absent"),
            std::string::npos);
  EXPECT_NE(error([](auto& o) { o.agent_path_template = "{{ .X }}"; }).find("column 1"),
            std::string::npos);
  EXPECT_NE(error([](auto& o) { o.svid_prefix = "nodes"; }), "accepted");
  EXPECT_EQ(error([](auto& o) {
              o.ca_bundle_paths = {o.ca_bundle_path, o.ca_bundle_path};
              o.ca_bundle_path = "";
            }),
            "accepted");
  ASSERT_TRUE(WriteFileAtomic(dir_ / "key.pem", "no PEM", 0644).ok());
  EXPECT_NE(error([&](auto& o) { o.ca_bundle_path = dir_ / "key.pem"; }).find("key.pem"),
            std::string::npos);
}

}  // namespace
}  // namespace writ
