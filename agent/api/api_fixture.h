// SPDX-License-Identifier: Apache-2.0
//
// What the tests of the Workload API share: the API on a real GrpcServer with a real socket and a
// real cache; attestors and the source of JWT-SVIDs answer what a test tells them.
#pragma once

#include <grpcpp/grpcpp.h>
#include <gtest/gtest.h>
#include <sys/types.h>

#include <map>
#include <memory>
#include <optional>
#include <string>
#include <utility>
#include <vector>

#include "agent/api/why_api.h"
#include "agent/api/workload_api.h"
#include "agent/cache/cache.h"
#include "core/base/json.h"
#include "core/base/mutex.h"
#include "core/base/random.h"
#include "core/keys/key_manager.h"
#include "core/net/health.h"
#include "spiffe/workload/workload.grpc.pb.h"
#include "test/fake/fake_clock.h"
#include "test/fake/fake_log.h"
#include "test/support/paths.h"

namespace writ {

// Answers by process; a process that is not named gets what stands under 0.
class TableAttestor final : public WorkloadAttestor {
 public:
  std::string name() const override { return "fake"; }
  Result<std::vector<Selector>> Attest(const Caller& caller, const std::stop_token& left) override;
  std::optional<Result<std::vector<Selector>>> AttestSoon(const Caller& caller) override;
  std::optional<Result<std::vector<Selector>>> AttestNow(const Caller& caller) override;
  void Answer(pid_t pid, Result<std::vector<Selector>> selectors);
  // From now on no call waits for a worker.
  void AnswerAtOnce();
  // From now on no worker has an answer, until Resume().
  void Pause();
  void Resume();
  void AwaitPaused(size_t workers);  // until so many workers wait for Resume()

 private:
  Mutex mu_;
  CondVar changed_;
  bool at_once_ GUARDED_BY(mu_) = false;
  bool paused_ GUARDED_BY(mu_) = false;
  size_t waiting_ GUARDED_BY(mu_) = 0;
  std::map<pid_t, Result<std::vector<Selector>>> answers_ GUARDED_BY(mu_);
};

// Makes up tokens "<spiffe id>|<audience>,<audience>", or fails as told.
class TableJwtSource final : public JwtSource {
 public:
  std::optional<HeldJwt> Held(const Entry& entry, std::vector<std::string> audience) override;
  Result<HeldJwt> Fetch(const Entry& entry, std::vector<std::string> audience,
                        MonoTime deadline) override;
  void Fail(Status status);
  void AwaitFetch();  // until there was one
  // The token is there before anybody asks for it.
  void Hold(const Entry& entry, const std::string& audience, std::string token);

 private:
  Mutex mu_;
  std::map<std::pair<std::string, std::string>, std::string> held_ GUARDED_BY(mu_);
  Status failure_ GUARDED_BY(mu_);
  bool fetched_ GUARDED_BY(mu_) = false;
  CondVar fetched_first_;
};

// A process that has connected to a socket and whose connection this process speaks on.
class OtherProcess {
 public:
  explicit OtherProcess(const std::string& socket_path);
  ~OtherProcess();
  void Kill();
  pid_t pid() const { return pid_; }
  std::shared_ptr<grpc::Channel> Channel();  // once

 private:
  pid_t pid_;
  int connection_ = -1;
};

class ApiFixture : public testing::Test {
 protected:
  using Stub = SpiffeWorkloadAPI::Stub;
  static constexpr int kCallsPerSecond = 50;  // of other processes than this one

  explicit ApiFixture(Duration swap_grace = std::chrono::milliseconds(20),
                      bool bundles_for_all = false);
  ~ApiFixture() override;

  // Ends all calls and then the servers, as the agent does.
  void StopServing();

  std::unique_ptr<Stub> NewStub() const;
  static std::unique_ptr<grpc::ClientContext> Context(bool with_header = true);

  Entry MakeEntry(const std::string& id, const std::string& path, Selectors selectors) const;
  std::shared_ptr<const HeldX509> MakeX509(const std::string& chain) const;
  std::shared_ptr<const Bundle> MakeBundle(int authorities);
  std::unique_ptr<WhyApi> MakeWhy(WhyApiOptions::Scope scope);
  // One entry "e1" for the selector fake:a with an SVID, and a bundle.
  void ApplyOneIdentity();
  void Rotate(const std::string& entry_id, const std::string& chain);
  std::string SignToken(const Json& claims) const;
  Json Claims(const std::string& id, const std::string& audience, int64_t exp_in_seconds) const;

  const TrustDomain td_ = TrustDomain::Parse("example.org").value();
  const Selector a_{"fake", "a"};
  const Selector b_{"fake", "b"};
  TempDir dir_;
  std::string socket_ = dir_ / "public/workload.sock";
  std::string admin_socket_ = dir_ / "agent/admin.sock";
  SystemClock system_clock_;
  FakeClock clock_{system_clock_.Now()};  // the deadlines of calls are by the system's
  SystemRandom random_;
  FakeLog log_;
  std::shared_ptr<Signer> signer_;
  std::vector<X509Authority> authorities_;
  Status ready_;
  std::optional<Certificate> own_certificate_;
  std::shared_ptr<Cache> cache_;
  TableJwtSource jwt_;
  Refusals refusals_{&clock_, &random_};
  TableAttestor* attestor_;  // owned by attestation_
  std::unique_ptr<WorkloadAttestation> attestation_;
  std::unique_ptr<WorkloadApi> api_;
  std::unique_ptr<WhyApi> why_;        // on the workload socket
  std::unique_ptr<WhyApi> admin_why_;  // on the admin socket
  std::unique_ptr<HealthService> health_;
  std::unique_ptr<GrpcServer> server_;
  std::unique_ptr<GrpcServer> admin_server_;
  std::unique_ptr<Stub> stub_;
};

}  // namespace writ
