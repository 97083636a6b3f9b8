// SPDX-License-Identifier: Apache-2.0
#include "agent/workload/workload_attestation.h"

#include <gtest/gtest.h>
#include <sys/syscall.h>
#include <sys/wait.h>
#include <unistd.h>

#include <csignal>
#include <functional>
#include <utility>

#include "test/fake/fake_clock.h"
#include "test/fake/fake_log.h"

namespace writ {
namespace {

using Answer = std::function<Result<std::vector<Selector>>(const Caller&)>;

class FakeAttestor final : public WorkloadAttestor {
 public:
  FakeAttestor(std::string name, Answer answer)
      : name_(std::move(name)), answer_(std::move(answer)) {}
  std::string name() const override { return name_; }
  Result<std::vector<Selector>> Attest(const Caller& caller, const std::stop_token&) override {
    return answer_(caller);
  }

 private:
  const std::string name_;
  const Answer answer_;
};

Answer Gives(std::vector<Selector> selectors) {
  return [=](const Caller&) -> Result<std::vector<Selector>> { return selectors; };
}
Answer Fails() {
  return [](const Caller&) -> Result<std::vector<Selector>> { return Internal("no cgroup"); };
}

class WorkloadAttestationTest : public testing::Test {
 protected:
  Result<Selectors> Attest(std::vector<Answer> answers) { return Attest(answers, Self()); }
  Result<Selectors> Attest(std::vector<Answer> answers, const Caller& caller) {
    std::vector<std::unique_ptr<WorkloadAttestor>> attestors;
    for (size_t i = 0; i < answers.size(); ++i) {
      attestors.push_back(
          std::make_unique<FakeAttestor>("fake" + std::to_string(i), std::move(answers[i])));
    }
    return WorkloadAttestation(std::move(attestors), &clock_, &log_).Attest(caller);
  }
  static Fd PidfdOf(pid_t pid) { return Fd(static_cast<int>(syscall(SYS_pidfd_open, pid, 0))); }
  static Caller Self() { return Caller(getpid(), getuid(), getgid(), PidfdOf(getpid())); }

  FakeClock clock_;
  FakeLog log_;
};

// Answers without waiting, if it may.
class PromptAttestor final : public WorkloadAttestor {
 public:
  explicit PromptAttestor(std::optional<Result<std::vector<Selector>>> answer)
      : answer_(std::move(answer)) {}
  std::string name() const override { return "prompt"; }
  Result<std::vector<Selector>> Attest(const Caller&, const std::stop_token&) override {
    ADD_FAILURE() << "was asked to wait";
    return Internal("asked");
  }
  std::optional<Result<std::vector<Selector>>> AttestNow(const Caller&) override {
    return answer_;
  }

 private:
  const std::optional<Result<std::vector<Selector>>> answer_;
};

TEST_F(WorkloadAttestationTest, AnswersNowWhenEveryAttestorCan) {
  std::vector<std::unique_ptr<WorkloadAttestor>> attestors;
  attestors.push_back(std::make_unique<PromptAttestor>(std::vector<Selector>{{"unix", "uid:1"}}));
  attestors.push_back(std::make_unique<PromptAttestor>(Internal("no cgroup")));
  const WorkloadAttestation attestation(std::move(attestors), &clock_, &log_);
  std::vector<AttestorFailure> failures;
  const auto selectors = attestation.AttestNow(Self(), &failures);
  ASSERT_TRUE(selectors && selectors->ok());
  EXPECT_EQ(**selectors, (Selectors{{"unix", "uid:1"}}));
  EXPECT_EQ(failures.size(), 1u);
  EXPECT_EQ(attestation.counts().done, 1u);
}

TEST_F(WorkloadAttestationTest, DoesNotAnswerNowWhenOneAttestorWouldWait) {
  std::vector<std::unique_ptr<WorkloadAttestor>> attestors;
  attestors.push_back(std::make_unique<PromptAttestor>(Internal("no cgroup")));
  attestors.push_back(std::make_unique<FakeAttestor>("slow", Gives({{"unix", "uid:1"}})));
  const WorkloadAttestation attestation(std::move(attestors), &clock_, &log_);
  std::vector<AttestorFailure> failures;
  EXPECT_FALSE(attestation.AttestNow(Self(), &failures).has_value());
  EXPECT_TRUE(failures.empty());
  EXPECT_EQ(attestation.counts().failed, 0u);
}

TEST_F(WorkloadAttestationTest, JoinsWhatAllAttestorsFound) {
  const auto selectors =
      Attest({Gives({{"unix", "uid:1"}}), Gives({{"k8s", "ns:a"}, {"k8s", "sa:b"}})});
  ASSERT_TRUE(selectors.ok()) << selectors.status().ToString();
  EXPECT_EQ(*selectors, (Selectors{{"k8s", "ns:a"}, {"k8s", "sa:b"}, {"unix", "uid:1"}}));
}

TEST_F(WorkloadAttestationTest, AFailingAttestorLosesItsSelectorsAndIsLogged) {
  const auto selectors = Attest({Fails(), Gives({{"unix", "uid:1"}})});
  ASSERT_TRUE(selectors.ok());
  EXPECT_EQ(*selectors, (Selectors{{"unix", "uid:1"}}));
  EXPECT_EQ(log_.Count("attestor=fake0"), 1);
  EXPECT_EQ(log_.Count("no cgroup"), 1);
}

TEST_F(WorkloadAttestationTest, WhenEveryAttestorFailedItIsUnavailableAndSaysWhy) {
  const auto selectors = Attest({Fails(), Fails()});
  EXPECT_EQ(selectors.code(), Code::kUnavailable);
  EXPECT_TRUE(selectors.status().message().ends_with("; fake0: no cgroup; fake1: no cgroup"))
      << selectors.status().message();
}

TEST_F(WorkloadAttestationTest, AFloodOfFailuresLeavesNoFloodInTheLog) {
  std::vector<std::unique_ptr<WorkloadAttestor>> attestors;
  attestors.push_back(std::make_unique<FakeAttestor>("fake", Fails()));
  const WorkloadAttestation attestation(std::move(attestors), &clock_, &log_);
  const Caller self = Self();
  for (int i = 0; i < 1000; ++i) EXPECT_FALSE(attestation.Attest(self).ok());
  EXPECT_EQ(log_.Count("no cgroup"), LogRate::kLinesMax);
  clock_.Advance(std::chrono::seconds(1));
  EXPECT_FALSE(attestation.Attest(self).ok());
  EXPECT_EQ(log_.Count("failures_not_logged=950"), 1);
}

TEST_F(WorkloadAttestationTest, AnAttestorMayFindNothing) {
  const auto selectors = Attest({Gives({}), Fails()});
  ASSERT_TRUE(selectors.ok());
  EXPECT_TRUE(selectors->empty());
}

TEST_F(WorkloadAttestationTest, AProcessThatWentMeanwhileGetsNothing) {
  const pid_t pid = fork();
  if (pid == 0) {
    while (true) pause();
  }
  const Caller caller(pid, getuid(), getgid(), PidfdOf(pid));
  const Answer kills = [&](const Caller& c) -> Result<std::vector<Selector>> {
    kill(c.pid(), SIGKILL);
    waitpid(c.pid(), nullptr, 0);
    return std::vector<Selector>{{"unix", "uid:1"}};
  };
  EXPECT_EQ(Attest({kills}, caller).code(), Code::kUnavailable);
  bool asked = false;
  const Answer notes = [&](const Caller&) -> Result<std::vector<Selector>> {
    asked = true;
    return std::vector<Selector>{};
  };
  EXPECT_EQ(Attest({notes}, caller).code(), Code::kUnavailable);
  EXPECT_FALSE(asked);
}

}  // namespace
}  // namespace writ
