// SPDX-License-Identifier: Apache-2.0
#include "attestors/unix/unix_attestor.h"

#include <fcntl.h>
#include <grp.h>
#include <gtest/gtest.h>
#include <pwd.h>
#include <signal.h>
#include <sys/stat.h>
#include <sys/syscall.h>
#include <sys/wait.h>
#include <unistd.h>

#include <algorithm>
#include <filesystem>
#include <optional>

#include "attestors/unix/proc_status.h"
#include "test/fake/fake_clock.h"
#include "test/support/paths.h"

namespace writ {
namespace {

constexpr uid_t kNamelessUid = 3'000'000'001;
constexpr gid_t kNamelessGid = 3'000'000'002;

struct ChildOptions {
  std::optional<uid_t> effective_uid, effective_gid;  // the real ones stay root's
  std::optional<uid_t> uid, gid;
  std::optional<std::vector<gid_t>> groups;
  std::string program;  // what to execute; empty: only waits
};

// A real process that lives as long as the object.
class Child {
 public:
  explicit Child(const ChildOptions& options) {
    int ready[2];
    EXPECT_EQ(pipe2(ready, O_CLOEXEC), 0);
    pid_ = fork();
    if (pid_ == 0) Run(options, ready[1]);
    close(ready[1]);
    // Ends when the child closes its end by executing its program, or says so.
    char byte;
    while (read(ready[0], &byte, 1) < 0 && errno == EINTR) {
    }
    close(ready[0]);
    pidfd_ = static_cast<int>(syscall(SYS_pidfd_open, pid_, 0));
    EXPECT_GE(pidfd_, 0);
  }
  ~Child() {
    Kill();
    close(pidfd_);
  }

  void Kill() {
    if (pid_ <= 0) return;
    kill(pid_, SIGKILL);
    waitpid(pid_, nullptr, 0);
    pid_ = -1;
  }

  Caller AsCaller(uid_t uid, gid_t gid) const { return Caller(pid_, uid, gid, Fd(dup(pidfd_))); }

 private:
  [[noreturn]] static void Run(const ChildOptions& options, int ready) {
    bool ok = true;
    if (options.groups) ok = ok && setgroups(options.groups->size(), options.groups->data()) == 0;
    if (options.gid) ok = ok && setresgid(*options.gid, *options.gid, *options.gid) == 0;
    if (options.effective_gid) ok = ok && setegid(*options.effective_gid) == 0;
    if (options.uid) ok = ok && setresuid(*options.uid, *options.uid, *options.uid) == 0;
    if (options.effective_uid) ok = ok && seteuid(*options.effective_uid) == 0;
    if (!ok) _exit(1);
    if (!options.program.empty()) {
      execl(options.program.c_str(), "sleep", "1000", nullptr);
      _exit(1);
    }
    if (write(ready, "r", 1) != 1) _exit(1);
    while (true) pause();
  }

  pid_t pid_;
  int pidfd_;
};

class UnixAttestorTest : public testing::Test {
 protected:
  Result<std::vector<Selector>> Attest(const Caller& caller, UnixAttestorOptions options = {}) {
    return MakeUnixAttestor(std::move(options), &clock_)->Attest(caller, {});
  }
  // A copy of a program that only waits.
  std::string CopySleep(const std::string& name) {
    const std::string path = dir_ / name;
    std::filesystem::copy_file("/bin/sleep", path);
    return path;
  }
  static std::vector<std::string> Texts(const Result<std::vector<Selector>>& selectors) {
    std::vector<std::string> texts;
    if (!selectors.ok()) return {selectors.status().ToString()};
    for (const Selector& selector : *selectors) texts.push_back(selector.text());
    return texts;
  }
  static bool Has(const std::vector<std::string>& texts, const std::string& text) {
    return std::find(texts.begin(), texts.end(), text) != texts.end();
  }
  static bool HasKind(const std::vector<std::string>& texts, const std::string& kind) {
    return std::any_of(texts.begin(), texts.end(),
                       [&](const std::string& t) { return t.starts_with("unix:" + kind + ":"); });
  }

  TempDir dir_;
  FakeClock clock_{FromUnixSeconds(4'000'000'000)};
};

#define SKIP_UNLESS_ROOT() \
  if (geteuid() != 0) GTEST_SKIP() << "needs root to run processes as other users"

TEST_F(UnixAttestorTest, UserAndGroupWithTheirNames) {
  Child child({});
  const auto texts = Texts(Attest(child.AsCaller(geteuid(), getegid())));
  EXPECT_TRUE(Has(texts, "unix:uid:" + std::to_string(geteuid())));
  EXPECT_TRUE(Has(texts, "unix:gid:" + std::to_string(getegid())));
  const passwd* user = getpwuid(geteuid());
  if (user != nullptr) {
    EXPECT_TRUE(Has(texts, std::string("unix:user:") + user->pw_name));
  }
  EXPECT_FALSE(HasKind(texts, "path"));
  EXPECT_FALSE(HasKind(texts, "sha256"));
}

TEST_F(UnixAttestorTest, SupplementaryGroupsEachWithItsName) {
  SKIP_UNLESS_ROOT();
  Child child({.groups = std::vector<gid_t>{0, kNamelessGid}});
  const auto texts = Texts(Attest(child.AsCaller(0, 0)));
  EXPECT_TRUE(Has(texts, "unix:supplementary_gid:0"));
  EXPECT_TRUE(Has(texts, "unix:supplementary_group:root"));
  EXPECT_TRUE(Has(texts, "unix:supplementary_gid:" + std::to_string(kNamelessGid)));
}

TEST_F(UnixAttestorTest, AProcessInTooManyGroupsIsRefused) {
  SKIP_UNLESS_ROOT();
  std::vector<gid_t> groups;
  while (groups.size() <= kSupplementaryGroupsMax) {
    groups.push_back(static_cast<gid_t>(kNamelessGid + groups.size()));
  }
  Child child({.groups = groups});
  const Caller caller = child.AsCaller(0, 0);
  EXPECT_EQ(Attest(caller).code(), Code::kResourceExhausted);
  const auto at_once = MakeUnixAttestor({}, &clock_)->AttestNow(caller);
  ASSERT_TRUE(at_once.has_value());  // no worker is needed to say so
  EXPECT_EQ(at_once->code(), Code::kResourceExhausted);
}

TEST_F(UnixAttestorTest, AUserWithoutANameKeepsItsNumber) {
  SKIP_UNLESS_ROOT();
  Child child({.uid = kNamelessUid, .gid = kNamelessGid, .groups = std::vector<gid_t>{}});
  const auto texts = Texts(Attest(child.AsCaller(kNamelessUid, kNamelessGid)));
  EXPECT_EQ(texts, (std::vector<std::string>{"unix:uid:" + std::to_string(kNamelessUid),
                                             "unix:gid:" + std::to_string(kNamelessGid)}));
}

TEST_F(UnixAttestorTest, TheEffectiveIdsCount) {
  SKIP_UNLESS_ROOT();
  Child child({.effective_uid = kNamelessUid, .effective_gid = kNamelessGid});
  const auto texts = Texts(Attest(child.AsCaller(kNamelessUid, kNamelessGid)));
  EXPECT_TRUE(Has(texts, "unix:uid:" + std::to_string(kNamelessUid)));
  EXPECT_FALSE(Has(texts, "unix:uid:0"));
  EXPECT_TRUE(Has(texts, "unix:gid:" + std::to_string(kNamelessGid)));
}

TEST_F(UnixAttestorTest, RootMayDropItsRightsAfterItConnected) {
  SKIP_UNLESS_ROOT();
  Child child({.uid = kNamelessUid, .gid = kNamelessGid});
  const auto texts = Texts(Attest(child.AsCaller(0, 0)));
  EXPECT_TRUE(Has(texts, "unix:uid:" + std::to_string(kNamelessUid)));
  EXPECT_FALSE(Has(texts, "unix:uid:0"));
}

TEST_F(UnixAttestorTest, RightsGainedAfterTheConnectAreRefused) {
  SKIP_UNLESS_ROOT();
  Child child({});
  EXPECT_EQ(Attest(child.AsCaller(kNamelessUid, 0)).code(), Code::kPermissionDenied);
  Child other_group({.uid = kNamelessUid, .gid = kNamelessGid});
  EXPECT_EQ(Attest(other_group.AsCaller(kNamelessUid, 0)).code(), Code::kPermissionDenied);
}

TEST_F(UnixAttestorTest, PathAndDigestOnRequest) {
  const std::string program = CopySleep("workload");
  Child child({.program = program});
  const auto texts =
      Texts(Attest(child.AsCaller(geteuid(), getegid()), {.discover_workload_path = true}));
  EXPECT_TRUE(Has(texts, "unix:path:" + program));
  EXPECT_TRUE(HasKind(texts, "sha256"));
}

TEST_F(UnixAttestorTest, AnswersSoonOnceTheDigestIsKnown) {
  Child child({.program = CopySleep("workload")});
  const Caller caller = child.AsCaller(geteuid(), getegid());
  const auto attestor = MakeUnixAttestor({.discover_workload_path = true}, &clock_);
  EXPECT_FALSE(attestor->AttestSoon(caller).has_value());
  const auto read = Texts(attestor->Attest(caller, {}));
  EXPECT_TRUE(HasKind(read, "sha256"));
  ASSERT_TRUE(attestor->AttestSoon(caller).has_value());
  EXPECT_EQ(Texts(*attestor->AttestSoon(caller)), read);
  EXPECT_FALSE(attestor->AttestNow(caller).has_value());
}

TEST_F(UnixAttestorTest, ANegativeLimitMeansNoDigest) {
  const std::string program = CopySleep("workload");
  Child child({.program = program});
  const auto texts = Texts(Attest(child.AsCaller(geteuid(), getegid()),
                                  {.discover_workload_path = true, .workload_size_limit = -1}));
  EXPECT_TRUE(Has(texts, "unix:path:" + program));
  EXPECT_FALSE(HasKind(texts, "sha256"));
}

TEST_F(UnixAttestorTest, AnExecutableAboveTheLimitFailsTheAttestorWhole) {
  const std::string program = CopySleep("workload");
  Child child({.program = program});
  const auto size = static_cast<int64_t>(std::filesystem::file_size(program));
  const Caller caller = child.AsCaller(geteuid(), getegid());
  EXPECT_TRUE(Attest(caller, {.discover_workload_path = true, .workload_size_limit = size}).ok());
  EXPECT_EQ(
      Attest(caller, {.discover_workload_path = true, .workload_size_limit = size - 1}).code(),
      Code::kResourceExhausted);
}

TEST_F(UnixAttestorTest, AReplacedExecutableIsMarkedDeletedAndKeepsItsOwnDigest) {
  const std::string program = CopySleep("workload");
  const UnixAttestorOptions options{.discover_workload_path = true};
  Child child({.program = program});
  const auto before = Texts(Attest(child.AsCaller(geteuid(), getegid()), options));
  std::filesystem::remove(program);
  std::filesystem::copy_file("/bin/cat", program);
  const auto after = Texts(Attest(child.AsCaller(geteuid(), getegid()), options));
  EXPECT_TRUE(Has(after, "unix:path:" + program + " (deleted)"));
  EXPECT_EQ(before.back(), after.back());
  EXPECT_TRUE(after.back().starts_with("unix:sha256:"));
}

TEST_F(UnixAttestorTest, AnUnreachableExecutableFailsTheAttestorWhole) {
  Child child({});
  const std::string pid = std::to_string(child.AsCaller(0, 0).pid());
  std::filesystem::create_directory(dir_ / pid);
  std::filesystem::create_symlink("/proc/" + pid + "/status", dir_ / (pid + "/status"));
  const auto result = Attest(child.AsCaller(geteuid(), getegid()),
                             {.discover_workload_path = true, .proc_root = dir_.path()});
  EXPECT_EQ(result.code(), Code::kInternal);
}

TEST_F(UnixAttestorTest, AProcessThatIsGoneHasNoSelectors) {
  Child child({});
  const Caller caller = child.AsCaller(geteuid(), getegid());
  child.Kill();
  EXPECT_FALSE(Attest(caller).ok());
}

TEST_F(UnixAttestorTest, ARecycledProcessIdIsRefused) {
  Child first({}), second({});
  // The process ID of the one, the pidfd of the other, which then exits.
  Fd other(static_cast<int>(syscall(SYS_pidfd_open, first.AsCaller(0, 0).pid(), 0)));
  const Caller recycled(second.AsCaller(0, 0).pid(), geteuid(), getegid(), std::move(other));
  EXPECT_TRUE(Attest(recycled).ok());
  first.Kill();
  EXPECT_EQ(Attest(recycled).code(), Code::kUnavailable);
}

}  // namespace
}  // namespace writ
