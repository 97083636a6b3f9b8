// SPDX-License-Identifier: Apache-2.0
#include "server/issue/issuer.h"

#include <gtest/gtest.h>

#include <set>

#include "core/base/thread.h"
#include "core/spiffe/bundle.h"
#include "core/spiffe/svid.h"
#include "test/fake/fake_audit_log.h"
#include "test/fake/fake_authorities.h"
#include "test/fake/fake_clock.h"
#include "test/fake/key_signer.h"

namespace writ {
namespace {

using std::chrono::hours;
using std::chrono::minutes;
using std::chrono::seconds;

class IssuerTest : public testing::Test {
 protected:
  SpiffeId Id(std::string_view path) const { return *SpiffeId::FromPath(td_, path); }

  X509Request Request(std::string_view path = "/db") const {
    return {.id = Id(path), .key = workload_.Public(), .entry_id = "entry-1"};
  }
  JwtRequest Jwt(std::vector<std::string> audience = {"api"}) const {
    return {.id = Id("/db"), .audience = std::move(audience), .entry_id = "entry-1"};
  }

  Result<IssuedX509> IssueOne(const X509Request& request,
                              X509Purpose purpose = X509Purpose::kWorkload) {
    return std::move(issuer_->IssueX509(std::span(&request, 1), purpose, "actor").front());
  }

  // The leaf of what was issued, accepted by a relying party.
  Certificate Verified(const IssuedX509& issued) {
    std::vector<Certificate> chain;
    for (const std::string& der : issued.chain) chain.push_back(*Certificate::FromDer(der));
    Bundle bundle{.trust_domain = td_};
    bundle.x509.push_back({authorities_.CurrentX509()->certificate});
    Result<VerifiedX509Svid> svid = VerifyX509Svid(chain, std::span(&bundle, 1), clock_.Now());
    EXPECT_TRUE(svid.ok()) << svid.status().ToString();
    EXPECT_EQ(svid->id, issued.id);
    return chain.front();
  }

  Result<JwtSvid> Validated(const IssuedJwt& issued, std::string_view audience) {
    Bundle bundle{.trust_domain = td_};
    std::shared_ptr<const JwtSigner> signer = authorities_.CurrentJwt();
    bundle.jwt.push_back({signer->authority_id, signer->signer->Public()});
    return ValidateJwtSvid(issued.token, audience, std::span(&bundle, 1), clock_.Now());
  }

  static std::string Detail(const AuditEvent& event, std::string_view name) {
    for (const Json::Member& member : event.details) {
      if (member.first == name)
        return member.second.IsString() ? *member.second.AsString() : member.second.Dump();
    }
    return "absent";
  }

  const TrustDomain td_ = *TrustDomain::Parse("example.org");
  FakeClock clock_;
  SeededRandom random_{1};
  FakeAuditLog audit_;
  FakeAuthorities authorities_{td_, clock_.Now() - seconds(10), clock_.Now() + hours(24)};
  KeySigner workload_{KeyType::kEcP256};
  std::unique_ptr<Issuer> issuer_ = Issuer::Make({
      .trust_domain = td_,
      .agent_ttl = hours(2),
      .subject = {.country = "US", .organization = "Writ"},
      .authorities = &authorities_,
      .audit = &audit_,
      .clock = &clock_,
      .random = &random_,
  });
};

TEST_F(IssuerTest, AWorkloadsCertificateSaysWhatWasAskedForAndVerifies) {
  X509Request request = Request();
  request.dns_names = {"db.internal", "db"};
  Result<IssuedX509> issued = IssueOne(request);
  ASSERT_TRUE(issued.ok()) << issued.status().ToString();
  Certificate leaf = Verified(*issued);
  EXPECT_EQ(leaf.public_key(), workload_.Public());
  EXPECT_EQ(leaf.SubjectText(), "CN=db.internal,O=Writ,C=US");
  EXPECT_EQ(leaf.dns_sans(), request.dns_names);
  EXPECT_EQ(leaf.uri_sans(), std::vector<std::string>{"spiffe://example.org/db"});
  EXPECT_EQ(leaf.serial(), issued->serial);
  EXPECT_EQ(leaf.not_after(), issued->not_after);
  EXPECT_EQ(leaf.not_before(), clock_.Now() - seconds(10));
  EXPECT_EQ(issued->chain.size(), 1u);
}

TEST_F(IssuerTest, LivesFollowRequestDefaultAndSigner) {
  auto life = [&](Duration ttl, X509Purpose purpose, std::string_view path) {
    X509Request request = Request(path);
    request.ttl = ttl;
    return IssueOne(request, purpose)->not_after - clock_.Now();
  };
  EXPECT_EQ(life(seconds(0), X509Purpose::kWorkload, "/db"), hours(1));
  EXPECT_EQ(life(minutes(7), X509Purpose::kWorkload, "/db"), minutes(7));
  EXPECT_EQ(life(hours(48), X509Purpose::kMint, "/db"), hours(24));
  EXPECT_EQ(life(seconds(0), X509Purpose::kAgent, "/spire/agent/x/y"), hours(2));
  EXPECT_EQ(life(seconds(0), X509Purpose::kServer, "/spire/server"), hours(1));
  clock_.Advance(hours(23) + minutes(30));
  EXPECT_EQ(life(seconds(0), X509Purpose::kWorkload, "/db"), minutes(30));
}

TEST_F(IssuerTest, AnAuthorityWhoseLifeEndedSignsNothing) {
  clock_.Advance(hours(24));
  EXPECT_EQ(IssueOne(Request()).code(), Code::kUnavailable);
  EXPECT_EQ(issuer_->IssueJwt(Jwt(), "actor").code(), Code::kUnavailable);
}

TEST_F(IssuerTest, ATaintedAuthoritySignsNothing) {
  authorities_.Taint();
  EXPECT_EQ(IssueOne(Request()).code(), Code::kUnavailable);
  EXPECT_EQ(issuer_->IssueJwt(Jwt(), "actor").code(), Code::kUnavailable);
  const DownstreamCaRequest ca{.key = workload_.Public()};
  EXPECT_EQ(issuer_->IssueDownstreamCa(ca, "actor").code(), Code::kUnavailable);
  const std::vector<AuditEvent> events = audit_.Take();
  ASSERT_EQ(events.size(), 3u);
  for (const AuditEvent& event : events) EXPECT_EQ(event.outcome, "UNAVAILABLE");
}

TEST_F(IssuerTest, EachPurposeNamesItsOwnIdsAlone) {
  auto code = [&](const SpiffeId& id, X509Purpose purpose) {
    X509Request request = Request();
    request.id = id;
    return IssueOne(request, purpose).code();
  };
  SpiffeId foreign = *SpiffeId::Parse("spiffe://other.org/db");
  SpiffeId bare = *SpiffeId::Parse("spiffe://example.org");
  for (X509Purpose purpose : {X509Purpose::kWorkload, X509Purpose::kMint}) {
    EXPECT_EQ(code(Id("/db"), purpose), Code::kOk);
    EXPECT_EQ(code(Id("/spire/server"), purpose), Code::kInvalidArgument);
    EXPECT_EQ(code(Id("/spire/agent/x/y"), purpose), Code::kInvalidArgument);
    EXPECT_EQ(code(Id("/spire/other"), purpose), Code::kInvalidArgument);
    EXPECT_EQ(code(bare, purpose), Code::kInvalidArgument);
    EXPECT_EQ(code(foreign, purpose), Code::kInvalidArgument);
  }
  EXPECT_EQ(code(Id("/spire/agent/x/y"), X509Purpose::kAgent), Code::kOk);
  EXPECT_EQ(code(Id("/db"), X509Purpose::kAgent), Code::kInvalidArgument);
  EXPECT_EQ(code(Id("/spire/server"), X509Purpose::kAgent), Code::kInvalidArgument);
  EXPECT_EQ(code(Id("/spire/server"), X509Purpose::kServer), Code::kOk);
  EXPECT_EQ(code(Id("/spire/agent/x/y"), X509Purpose::kServer), Code::kInvalidArgument);
  EXPECT_EQ(code(*SpiffeId::Parse("spiffe://other.org/spire/server"), X509Purpose::kServer),
            Code::kInvalidArgument);

  JwtRequest jwt = Jwt();
  for (const SpiffeId& id : {Id("/spire/server"), bare, foreign}) {
    jwt.id = id;
    EXPECT_EQ(issuer_->IssueJwt(jwt, "actor").code(), Code::kInvalidArgument) << id.text();
  }
}

TEST_F(IssuerTest, AMintedCertificateKeepsTheRequestsSubject) {
  X509Request request = Request();
  request.subject_der = *WithCommonName(std::string_view("\x30\x00", 2), "own name");
  EXPECT_EQ(Verified(*IssueOne(request, X509Purpose::kMint)).SubjectText(), "CN=own name");
  request.dns_names = {"db.internal"};
  EXPECT_EQ(Verified(*IssueOne(request, X509Purpose::kMint)).SubjectText(), "CN=db.internal");
}

TEST_F(IssuerTest, ABatchAnswersEachRequestAndSharesOneCommit) {
  std::vector<X509Request> requests = {Request("/a"), Request("/spire/server"), Request("/b")};
  std::vector<Result<IssuedX509>> results =
      issuer_->IssueX509(requests, X509Purpose::kWorkload, "spiffe://example.org/spire/agent/x/y");
  ASSERT_EQ(results.size(), 3u);
  EXPECT_EQ(results[0]->id, Id("/a"));
  EXPECT_EQ(results[1].code(), Code::kInvalidArgument);
  EXPECT_EQ(results[2]->id, Id("/b"));
  EXPECT_NE(results[0]->serial, results[2]->serial);
  EXPECT_EQ(audit_.appends(), 1);

  std::vector<AuditEvent> events = audit_.Take();
  ASSERT_EQ(events.size(), 3u);
  EXPECT_EQ(events[0].action, "x509_svid.issue");
  EXPECT_EQ(events[0].outcome, "ok");
  EXPECT_EQ(events[0].actor, "spiffe://example.org/spire/agent/x/y");
  EXPECT_EQ(events[0].subject, "spiffe://example.org/a");
  EXPECT_EQ(Detail(events[0], "purpose"), "workload");
  EXPECT_EQ(Detail(events[0], "entry_id"), "entry-1");
  EXPECT_EQ(Detail(events[0], "serial"), results[0]->serial.ToDecimal());
  EXPECT_EQ(Detail(events[0], "not_after"), FormatTime(results[0]->not_after));
  EXPECT_EQ(Detail(events[0], "authority_id"), authorities_.CurrentX509()->authority_id);
  EXPECT_EQ(events[1].outcome, "INVALID_ARGUMENT");
  EXPECT_EQ(Detail(events[1], "serial"), "absent");
  EXPECT_TRUE(issuer_->IssueX509({}, X509Purpose::kWorkload, "actor").empty());
  EXPECT_EQ(audit_.appends(), 1);
}

TEST_F(IssuerTest, NothingLeavesWithoutItsRecord) {
  audit_.Fail(Unavailable("disk full"));
  EXPECT_EQ(IssueOne(Request()).code(), Code::kUnavailable);
  EXPECT_EQ(issuer_->IssueJwt(Jwt(), "actor").code(), Code::kUnavailable);
  int commits = 0;
  auto commit = [&](const IssuedX509&) { return ++commits, OkStatus(); };
  EXPECT_EQ(issuer_->IssueAgentX509(Request("/spire/agent/x/y"), "actor", commit).code(),
            Code::kUnavailable);
  EXPECT_EQ(commits, 1);
  EXPECT_TRUE(audit_.Take().empty());
  audit_.Fail(OkStatus());
  EXPECT_TRUE(IssueOne(Request()).ok());
}

TEST_F(IssuerTest, AnAgentsCertificateIsCommittedBeforeItIsRecordedAndReturned) {
  Serial committed;
  auto commit = [&](const IssuedX509& issued) {
    EXPECT_TRUE(audit_.Take().empty());
    committed = issued.serial;
    return OkStatus();
  };
  Result<IssuedX509> issued = issuer_->IssueAgentX509(Request("/spire/agent/x/y"), "actor", commit);
  ASSERT_TRUE(issued.ok()) << issued.status().ToString();
  EXPECT_EQ(issued->serial, committed);
  EXPECT_EQ(Verified(*issued).SubjectText(), "O=Writ,C=US");
  std::vector<AuditEvent> events = audit_.Take();
  ASSERT_EQ(events.size(), 1u);
  EXPECT_EQ(Detail(events[0], "purpose"), "agent");
}

TEST_F(IssuerTest, AFailedCommitIssuesNothingAndIsOnRecord) {
  auto refuse = [](const IssuedX509&) { return PermissionDenied("agent is banned"); };
  Result<IssuedX509> issued = issuer_->IssueAgentX509(Request("/spire/agent/x/y"), "actor", refuse);
  EXPECT_EQ(issued.status(), PermissionDenied("agent is banned"));
  std::vector<AuditEvent> events = audit_.Take();
  ASSERT_EQ(events.size(), 1u);
  EXPECT_EQ(events[0].outcome, "PERMISSION_DENIED");
  EXPECT_EQ(Detail(events[0], "serial"), "absent");

  bool called = false;
  auto note = [&](const IssuedX509&) { return called = true, OkStatus(); };
  EXPECT_FALSE(issuer_->IssueAgentX509(Request("/db"), "actor", note).ok());
  EXPECT_FALSE(called);
}

TEST_F(IssuerTest, ATokenHasItsClaimsAndValidates) {
  Result<IssuedJwt> issued = issuer_->IssueJwt(Jwt({"api", "", "db"}), "actor");
  ASSERT_TRUE(issued.ok()) << issued.status().ToString();
  EXPECT_EQ(issued->issued_at, clock_.Now());
  EXPECT_EQ(issued->expires_at, clock_.Now() + minutes(5));
  Result<JwtSvid> svid = Validated(*issued, "db");
  ASSERT_TRUE(svid.ok()) << svid.status().ToString();
  EXPECT_EQ(svid->kid, "jwt-key-1");
  EXPECT_EQ(svid->claims.Dump(), R"({"aud":["api","db"],"exp":1790000300,"iat":1790000000,)"
                                 R"("sub":"spiffe://example.org/db"})");
  std::vector<AuditEvent> events = audit_.Take();
  ASSERT_EQ(events.size(), 1u);
  EXPECT_EQ(events[0].action, "jwt_svid.issue");
  EXPECT_EQ(Detail(events[0], "expires_at"), FormatTime(issued->expires_at));
  EXPECT_EQ(Detail(events[0], "authority_id"), "jwt-key-1");
  for (const Json::Member& detail : events[0].details) {
    EXPECT_EQ(detail.second.Dump().find(issued->token), std::string::npos);
  }
}

TEST_F(IssuerTest, ASingleAudienceIsAListToo) {
  Result<JwtSvid> svid = Validated(*issuer_->IssueJwt(Jwt({"api"}), "actor"), "api");
  EXPECT_TRUE(svid->claims.Find("aud")->IsArray());
}

TEST_F(IssuerTest, ATokenNeedsAnAudience) {
  EXPECT_EQ(issuer_->IssueJwt(Jwt({}), "actor").code(), Code::kInvalidArgument);
  EXPECT_EQ(issuer_->IssueJwt(Jwt({""}), "actor").code(), Code::kInvalidArgument);
  EXPECT_EQ(audit_.Take()[0].outcome, "INVALID_ARGUMENT");
}

TEST_F(IssuerTest, ATokenNeverOutlivesItsAuthority) {
  JwtRequest request = Jwt();
  request.ttl = hours(48);
  EXPECT_EQ(issuer_->IssueJwt(request, "actor")->expires_at, clock_.Now() + hours(24));
  request.ttl = seconds(30);
  EXPECT_EQ(issuer_->IssueJwt(request, "actor")->expires_at, clock_.Now() + seconds(30));
}

TEST_F(IssuerTest, IssuerAndTokenIdAreThereOnWish) {
  issuer_ = Issuer::Make({.trust_domain = td_,
                          .jwt_issuer = "https://issuer.example",
                          .authorities = &authorities_,
                          .audit = &audit_,
                          .clock = &clock_,
                          .random = &random_});
  JwtRequest request = Jwt();
  request.include_jti = true;
  std::set<std::string> ids;
  for (int i = 0; i < 2; ++i) {
    Json claims = Validated(*issuer_->IssueJwt(request, "actor"), "api")->claims;
    EXPECT_EQ(*claims.Find("iss")->AsString(), "https://issuer.example");
    ids.insert(*claims.Find("jti")->AsString());
  }
  EXPECT_EQ(ids.size(), 2u);
  EXPECT_TRUE(ids.contains(Detail(audit_.Take()[0], "jti")));
}

TEST_F(IssuerTest, ManyThreadsIssueAtOnce) {
  constexpr int kThreads = 4;
  constexpr int kEach = 50;
  {
    std::vector<Thread> threads;
    for (int i = 0; i < kThreads; ++i) {
      threads.emplace_back("issue", [&](std::stop_token) {
        for (int n = 0; n < kEach; ++n) {
          EXPECT_TRUE(IssueOne(Request()).ok());
          EXPECT_TRUE(issuer_->IssueJwt(Jwt(), "actor").ok());
        }
      });
    }
  }
  std::set<std::string> serials;
  for (const AuditEvent& event : audit_.Take()) {
    if (event.action == "x509_svid.issue") serials.insert(Detail(event, "serial"));
  }
  EXPECT_EQ(serials.size(), static_cast<size_t>(kThreads * kEach));
}

}  // namespace
}  // namespace writ
