// SPDX-License-Identifier: Apache-2.0
#include "agent/api/attesters.h"

#include <gtest/gtest.h>
#include <sys/syscall.h>
#include <unistd.h>

#include <algorithm>
#include <map>
#include <optional>
#include <string>
#include <utility>

#include "test/fake/fake_clock.h"
#include "test/fake/fake_log.h"

namespace writ {
namespace {

using Found = std::vector<Selector>;

enum class Kind { kNow, kSoon, kLong };

// Who is of which kind is by user; some users hold up what attests them.
class GatedAttestor final : public WorkloadAttestor {
 public:
  std::string name() const override { return "gated"; }
  std::optional<Result<Found>> AttestNow(const Caller& caller) override {
    if (kinds.at(caller.uid()) != Kind::kNow) return std::nullopt;
    return Result<Found>(Found{});
  }
  std::optional<Result<Found>> AttestSoon(const Caller& caller) override {
    if (kinds.at(caller.uid()) == Kind::kLong) return std::nullopt;
    return Pass(caller);
  }
  Result<Found> Attest(const Caller& caller, const std::stop_token&) override {
    return Pass(caller);
  }
  void Open() {
    MutexLock lock(mu_);
    open_ = true;
    changed_.NotifyAll();
  }
  void AwaitHeldUp(size_t count) {
    MutexLock lock(mu_);
    while (held_up_ < count) changed_.Wait(mu_);
  }

  // Set before use: the kind of each user, and who is held up until Open().
  std::map<uid_t, Kind> kinds;
  std::map<uid_t, bool> holds_up;

 private:
  Result<Found> Pass(const Caller& caller) {
    MutexLock lock(mu_);
    if (!holds_up[caller.uid()]) return Found{};
    ++held_up_;
    changed_.NotifyAll();
    while (!open_) changed_.Wait(mu_);
    return Found{};
  }

  Mutex mu_;
  CondVar changed_;
  bool open_ GUARDED_BY(mu_) = false;
  size_t held_up_ GUARDED_BY(mu_) = 0;
};

class AttestersTest : public testing::Test {
 protected:
  static constexpr uid_t kFlooder = 1000, kOther = 1001, kThird = 1002;

  AttestersTest() {
    auto attestor = std::make_unique<GatedAttestor>();
    attestor_ = attestor.get();
    attestor_->kinds = {{kFlooder, Kind::kSoon}, {kOther, Kind::kSoon}, {kThird, Kind::kLong}};
    std::vector<std::unique_ptr<WorkloadAttestor>> attestors;
    attestors.push_back(std::move(attestor));
    attestation_.emplace(std::move(attestors), &clock_, &log_);
    attesters_.emplace(&*attestation_);
  }
  ~AttestersTest() override {
    attestor_->Open();
    attesters_.reset();
  }

  // This process, as if it were the user's.
  std::shared_ptr<const Caller> CallerOf(uid_t uid) {
    std::shared_ptr<const Caller>& caller = callers_[uid];
    if (caller == nullptr) {
      Fd pidfd(static_cast<int>(syscall(SYS_pidfd_open, getpid(), 0)));
      caller = std::make_shared<const Caller>(getpid(), uid, 1, std::move(pidfd));
    }
    return caller;
  }
  void Attest(uid_t uid, Attesters::Where where = Attesters::Where::kAnywhere,
              std::stop_token left = {}) {
    auto answer = [this, uid](const auto& selectors, const auto&) {
      MutexLock lock(mu_);
      answers_[uid].push_back(selectors.status());
      answer_thread_ = gettid();
      answered_.NotifyAll();
    };
    attesters_->Attest(CallerOf(uid), std::move(left), where, std::move(answer));
  }
  std::vector<Status> AwaitAnswers(uid_t uid, size_t count) {
    MutexLock lock(mu_);
    while (answers_[uid].size() < count) answered_.Wait(mu_);
    return answers_[uid];
  }
  size_t AnswerCount(uid_t uid) {
    MutexLock lock(mu_);
    return answers_[uid].size();
  }

  FakeClock clock_;
  FakeLog log_;
  GatedAttestor* attestor_;  // owned by attestation_
  std::optional<WorkloadAttestation> attestation_;
  std::optional<Attesters> attesters_;
  std::map<uid_t, std::shared_ptr<const Caller>> callers_;
  Mutex mu_;
  CondVar answered_;
  std::map<uid_t, std::vector<Status>> answers_ GUARDED_BY(mu_);
  pid_t answer_thread_ GUARDED_BY(mu_) = 0;
};

TEST_F(AttestersTest, AnswersOnTheCallingThreadWhereThatWaitsForNothing) {
  attestor_->kinds[kOther] = Kind::kNow;
  Attest(kOther);
  EXPECT_EQ(AnswerCount(kOther), 1u);
  Attest(kOther, Attesters::Where::kOnAttesters);
  EXPECT_EQ(AwaitAnswers(kOther, 2).back(), Status());
  MutexLock lock(mu_);
  EXPECT_NE(answer_thread_, gettid());
}

TEST_F(AttestersTest, AUserWhoseAttestationsHangLeavesAThreadToOthers) {
  attestor_->holds_up[kFlooder] = true;
  for (int i = 0; i < 100; ++i) Attest(kFlooder);
  attestor_->AwaitHeldUp(kBriefAttestersOfUserMax);
  for (int i = 0; i < 10; ++i) Attest(kOther);
  AwaitAnswers(kOther, 10);
  EXPECT_EQ(AnswerCount(kFlooder), 0u);
  attestor_->Open();
  AwaitAnswers(kFlooder, 100);
}

TEST_F(AttestersTest, WhoNeedsLittleDoesNotWaitForThoseWhoNeedMuch) {
  attestor_->kinds[kFlooder] = Kind::kLong;
  attestor_->holds_up[kFlooder] = true;
  for (int i = 0; i < 100; ++i) Attest(kFlooder);
  attestor_->AwaitHeldUp(kLongAttestersOfUserMax);
  Attest(kOther);
  AwaitAnswers(kOther, 1);
  Attest(kThird);  // needs much itself
  AwaitAnswers(kThird, 1);
  EXPECT_EQ(AnswerCount(kFlooder), 0u);
}

TEST_F(AttestersTest, AFloodTakesTheFloodersPlacesAlone) {
  attestor_->holds_up[kFlooder] = true;
  for (size_t i = 0; i < kAttestationsWaitingMax; ++i) Attest(kFlooder);
  EXPECT_EQ(AnswerCount(kFlooder),
            kAttestationsWaitingMax - kAttestationsWaitingMax / kProcessesPerPlaces);
  EXPECT_EQ(AwaitAnswers(kFlooder, 1).front().code(), Code::kUnavailable);
  attesters_->Stop(Unavailable("stopping"));
}

TEST_F(AttestersTest, ACallerThatHasLeftIsNotAttested) {
  attestor_->holds_up[kFlooder] = true;
  std::stop_source left;
  for (size_t i = 0; i < kBriefAttestersOfUserMax + 1; ++i) {
    Attest(kFlooder, Attesters::Where::kAnywhere, left.get_token());
  }
  attestor_->AwaitHeldUp(kBriefAttestersOfUserMax);
  left.request_stop();
  attestor_->Open();
  const auto answers = AwaitAnswers(kFlooder, kBriefAttestersOfUserMax + 1);
  EXPECT_EQ(std::count(answers.begin(), answers.end(), Cancelled("the caller has left")), 1);
}

TEST_F(AttestersTest, StopAnswersAllWhoWaitAndWouldWait) {
  attestor_->holds_up[kFlooder] = true;
  for (size_t i = 0; i < kBriefAttestersOfUserMax + 5; ++i) Attest(kFlooder);
  attestor_->AwaitHeldUp(kBriefAttestersOfUserMax);
  const Status stopping = Unavailable("stopping");
  attesters_->Stop(stopping);
  EXPECT_EQ(AwaitAnswers(kFlooder, 5), std::vector<Status>(5, stopping));
  Attest(kOther);
  EXPECT_EQ(AwaitAnswers(kOther, 1).front(), stopping);
}

}  // namespace
}  // namespace writ
