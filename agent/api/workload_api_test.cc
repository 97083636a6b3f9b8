// SPDX-License-Identifier: Apache-2.0
//
// The X.509-SVID profile of the SPIFFE Workload API and what holds for all its streams, clause by
// clause (docs/conformance.md cites these names).
#include <sched.h>
#include <unistd.h>

#include <algorithm>
#include <atomic>

#include "agent/api/api_fixture.h"
#include "core/base/file.h"
#include "core/base/thread.h"

namespace writ {
namespace {

class WorkloadApiTest : public ApiFixture {
 protected:
  using ApiFixture::ApiFixture;

  template <typename Request, typename Response>
  struct Stream {
    std::unique_ptr<grpc::ClientContext> context;
    std::unique_ptr<grpc::ClientReader<Response>> reader;
    Response last;

    bool Read() { return reader->Read(&last); }
    grpc::StatusCode End() {
      while (Read()) {
      }
      return reader->Finish().error_code();
    }
    ~Stream() {
      if (context != nullptr) context->TryCancel();
    }
  };

  Stream<X509SVIDRequest, X509SVIDResponse> OpenX509(Stub& stub) {
    auto context = Context();
    auto reader = stub.FetchX509SVID(context.get(), {});
    return {std::move(context), std::move(reader), {}};
  }
  Stream<X509SVIDRequest, X509SVIDResponse> OpenX509() { return OpenX509(*stub_); }
  Stream<X509BundlesRequest, X509BundlesResponse> OpenX509Bundles() {
    auto context = Context();
    auto reader = stub_->FetchX509Bundles(context.get(), {});
    return {std::move(context), std::move(reader), {}};
  }
  Stream<JWTBundlesRequest, JWTBundlesResponse> OpenJwtBundles() {
    auto context = Context();
    auto reader = stub_->FetchJWTBundles(context.get(), {});
    return {std::move(context), std::move(reader), {}};
  }
};

// Streams that would wait for ever.
class WorkloadApiSwapTest : public WorkloadApiTest {
 protected:
  WorkloadApiSwapTest() : WorkloadApiTest(std::chrono::hours(1)) {}
};

// Where bundles are for everyone.
class WorkloadApiVerifierTest : public WorkloadApiTest {
 protected:
  WorkloadApiVerifierTest() : WorkloadApiTest(std::chrono::milliseconds(20), true) {}
};

TEST_F(WorkloadApiVerifierTest, ACallerWithoutAnIdentityGetsBundlesAndNothingElse) {
  cache_->Apply({.put = {MakeEntry("e1", "/b", {b_})}, .bundle = MakeBundle(1)});
  auto x509_bundles = OpenX509Bundles();
  auto jwt_bundles = OpenJwtBundles();
  ASSERT_TRUE(x509_bundles.Read());
  ASSERT_TRUE(jwt_bundles.Read());
  EXPECT_EQ(x509_bundles.last.bundles().at("spiffe://example.org"), MakeBundle(1)->X509Der());
  EXPECT_EQ(OpenX509().End(), grpc::StatusCode::PERMISSION_DENIED);
  JWTSVIDRequest request;
  request.add_audience("x");
  JWTSVIDResponse response;
  EXPECT_EQ(stub_->FetchJWTSVID(Context().get(), request, &response).error_code(),
            grpc::StatusCode::PERMISSION_DENIED);
  // It hears of changes, also while its identities come and go.
  cache_->Apply({.bundle = MakeBundle(2)});
  ASSERT_TRUE(x509_bundles.Read());
  ApplyOneIdentity();
  cache_->Apply({.removed = {"e1"}, .bundle = MakeBundle(3)});
  ASSERT_TRUE(x509_bundles.Read());
  while (x509_bundles.last.bundles().at("spiffe://example.org") != MakeBundle(3)->X509Der()) {
    ASSERT_TRUE(x509_bundles.Read());
  }
}

// Section 5.2.1: the mandatory fields.
TEST_F(WorkloadApiTest, FetchX509SvidGivesSvidKeyBundleAndHint) {
  Entry entry = MakeEntry("e1", "/a", {a_});
  entry.hint = "internal";
  cache_->Apply(
      {.put = {entry}, .x509 = {{"e1", MakeX509("chain 1")}}, .bundle = MakeBundle(2)});
  auto stream = OpenX509();
  ASSERT_TRUE(stream.Read());
  ASSERT_EQ(stream.last.svids_size(), 1);
  const X509SVID& svid = stream.last.svids(0);
  EXPECT_EQ(svid.spiffe_id(), "spiffe://example.org/a");
  EXPECT_EQ(svid.x509_svid(), "chain 1");
  EXPECT_EQ(svid.x509_svid_key(), "key of chain 1");
  EXPECT_EQ(svid.bundle(), MakeBundle(2)->X509Der());
  EXPECT_EQ(svid.hint(), "internal");
  EXPECT_TRUE(stream.last.crl().empty());
  EXPECT_TRUE(stream.last.federated_bundles().empty());
}

// Section 8: the first is the default identity; the order is that of entry IDs, whatever came
// first.
TEST_F(WorkloadApiTest, SvidsComeInTheOrderOfTheirEntryIds) {
  cache_->Apply({.put = {MakeEntry("e3", "/a", {a_}), MakeEntry("e1", "/c", {a_}),
                         MakeEntry("e2", "/b", {a_})},
                 .x509 = {{"e1", MakeX509("1")}, {"e2", MakeX509("2")}, {"e3", MakeX509("3")}},
                 .bundle = MakeBundle(1)});
  auto stream = OpenX509();
  ASSERT_TRUE(stream.Read());
  ASSERT_EQ(stream.last.svids_size(), 3);
  EXPECT_EQ(stream.last.svids(0).spiffe_id(), "spiffe://example.org/c");
  EXPECT_EQ(stream.last.svids(1).spiffe_id(), "spiffe://example.org/b");
  EXPECT_EQ(stream.last.svids(2).spiffe_id(), "spiffe://example.org/a");
}

// Section 5.2.1: hints are unique within an answer.
TEST_F(WorkloadApiTest, OfTwoSvidsWithOneHintTheOlderEntryStays) {
  Entry younger = MakeEntry("e1", "/younger", {a_});
  younger.hint = "h";
  younger.created_at = 200;
  Entry older = MakeEntry("e2", "/older", {a_});
  older.hint = "h";
  older.created_at = 100;
  cache_->Apply({.put = {younger, older},
                 .x509 = {{"e1", MakeX509("1")}, {"e2", MakeX509("2")}},
                 .bundle = MakeBundle(1)});
  auto stream = OpenX509();
  ASSERT_TRUE(stream.Read());
  ASSERT_EQ(stream.last.svids_size(), 1);
  EXPECT_EQ(stream.last.svids(0).spiffe_id(), "spiffe://example.org/older");
}

TEST_F(WorkloadApiTest, EntriesForSvidStoresAreNotServed) {
  Entry stored = MakeEntry("e1", "/stored", {a_});
  stored.store_svid = true;
  cache_->Apply({.put = {stored}, .x509 = {{"e1", MakeX509("1")}}, .bundle = MakeBundle(1)});
  EXPECT_EQ(OpenX509().End(), grpc::StatusCode::PERMISSION_DENIED);
}

// Section 4.3: pushed when something changes, always whole.
TEST_F(WorkloadApiTest, ARotatedSvidIsPushed) {
  ApplyOneIdentity();
  auto stream = OpenX509();
  ASSERT_TRUE(stream.Read());
  Rotate("e1", "chain 2");
  ASSERT_TRUE(stream.Read());
  EXPECT_EQ(stream.last.svids(0).x509_svid(), "chain 2");
  EXPECT_EQ(stream.last.svids(0).bundle(), MakeBundle(1)->X509Der());
}

TEST_F(WorkloadApiTest, ANewEntryIsPushedWithTheOldOnes) {
  ApplyOneIdentity();
  auto stream = OpenX509();
  ASSERT_TRUE(stream.Read());
  cache_->Apply({.put = {MakeEntry("e2", "/b", {a_})}, .x509 = {{"e2", MakeX509("chain 2")}}});
  ASSERT_TRUE(stream.Read());
  EXPECT_EQ(stream.last.svids_size(), 2);
}

TEST_F(WorkloadApiTest, ANewBundleIsPushedToEveryStream) {
  ApplyOneIdentity();
  auto svids = OpenX509();
  auto x509_bundles = OpenX509Bundles();
  ASSERT_TRUE(svids.Read());
  ASSERT_TRUE(x509_bundles.Read());
  cache_->Apply({.bundle = MakeBundle(2)});
  ASSERT_TRUE(svids.Read());
  EXPECT_EQ(svids.last.svids(0).bundle(), MakeBundle(2)->X509Der());
  ASSERT_TRUE(x509_bundles.Read());
  EXPECT_EQ(x509_bundles.last.bundles().at("spiffe://example.org"), MakeBundle(2)->X509Der());
}

TEST_F(WorkloadApiTest, AnUnchangedAnswerIsNotSentAgain) {
  ApplyOneIdentity();
  auto svids = OpenX509();
  auto bundles = OpenX509Bundles();
  auto jwt_bundles = OpenJwtBundles();
  ASSERT_TRUE(svids.Read());
  ASSERT_TRUE(bundles.Read());
  ASSERT_TRUE(jwt_bundles.Read());
  // The same content anew, then a change that only the SVID stream sees, then one for all.
  ApplyOneIdentity();
  cache_->Apply({.put = {MakeEntry("e2", "/b", {a_})}, .x509 = {{"e2", MakeX509("chain 2")}}});
  ASSERT_TRUE(svids.Read());
  EXPECT_EQ(svids.last.svids_size(), 2);
  auto bundle = std::make_shared<Bundle>(*MakeBundle(2));
  bundle->jwt.push_back({.key_id = "k2", .key = signer_->Public()});
  cache_->Apply({.bundle = bundle});
  ASSERT_TRUE(bundles.Read());
  EXPECT_EQ(bundles.last.bundles().at("spiffe://example.org"), bundle->X509Der());
  ASSERT_TRUE(jwt_bundles.Read());
  EXPECT_NE(jwt_bundles.last.bundles().at("spiffe://example.org").find("k2"), std::string::npos);
}

TEST_F(WorkloadApiTest, ACallerWhoseSvidIsNotHereYetWaits) {
  cache_->Apply({.put = {MakeEntry("e1", "/a", {a_})}, .bundle = MakeBundle(1)});
  auto waiting = OpenX509();
  auto impatient_context = Context();
  impatient_context->set_deadline(SystemClock().Now() + std::chrono::milliseconds(100));
  auto impatient = stub_->FetchX509SVID(impatient_context.get(), {});
  X509SVIDResponse none;
  EXPECT_FALSE(impatient->Read(&none));
  EXPECT_EQ(impatient->Finish().error_code(), grpc::StatusCode::DEADLINE_EXCEEDED);

  Rotate("e1", "chain 1");
  ASSERT_TRUE(waiting.Read());
  EXPECT_EQ(waiting.last.svids(0).x509_svid(), "chain 1");
}

TEST_F(WorkloadApiTest, AStreamThatHasAnsweredGoesOnWhileAnotherSvidIsAwaited) {
  ApplyOneIdentity();
  auto stream = OpenX509();
  ASSERT_TRUE(stream.Read());
  cache_->Apply({.put = {MakeEntry("e2", "/b", {a_})}});
  Rotate("e1", "chain 1b");
  ASSERT_TRUE(stream.Read());
  ASSERT_EQ(stream.last.svids_size(), 1);
  EXPECT_EQ(stream.last.svids(0).x509_svid(), "chain 1b");
}

TEST_F(WorkloadApiTest, BundlesDoNotWaitForSvids) {
  cache_->Apply({.put = {MakeEntry("e1", "/a", {a_})}, .bundle = MakeBundle(1)});
  EXPECT_TRUE(OpenX509Bundles().Read());
  EXPECT_TRUE(OpenJwtBundles().Read());
}

TEST_F(WorkloadApiTest, ASwapOfTheOnlyEntryDoesNotEndTheStream) {
  ApplyOneIdentity();
  auto stream = OpenX509();
  ASSERT_TRUE(stream.Read());
  cache_->Apply({.put = {MakeEntry("e2", "/new", {a_})},
                 .removed = {"e1"},
                 .x509 = {{"e2", MakeX509("chain 2")}}});
  ASSERT_TRUE(stream.Read());
  ASSERT_EQ(stream.last.svids_size(), 1);
  EXPECT_EQ(stream.last.svids(0).spiffe_id(), "spiffe://example.org/new");
}

// An operator's two commands, each an Apply of its own.
TEST_F(WorkloadApiSwapTest, OfTheOnlyEntryNeverEndsAnOpenStream) {
  ApplyOneIdentity();
  auto stream = OpenX509();
  ASSERT_TRUE(stream.Read());
  cache_->Apply({.removed = {"e1"}});
  EXPECT_EQ(OpenX509().End(), grpc::StatusCode::PERMISSION_DENIED);  // who comes now has none
  cache_->Apply({.put = {MakeEntry("e2", "/new", {a_})}});
  cache_->Apply({.x509 = {{"e2", MakeX509("chain 2")}}});
  ASSERT_TRUE(stream.Read());
  ASSERT_EQ(stream.last.svids_size(), 1);
  EXPECT_EQ(stream.last.svids(0).spiffe_id(), "spiffe://example.org/new");
}

// Section 5.2.1: all SVIDs redacted is PermissionDenied.
TEST_F(WorkloadApiTest, TheLastEntryGoneEndsEveryStream) {
  ApplyOneIdentity();
  auto svids = OpenX509();
  auto x509_bundles = OpenX509Bundles();
  auto jwt_bundles = OpenJwtBundles();
  ASSERT_TRUE(svids.Read());
  ASSERT_TRUE(x509_bundles.Read());
  ASSERT_TRUE(jwt_bundles.Read());
  cache_->Apply({.removed = {"e1"}});
  EXPECT_EQ(svids.End(), grpc::StatusCode::PERMISSION_DENIED);
  EXPECT_EQ(x509_bundles.End(), grpc::StatusCode::PERMISSION_DENIED);
  EXPECT_EQ(jwt_bundles.End(), grpc::StatusCode::PERMISSION_DENIED);
}

// Section 5.2.2: keyed by the trust domain's SPIFFE ID, DER concatenated.
TEST_F(WorkloadApiTest, FetchX509BundlesGivesTheTrustDomainsRoots) {
  cache_->Apply({.put = {MakeEntry("e1", "/a", {a_})},
                 .x509 = {{"e1", MakeX509("chain 1")}},
                 .bundle = MakeBundle(2)});
  auto stream = OpenX509Bundles();
  ASSERT_TRUE(stream.Read());
  ASSERT_EQ(stream.last.bundles_size(), 1);
  EXPECT_EQ(stream.last.bundles().at("spiffe://example.org"),
            authorities_[0].certificate.der() + authorities_[1].certificate.der());
}

// Section 6.2.2: a plain JWK set of JWT-SVID keys alone.
TEST_F(WorkloadApiTest, FetchJwtBundlesGivesAPlainJwkSet) {
  ApplyOneIdentity();
  auto stream = OpenJwtBundles();
  ASSERT_TRUE(stream.Read());
  ASSERT_EQ(stream.last.bundles_size(), 1);
  const auto jwks = Json::Parse(stream.last.bundles().at("spiffe://example.org"));
  ASSERT_TRUE(jwks.ok());
  ASSERT_EQ(jwks->AsObject()->size(), 1u);
  const Json::Array& keys = *jwks->Find("keys")->AsArray();
  ASSERT_EQ(keys.size(), 1u);
  EXPECT_EQ(*keys[0].Find("kid")->AsString(), "k1");
  EXPECT_EQ(keys[0].Find("use"), nullptr);
}

TEST_F(WorkloadApiTest, AStuckReaderHoldsLittleAndDelaysNobody) {
  ApplyOneIdentity();
  const auto stuck_stub = NewStub();
  auto stuck = OpenX509(*stuck_stub);
  auto lively = OpenX509();
  ASSERT_TRUE(stuck.Read());
  ASSERT_TRUE(lively.Read());
  constexpr int kRotations = 1000;
  const std::string filler(64 << 10, 'x');  // 64 MB in all: more than any window holds
  for (int i = 1; i <= kRotations; ++i) Rotate("e1", filler + std::to_string(i));
  const std::string newest = filler + std::to_string(kRotations);
  do {
    ASSERT_TRUE(lively.Read());
  } while (lively.last.svids(0).x509_svid() != newest);

  int read = 0;
  do {
    ASSERT_TRUE(stuck.Read());
    ++read;
  } while (stuck.last.svids(0).x509_svid() != newest);
  EXPECT_LT(read, kRotations / 2);
}

TEST_F(WorkloadApiTest, StreamsOfCallersThatLeftAreForgotten) {
  ApplyOneIdentity();
  for (int i = 0; i < 50; ++i) {
    auto stream = OpenX509();
    if (i % 2 == 0) {
      ASSERT_TRUE(stream.Read());
    }
    stream.context->TryCancel();
    EXPECT_EQ(stream.End(), grpc::StatusCode::CANCELLED);
  }
  // gRPC tells of cancellations at its own pace: other calls are answered meanwhile.
  JWTSVIDResponse refused;
  while (api_->OpenStreamCount() > 0) {
    EXPECT_FALSE(stub_->FetchJWTSVID(Context(/*with_header=*/false).get(), {}, &refused).ok());
  }
}

TEST_F(WorkloadApiTest, EndedStreamsAreUnavailableSoThatClientsComeBack) {
  ApplyOneIdentity();
  auto stream = OpenX509();
  ASSERT_TRUE(stream.Read());
  api_->EndStreams();
  EXPECT_EQ(stream.End(), grpc::StatusCode::UNAVAILABLE);
  EXPECT_EQ(OpenX509().End(), grpc::StatusCode::UNAVAILABLE);
}

// The state of one of this process's threads by the kernel: 'S' while it waits.
char StateOfThread(pid_t thread) {
  const std::string path = "/proc/self/task/" + std::to_string(thread) + "/stat";
  const std::string stat = ReadFile(path).value();
  return stat.at(stat.rfind(')') + 2);
}

// Of use where memory that is gone is noticed: under a sanitizer, or with MALLOC_PERTURB_.
TEST_F(WorkloadApiTest, AnAttestationThatOutlastsItsStreamUsesNothingThatIsGone) {
  ApplyOneIdentity();
  OtherProcess other(socket_);  // whose calls are counted, which this process's are not
  const std::unique_ptr<Stub> stub = SpiffeWorkloadAPI::NewStub(other.Channel());
  auto counted = OpenX509(*stub);
  ASSERT_TRUE(counted.Read());
  attestor_->Pause();
  auto stream = OpenX509(*stub);
  attestor_->AwaitPaused(1);
  StopServing();
  EXPECT_EQ(stream.End(), grpc::StatusCode::UNAVAILABLE);
  std::atomic<pid_t> destroyer = 0;
  Thread destroys("destroys", [&](const std::stop_token&) {
    destroyer = gettid();
    api_.reset();
  });
  while (destroyer == 0 || StateOfThread(destroyer) != 'S') sched_yield();  // until it joins
  attestor_->Resume();
  destroys.Join();
}

}  // namespace
}  // namespace writ
