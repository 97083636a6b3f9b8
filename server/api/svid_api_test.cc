// SPDX-License-Identifier: Apache-2.0
#include "server/api/svid_api.h"

#include "core/spiffe/svid.h"
#include "server/api/api_fixture.h"
#include "test/support/await_reply.h"

namespace writ {
namespace {

constexpr char kWeb[] = "spiffe://example.org/web";

class SvidApiTest : public ApiFixture {
 protected:
  Result<svid_pb::MintX509SVIDResponse> Mint(const std::string& csr, int ttl = 0) {
    svid_pb::MintX509SVIDRequest request;
    request.set_csr(csr);
    request.set_ttl(ttl);
    Call call = AsLocal();
    return AwaitReply(*svids_, &SvidApi::MintX509Svid, call, request);
  }
  svid_pb::BatchNewX509SVIDResponse New(
      const std::vector<std::pair<std::string, std::string>>& items) {
    svid_pb::BatchNewX509SVIDRequest request;
    for (const auto& [entry_id, csr] : items) {
      auto* params = request.add_params();
      params->set_entry_id(entry_id);
      params->set_csr(csr);
    }
    Call call = AsAgent();
    return Take(AwaitReply(*svids_, &SvidApi::BatchNewX509Svid, call, request));
  }
  Certificate LeafOf(const types::X509SVID& svid) {
    return Take(Certificate::FromDer(svid.cert_chain(0)));
  }
};

TEST_F(SvidApiTest, MintedSvidVerifiesAndHasWhatTheCsrSays) {
  types::X509SVID svid =
      Take(Mint(Csr({kWeb}, {"b.example.org", "a.example.org"}, {.common_name = "web"}), 120))
          .svid();
  EXPECT_EQ(svid.id().path(), "/web");
  Certificate leaf = LeafOf(svid);
  EXPECT_EQ(leaf.dns_sans(), (std::vector<std::string>{"b.example.org", "a.example.org"}));
  EXPECT_EQ(svid.expires_at(), ToUnixSeconds(clock_.Now()) + 120);
  std::vector<Certificate> chain = {leaf};
  auto bundle = bundle_->Current();
  auto verified = VerifyX509Svid(chain, std::span(bundle.get(), 1), clock_.Now());
  ASSERT_TRUE(verified.ok()) << verified.status().ToString();
  EXPECT_EQ(verified->id.text(), kWeb);
}

TEST_F(SvidApiTest, BadCsrsAreRefusedWithASentence) {
  std::string forged = Csr({kWeb});
  forged.back() ^= 1;
  const std::pair<std::string, std::string> bad[] = {
      {"", "missing CSR"},
      {"not DER", "malformed CSR"},
      {std::string(100'000, '0'), "malformed CSR"},
      {forged, "failed to verify CSR signature"},
      {Csr(), "CSR URI SAN is required"},
      {Csr({kWeb, "spiffe://example.org/b"}), "only one URI SAN is expected"},
      {Csr({"https://example.org/web"}), "CSR URI SAN is invalid"},
      {Csr({"spiffe://other.org/web"}), "not a member of trust domain"},
      {Csr({"spiffe://example.org/spire/agent/x"}), "reserved namespace"},
      {Csr({"spiffe://example.org"}), "path is empty"},
      {Csr({kWeb}, {"a..b"}), "CSR DNS name is invalid"},
      {Csr({kWeb}, {"*.example.org", "a.example.org"}), "wildcard that covers"},
  };
  for (const auto& [csr, message] : bad) {
    Status status = Mint(csr).status();
    EXPECT_EQ(status.code(), Code::kInvalidArgument) << message;
    EXPECT_NE(status.message().find(message), std::string::npos) << status.message();
  }
}

TEST_F(SvidApiTest, TtlOfNothingOrLessIsTheDefault) {
  EXPECT_EQ(Mint(Csr({kWeb}), -1)->svid().expires_at(), Mint(Csr({kWeb}), 0)->svid().expires_at());
}

TEST_F(SvidApiTest, MintedJwtValidates) {
  svid_pb::MintJWTSVIDRequest request;
  Call call = AsLocal();
  EXPECT_EQ(AwaitReply(*svids_, &SvidApi::MintJwtSvid, call, request).code(),
            Code::kInvalidArgument);
  SetId(request.mutable_id(), "/web");
  EXPECT_EQ(AwaitReply(*svids_, &SvidApi::MintJwtSvid, call, request).status(),
            InvalidArgument("at least one audience is required"));
  request.add_audience("");
  EXPECT_EQ(AwaitReply(*svids_, &SvidApi::MintJwtSvid, call, request).code(),
            Code::kInvalidArgument);
  request.add_audience("db");
  request.set_ttl(90);
  types::JWTSVID svid = Take(AwaitReply(*svids_, &SvidApi::MintJwtSvid, call, request)).svid();
  EXPECT_EQ(svid.expires_at() - svid.issued_at(), 90);
  auto bundle = bundle_->Current();
  auto jwt = ValidateJwtSvid(svid.token(), "db", std::span(bundle.get(), 1), clock_.Now());
  ASSERT_TRUE(jwt.ok()) << jwt.status().ToString();
  EXPECT_EQ(jwt->id.text(), kWeb);
  SetId(request.mutable_id(), "/spire/server");
  EXPECT_EQ(AwaitReply(*svids_, &SvidApi::MintJwtSvid, call, request).code(),
            Code::kInvalidArgument);
}

TEST_F(SvidApiTest, BatchAnswersItemByItemFromTheEntries) {
  AddAgent(kAgentPath);
  std::string mine = AddEntry("/mine", [](Entry& entry) {
    entry.x509_ttl_seconds = 60;
    entry.dns_names = {"mine.example.org"};
  });
  std::string foreign =
      AddEntry("/foreign", [this](Entry& e) { e.parent_id = Id("/spire/agent/join_token/other"); });
  // Of the CSR only the key counts.
  std::string csr = Csr({"spiffe://example.org/else"}, {"else.example.org"});
  auto response =
      New({{mine, csr}, {foreign, csr}, {"nobody", csr}, {mine, "x"}, {"", csr}, {mine, ""}});
  ASSERT_EQ(response.results_size(), 6);
  EXPECT_EQ(response.results(0).status().code(), 0);
  Certificate leaf = LeafOf(response.results(0).svid());
  EXPECT_EQ(leaf.uri_sans(), (std::vector<std::string>{"spiffe://example.org/mine"}));
  EXPECT_EQ(leaf.dns_sans(), (std::vector<std::string>{"mine.example.org"}));
  EXPECT_EQ(response.results(0).svid().expires_at(), ToUnixSeconds(clock_.Now()) + 60);
  const Code expected[] = {Code::kOk,
                           Code::kNotFound,
                           Code::kNotFound,
                           Code::kInvalidArgument,
                           Code::kInvalidArgument,
                           Code::kInvalidArgument};
  for (int i = 0; i < 6; ++i) {
    EXPECT_EQ(response.results(i).status().code(), static_cast<int>(expected[i])) << i;
    EXPECT_EQ(response.results(i).has_svid(), i == 0) << i;
  }
}

TEST_F(SvidApiTest, BatchIsNeitherEmptyNorBoundless) {
  AddAgent(kAgentPath);
  Call call = AsAgent();
  svid_pb::BatchNewX509SVIDRequest request;
  EXPECT_EQ(AwaitReply(*svids_, &SvidApi::BatchNewX509Svid, call, request).status(),
            InvalidArgument("missing parameters"));
  for (int i = 0; i <= kSvidBatchMax; ++i) request.add_params();
  EXPECT_EQ(AwaitReply(*svids_, &SvidApi::BatchNewX509Svid, call, request).code(),
            Code::kResourceExhausted);
}

TEST_F(SvidApiTest, NothingLeavesWithoutItsRecord) {
  AddAgent(kAgentPath);
  std::string mine = AddEntry("/mine");
  audit_.Fail(Unavailable("the disk is full"));
  auto response = New({{mine, Csr()}});
  EXPECT_NE(response.results(0).status().code(), 0);
  EXPECT_FALSE(response.results(0).has_svid());
}

TEST_F(SvidApiTest, JwtForAnEntryOfTheAgentAlone) {
  AddAgent(kAgentPath);
  std::string mine = AddEntry("/mine", [](Entry& entry) { entry.jwt_ttl_seconds = 30; });
  Call call = AsAgent();
  svid_pb::NewJWTSVIDRequest request;
  request.set_entry_id("nobody");
  EXPECT_EQ(AwaitReply(*svids_, &SvidApi::NewJwtSvid, call, request).status(),
            NotFound("entry not found or not authorized"));
  request.set_entry_id(mine);
  EXPECT_EQ(AwaitReply(*svids_, &SvidApi::NewJwtSvid, call, request).code(),
            Code::kInvalidArgument);
  request.add_audience("db");
  types::JWTSVID svid = Take(AwaitReply(*svids_, &SvidApi::NewJwtSvid, call, request)).svid();
  EXPECT_EQ(svid.expires_at() - svid.issued_at(), 30);
  EXPECT_EQ(svid.id().path(), "/mine");
}

TEST_F(SvidApiTest, DownstreamCaSignsWhatTheBundleVouchesFor) {
  PrivateKey key = *PrivateKey::Generate(KeyType::kEcP256);
  std::shared_ptr<Signer> signer = MakeSoftwareSigner(key);
  svid_pb::NewDownstreamX509CARequest request;
  request.set_csr(Take(MakeCsr({.uri_sans = {"spiffe://example.org"}}, *signer)));
  request.set_preferred_ttl(3600);
  Call call = As(TlsCaller("/downstream"));
  svid_pb::NewDownstreamX509CAResponse response = Take(svids_->NewDownstreamX509Ca(call, request));
  ASSERT_EQ(response.ca_cert_chain_size(), 1);
  ASSERT_EQ(response.x509_authorities_size(), 1);
  Certificate ca = Take(Certificate::FromDer(response.ca_cert_chain(0)));
  EXPECT_TRUE(ca.is_ca());
  EXPECT_EQ(ca.uri_sans(), std::vector<std::string>{"spiffe://example.org"});
  EXPECT_EQ(ca.not_after(), clock_.Now() + std::chrono::hours(1));
  EXPECT_EQ(ca.public_key(), key.Public());
  EXPECT_NE(ca.SubjectText().find("DOWNSTREAM-1"), std::string::npos) << ca.SubjectText();
  EXPECT_EQ(audit_.Events().back().action, "downstream_ca.issue");

  CertificateTemplate leaf{.serial = Serial::Generate(random_),
                           .subject = {.organization = "Writ"},
                           .not_before = clock_.Now(),
                           .not_after = clock_.Now() + std::chrono::minutes(30),
                           .uri_sans = {kWeb}};
  std::vector<Certificate> chain = {
      Take(Certificate::FromDer(Take(SignCertificate(
          leaf, LeafKey().Public(), {ca.subject_der(), ca.subject_key_id(), signer.get()})))),
      ca};
  auto bundle = bundle_->Current();
  EXPECT_TRUE(VerifyX509Svid(chain, std::span(bundle.get(), 1), clock_.Now()).ok());
}

TEST_F(SvidApiTest, DownstreamCaEndsWithItsSignerAndNeedsAGoodCsrAndItsRecord) {
  svid_pb::NewDownstreamX509CARequest request;
  Call call = As(TlsCaller("/downstream"));
  EXPECT_EQ(svids_->NewDownstreamX509Ca(call, request).code(), Code::kInvalidArgument);
  request.set_csr("not DER");
  EXPECT_EQ(svids_->NewDownstreamX509Ca(call, request).code(), Code::kInvalidArgument);
  request.set_csr(Csr());
  for (int ttl : {0, -1, 1'000'000'000}) {
    request.set_preferred_ttl(ttl);
    Certificate ca = Take(
        Certificate::FromDer(Take(svids_->NewDownstreamX509Ca(call, request)).ca_cert_chain(0)));
    EXPECT_LE(ca.not_after(), authorities_->CurrentX509()->certificate.not_after());
    EXPECT_GT(ca.not_after(), clock_.Now() + std::chrono::hours(23));
  }
  audit_.Fail(Unavailable("the disk is full"));
  EXPECT_EQ(svids_->NewDownstreamX509Ca(call, request).code(), Code::kUnavailable);
}

}  // namespace
}  // namespace writ
