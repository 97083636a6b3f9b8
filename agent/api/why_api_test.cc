// SPDX-License-Identifier: Apache-2.0
//
// Who learns what from the question why: everything on the admin socket, a process about itself
// alone on the workload socket.
#include "agent/api/why_api.h"

#include <unistd.h>

#include "agent/api/api_fixture.h"
#include "writ/v1/why.grpc.pb.h"

namespace writ {
namespace {

using v1::ExplainWorkloadRequest;
using v1::ExplainWorkloadResponse;

class WhyApiTest : public ApiFixture {
 protected:
  grpc::StatusCode Ask(const std::string& socket, const ExplainWorkloadRequest& request,
                       bool with_header = true) {
    return Ask(grpc::CreateChannel("unix:" + socket, grpc::InsecureChannelCredentials()), request,
               with_header);
  }
  grpc::StatusCode Ask(const std::shared_ptr<grpc::Channel>& channel,
                       const ExplainWorkloadRequest& request, bool with_header = true) {
    answer_.Clear();
    const grpc::Status status =
        v1::AgentWhy::NewStub(channel)->ExplainWorkload(Context(with_header).get(), request,
                                                        &answer_);
    message_ = status.error_message();
    return status.error_code();
  }
  static ExplainWorkloadRequest AboutPid(pid_t pid) {
    ExplainWorkloadRequest request;
    request.set_pid(pid);
    return request;
  }
  static ExplainWorkloadRequest AboutRefusal(const std::string& id) {
    ExplainWorkloadRequest request;
    request.set_refusal_id(id);
    return request;
  }
  // The ID that a refusal of this process names.
  std::string Refuse() {
    JWTSVIDRequest request;
    request.add_audience("x");
    JWTSVIDResponse response;
    const std::string message =
        stub_->FetchJWTSVID(Context().get(), request, &response).error_message();
    const std::string before = "writ why --id ";
    return message.substr(message.find(before) + before.size(), 12);
  }

  std::string Advice() const {
    std::string text;
    for (const std::string& line : answer_.advice()) text += line + "\n";
    return text;
  }
  bool Advises(const std::string& words) const {
    return Advice().find(words) != std::string::npos;
  }
  void AttestAgent() {
    CertificateTemplate own{.serial = Serial::Generate(random_)};
    own.not_after = clock_.Now() + std::chrono::hours(1);
    own.uri_sans = {kAgentId};
    own_certificate_ = Certificate::FromDer(SignSelfSigned(own, *signer_).value()).value();
  }
  // As the server makes it of a join token's alias.
  Entry Alias() const { return MakeEntry("alias", "/node", {Selector{"spiffe_id", kAgentId}}); }

  static constexpr char kAgentId[] = "spiffe://example.org/spire/agent/join_token/secret";

  ExplainWorkloadResponse answer_;
  std::string message_;
};

TEST_F(WhyApiTest, TheAdminSocketShowsSelectorsAndTheNearestEntries) {
  cache_->Apply({.put = {MakeEntry("e1", "/a", {a_, b_})}, .bundle = MakeBundle(1)});
  ASSERT_EQ(Ask(admin_socket_, AboutPid(getpid()), false), grpc::StatusCode::OK) << message_;
  EXPECT_EQ(answer_.pid(), getpid());
  ASSERT_EQ(answer_.attestors_size(), 1);
  EXPECT_EQ(answer_.attestors(0).name(), "fake");
  EXPECT_EQ(answer_.attestors(0).selectors(0), "fake:a");
  EXPECT_TRUE(answer_.identities().empty());
  ASSERT_EQ(answer_.nearest_size(), 1);
  EXPECT_EQ(answer_.nearest(0).entry_id(), "e1");
  EXPECT_EQ(answer_.nearest(0).missing(0), "fake:b");
  EXPECT_NE(answer_.nearest(0).why().find("the process has fake:a, not fake:b"),
            std::string::npos);
  EXPECT_EQ(answer_.agent().entries(), 1);
  EXPECT_FALSE(answer_.advice().empty());
}

TEST_F(WhyApiTest, VeryLargeEntriesFitIntoAnAnswer) {
  std::vector<Entry> entries;
  for (int i = 0; i < 5; ++i) {
    const Selector large{"fake", std::to_string(i) + std::string(500 << 10, 'x')};
    entries.push_back(MakeEntry("e" + std::to_string(i), "/a", {a_, large}));
  }
  cache_->Apply({.put = {entries.begin(), entries.end()}, .bundle = MakeBundle(1)});
  ASSERT_EQ(Ask(admin_socket_, AboutPid(getpid())), grpc::StatusCode::OK) << message_;
  EXPECT_GE(answer_.nearest_size(), 1);
  EXPECT_EQ(answer_.agent().entries(), 5);
}

TEST_F(WhyApiTest, WhatAProcessHasIsShownAsIssued) {
  ApplyOneIdentity();
  ASSERT_EQ(Ask(admin_socket_, AboutPid(getpid())), grpc::StatusCode::OK);
  ASSERT_EQ(answer_.identities_size(), 1);
  EXPECT_EQ(answer_.identities(0).entry_id(), "e1");
  EXPECT_NE(answer_.identities(0).x509_expires_at(), 0);
  EXPECT_TRUE(answer_.nearest().empty());
}

TEST_F(WhyApiTest, TheWorkloadSocketTellsAProcessItsOwnSelectorsAndNoOthersEntries) {
  cache_->Apply({.put = {MakeEntry("e1", "/a", {a_, b_})}, .bundle = MakeBundle(1)});
  for (const ExplainWorkloadRequest& request : {ExplainWorkloadRequest(), AboutPid(getpid())}) {
    ASSERT_EQ(Ask(socket_, request), grpc::StatusCode::OK) << message_;
    EXPECT_EQ(answer_.attestors(0).selectors(0), "fake:a");
    EXPECT_EQ(answer_.nearest_size(), 0);
    EXPECT_EQ(answer_.agent().entries(), 0);
    EXPECT_EQ(answer_.DebugString().find("e1"), std::string::npos);
    EXPECT_EQ(answer_.DebugString().find("fake:b"), std::string::npos);
  }
  EXPECT_EQ(Ask(socket_, AboutPid(1)), grpc::StatusCode::PERMISSION_DENIED);
  EXPECT_EQ(Ask(socket_, {}, false), grpc::StatusCode::INVALID_ARGUMENT);
}

TEST_F(WhyApiTest, TheWorkloadSocketDoesNotSayWhoTheAgentIsNorWhatKeepsItFromTheServer) {
  AttestAgent();
  cache_->Apply({.put = {MakeEntry("e1", "/a", {b_}), Alias()}, .bundle = MakeBundle(1)});
  ASSERT_EQ(Ask(socket_, {}), grpc::StatusCode::OK) << message_;
  EXPECT_FALSE(answer_.has_agent() && answer_.agent().ByteSizeLong() > 0) << answer_.DebugString();
  EXPECT_EQ(answer_.DebugString().find("join_token"), std::string::npos);
  EXPECT_EQ(answer_.DebugString().find("/node"), std::string::npos);
  ready_ = Unavailable("the agent is not ready: connect to server.internal:8081: refused");
  ASSERT_EQ(Ask(socket_, {}), grpc::StatusCode::OK) << message_;
  EXPECT_EQ(answer_.agent().problem(),
            "the agent is not in step with the server; its log says why");
  EXPECT_EQ(answer_.DebugString().find("server.internal"), std::string::npos);
  EXPECT_TRUE(Advises("See to the agent first")) << Advice();
  EXPECT_FALSE(Advises("No entry has")) << Advice();

  ASSERT_EQ(Ask(admin_socket_, AboutPid(getpid())), grpc::StatusCode::OK);
  EXPECT_EQ(answer_.agent().spiffe_id(), kAgentId);
  EXPECT_NE(answer_.agent().expires_at(), 0);
  EXPECT_EQ(answer_.agent().problem(), ready_.message());
}

TEST_F(WhyApiTest, TheAdviceIsAboutWhatIsWrongWithTheNearestEntries) {
  AttestAgent();
  Entry expired = MakeEntry("old", "/a", {a_});
  expired.expires_at = ToUnixSeconds(clock_.Now()) - 1;
  cache_->Apply({.put = {expired}, .bundle = MakeBundle(1)});
  ASSERT_EQ(Ask(admin_socket_, AboutPid(getpid())), grpc::StatusCode::OK) << message_;
  EXPECT_TRUE(Advises("`writ entry update --id old --expires-at TIME`")) << Advice();
  EXPECT_FALSE(Advises("each selector of the entry is one of the process")) << Advice();
  Entry stored = MakeEntry("stored", "/b", {a_});
  stored.store_svid = true;
  cache_->Apply({.put = {stored, MakeEntry("other", "/c", {b_})}});
  ASSERT_EQ(Ask(admin_socket_, AboutPid(getpid())), grpc::StatusCode::OK) << message_;
  EXPECT_TRUE(Advises("`writ entry update --id stored --store-svid=false`")) << Advice();
  EXPECT_TRUE(Advises("each selector of the entry is one of the process")) << Advice();
}

TEST_F(WhyApiTest, ANewEntryIsProposedBelowTheNodesAlias) {
  AttestAgent();
  cache_->Apply({.bundle = MakeBundle(1)});
  ASSERT_EQ(Ask(admin_socket_, AboutPid(getpid())), grpc::StatusCode::OK) << message_;
  EXPECT_TRUE(Advises(std::string("--parent-id ") + kAgentId + " --spiffe-id ID")) << Advice();
  cache_->Apply({.put = {Alias()}});
  ASSERT_EQ(Ask(admin_socket_, AboutPid(getpid())), grpc::StatusCode::OK) << message_;
  EXPECT_TRUE(Advises("--parent-id spiffe://example.org/node --spiffe-id ID --selector fake:a"))
      << Advice();
}

TEST_F(WhyApiTest, AnAgentThatHasNotAttestedIsNotToldOfEntries) {
  ready_ = Unavailable("the agent is not ready: the agent has not attested yet");
  ASSERT_EQ(Ask(admin_socket_, AboutPid(getpid())), grpc::StatusCode::OK);
  EXPECT_EQ(Advice(),
            "See to the agent first: the agent is not ready: the agent has not attested yet.\n"
            "What the server knows: on the server, `writ why --spiffe-id ID` says which agents get "
            "the ID that you expect.\n");
}

TEST_F(WhyApiTest, ARefusalIsExplainedByItsId) {
  cache_->Apply({.put = {MakeEntry("e1", "/a", {b_})}, .bundle = MakeBundle(1)});
  const std::string id = Refuse();
  attestor_->Answer(0, std::vector<Selector>{b_});  // the process has changed since
  ASSERT_EQ(Ask(admin_socket_, AboutRefusal(id)), grpc::StatusCode::OK) << message_;
  EXPECT_EQ(answer_.refusal().id(), id);
  EXPECT_EQ(answer_.refusal().method(), "FetchJWTSVID");
  EXPECT_EQ(answer_.attestors(0).selectors(0), "fake:a");
  EXPECT_EQ(answer_.nearest(0).entry_id(), "e1");
  EXPECT_EQ(Ask(admin_socket_, AboutRefusal("unknown")), grpc::StatusCode::NOT_FOUND);
}

TEST_F(WhyApiTest, ARefusalIsToldToTheOneWhoWasRefusedAlone) {
  cache_->Apply({.bundle = MakeBundle(1)});
  const std::string id = Refuse();
  OtherProcess other(socket_);
  attestor_->Answer(other.pid(), std::vector<Selector>{b_});
  const auto channel = other.Channel();
  EXPECT_EQ(Ask(channel, AboutRefusal(id)), grpc::StatusCode::NOT_FOUND);
  const std::string not_theirs = message_;
  EXPECT_EQ(Ask(channel, AboutRefusal("unknown")), grpc::StatusCode::NOT_FOUND);
  EXPECT_EQ(message_, not_theirs);
  ASSERT_EQ(Ask(socket_, AboutRefusal(id)), grpc::StatusCode::OK) << message_;
  EXPECT_EQ(answer_.refusal().id(), id);
}

TEST_F(WhyApiTest, TheFailureOfAnAttestorIsTold) {
  cache_->Apply({.bundle = MakeBundle(1)});
  attestor_->Answer(0, Internal("no cgroup"));
  ASSERT_EQ(Ask(socket_, {}), grpc::StatusCode::OK) << message_;
  EXPECT_EQ(answer_.attestors(0).error(), "no cgroup");
  EXPECT_NE(answer_.DebugString().find("The attestor fake failed"), std::string::npos);
}

TEST_F(WhyApiTest, AProcessThatCouldNotBeIdentifiedIsPointedToTheAttestorsError) {
  cache_->Apply({.bundle = MakeBundle(1)});
  attestor_->Answer(0, Internal("no cgroup"));
  const std::string id = Refuse();
  for (const std::string& socket : {socket_, admin_socket_}) {
    ASSERT_EQ(Ask(socket, AboutRefusal(id)), grpc::StatusCode::OK) << id << ": " << message_;
    EXPECT_EQ(answer_.attestors(0).error(), "no cgroup");
    EXPECT_EQ(answer_.refusal().method(), "FetchJWTSVID");
  }
  const auto context = Context();
  const grpc::Status ended = stub_->FetchX509SVID(context.get(), X509SVIDRequest())->Finish();
  EXPECT_EQ(ended.error_code(), grpc::StatusCode::UNAVAILABLE);
  EXPECT_NE(ended.error_message().find("`writ why --id " + id + "`"), std::string::npos)
      << ended.error_message();
}

TEST_F(WhyApiTest, AnAgentThatIsNotReadySaysSo) {
  ready_ = Unavailable("the server is away");
  ASSERT_EQ(Ask(admin_socket_, AboutPid(getpid())), grpc::StatusCode::OK);
  EXPECT_EQ(answer_.agent().problem(), "the server is away");
  EXPECT_EQ(answer_.advice(0), "See to the agent first: the server is away.");
}

TEST_F(WhyApiTest, AProcessThatIsNotThereIsNotFound) {
  EXPECT_EQ(Ask(admin_socket_, AboutPid(0)), grpc::StatusCode::INVALID_ARGUMENT);
  EXPECT_EQ(Ask(admin_socket_, AboutPid(1 << 30)), grpc::StatusCode::NOT_FOUND);
}

TEST_F(WhyApiTest, QuestionsOfWorkloadsAreLimited) {
  cache_->Apply({.bundle = MakeBundle(1)});
  OtherProcess other(socket_);
  const auto channel = other.Channel();
  for (int i = 0; i < kCallsPerSecond; ++i) ASSERT_EQ(Ask(channel, {}), grpc::StatusCode::OK);
  EXPECT_EQ(Ask(channel, {}), grpc::StatusCode::RESOURCE_EXHAUSTED);
}

}  // namespace
}  // namespace writ
