// SPDX-License-Identifier: Apache-2.0
#include "core/net/peer.h"

#include <gtest/gtest.h>
#include <linux/sched.h>
#include <poll.h>
#include <signal.h>
#include <sys/socket.h>
#include <sys/stat.h>
#include <sys/syscall.h>
#include <sys/un.h>
#include <sys/wait.h>
#include <unistd.h>

#include <cerrno>
#include <cstring>
#include <string>
#include <utility>

#include "core/base/thread.h"
#include "core/net/listener.h"
#include "test/support/paths.h"

namespace writ {
namespace {

constexpr int kConnectMillisMax = 10'000;

int NoPeerPidfd(int) { return -ENOPROTOOPT; }

sockaddr_un AddressOf(const std::string& path) {
  sockaddr_un address{};
  address.sun_family = AF_UNIX;
  std::memcpy(address.sun_path, path.data(), path.size());
  return address;
}

// A child process that has connected and waits to be killed. `before_connect` runs in it first.
class ConnectedChild {
 public:
  ConnectedChild(const UnixListener& listener, const std::string& path,
                 void (*before_connect)() = nullptr)
      : socket_(socket(AF_UNIX, SOCK_STREAM | SOCK_CLOEXEC, 0)) {
    sockaddr_un address = AddressOf(path);
    pid_ = fork();
    if (pid_ == 0) {
      if (before_connect != nullptr) before_connect();
      if (connect(socket_.get(), reinterpret_cast<sockaddr*>(&address), sizeof address) != 0) {
        _exit(1);
      }
      while (true) pause();
    }
    pollfd incoming{.fd = listener.fd(), .events = POLLIN, .revents = 0};
    EXPECT_EQ(poll(&incoming, 1, kConnectMillisMax), 1) << "the child did not connect";
    accepted_ = Fd(accept(listener.fd(), nullptr, nullptr));
    accepted_at_ = NowTicks();
  }
  ~ConnectedChild() { Reap(); }

  void Kill() {  // leaves a zombie
    kill(pid_, SIGKILL);
    siginfo_t info;
    waitid(P_PID, static_cast<id_t>(pid_), &info, WEXITED | WNOWAIT);
  }
  void Reap() {
    if (pid_ <= 0) return;
    kill(pid_, SIGKILL);
    waitpid(pid_, nullptr, 0);
    pid_ = -1;
  }
  // This process holds the client's end too, so that the child's death does not hang up.
  void CloseOurCopy() { socket_.Reset(); }

  pid_t pid() const { return pid_; }
  int accepted() const { return accepted_.get(); }
  uint64_t accepted_at() const { return accepted_at_; }

 private:
  Fd socket_;
  Fd accepted_;
  uint64_t accepted_at_ = 0;
  pid_t pid_ = -1;
};

// Every rule holds on kernels with SO_PEERPIDFD and on those without.
class PeerTest : public ::testing::TestWithParam<bool> {
 protected:
  PeerPidfd Source() const { return GetParam() ? KernelPeerPidfd() : PeerPidfd(NoPeerPidfd); }
  Result<std::shared_ptr<const Caller>> Identify(const ConnectedChild& child) const {
    return IdentifyPeer(child.accepted(), child.accepted_at(), Source());
  }

  TempDir dir_;
  std::string path_ = dir_ / "peer.sock";
  Result<UnixListener> listener_ = UnixListener::Bind({.path = path_, .mode = 0666});
};

INSTANTIATE_TEST_SUITE_P(Kernels, PeerTest, ::testing::Bool(), [](const auto& info) {
  return info.param ? "WithPeerPidfd" : "WithoutPeerPidfd";
});

TEST_P(PeerTest, KnowsWhoConnected) {
  ConnectedChild child(*listener_, path_);
  auto caller = Identify(child);
  ASSERT_TRUE(caller.ok()) << caller.status().ToString();
  EXPECT_EQ((*caller)->pid(), child.pid());
  EXPECT_EQ((*caller)->uid(), geteuid());
  EXPECT_EQ((*caller)->gid(), getegid());
  EXPECT_TRUE((*caller)->Alive());
}

TEST_P(PeerTest, EffectiveUserAndGroupCount) {
  if (geteuid() != 0) GTEST_SKIP() << "needs root to become another user";
  ASSERT_EQ(chmod(dir_.path().c_str(), 0755), 0);
  ConnectedChild child(*listener_, path_, [] {
    if (setresgid(1001, 1002, 1003) != 0 || setresuid(1004, 1005, 1006) != 0) _exit(1);
  });
  auto caller = Identify(child);
  ASSERT_TRUE(caller.ok()) << caller.status().ToString();
  EXPECT_EQ((*caller)->uid(), 1005u);
  EXPECT_EQ((*caller)->gid(), 1002u);
}

TEST_P(PeerTest, ZombieIsNotAlive) {
  ConnectedChild child(*listener_, path_);
  auto caller = Identify(child);
  ASSERT_TRUE(caller.ok());
  child.Kill();
  EXPECT_FALSE((*caller)->Alive());
}

TEST_P(PeerTest, RefusesAProcessThatHasExited) {
  ConnectedChild child(*listener_, path_);
  child.Kill();
  EXPECT_EQ(Identify(child).code(), Code::kUnavailable);
  child.Reap();
  EXPECT_EQ(Identify(child).code(), Code::kUnavailable);
}

// clone3 with a chosen number: the one way to make a recycled process ID certain.
pid_t ForkWithPid(pid_t pid) {
  clone_args arguments{};
  arguments.exit_signal = SIGCHLD;
  arguments.set_tid = reinterpret_cast<uint64_t>(&pid);
  arguments.set_tid_size = 1;
  return static_cast<pid_t>(syscall(SYS_clone3, &arguments, sizeof arguments));
}

TEST_P(PeerTest, RefusesARecycledProcessId) {
  ConnectedChild child(*listener_, path_);
  pid_t pid = child.pid();
  child.Reap();
  while (NowTicks() <= child.accepted_at()) continue;  // start times are that coarse
  pid_t recycled = ForkWithPid(pid);
  if (recycled == 0) {
    while (true) pause();
  }
  if (recycled != pid) {
    GTEST_SKIP() << "cannot choose a process ID here: " << std::strerror(errno);
  }
  auto caller = Identify(child);
  EXPECT_EQ(caller.code(), GetParam() ? Code::kUnavailable : Code::kPermissionDenied)
      << caller.status().ToString();
  kill(recycled, SIGKILL);
  waitpid(recycled, nullptr, 0);
}

TEST(PeerFallbackTest, RefusesAConnectionThatIsHungUp) {
  TempDir dir;
  std::string path = dir / "peer.sock";
  Result<UnixListener> listener = UnixListener::Bind({.path = path});
  ConnectedChild child(*listener, path);
  Fd other_end(dup(child.accepted()));
  ASSERT_EQ(shutdown(other_end.get(), SHUT_RDWR), 0);
  auto caller = IdentifyPeer(child.accepted(), child.accepted_at(), NoPeerPidfd);
  EXPECT_EQ(caller.code(), Code::kUnavailable);
}

TEST(PeerFallbackTest, RefusesAProcessThatChangedItsUser) {
  if (geteuid() != 0) GTEST_SKIP() << "needs root to become another user";
  TempDir dir;
  std::string path = dir / "peer.sock";
  Result<UnixListener> listener = UnixListener::Bind({.path = path});
  Fd client(socket(AF_UNIX, SOCK_STREAM, 0));
  int changed[2];
  ASSERT_EQ(pipe(changed), 0);
  sockaddr_un address = AddressOf(path);
  pid_t pid = fork();
  if (pid == 0) {
    if (connect(client.get(), reinterpret_cast<sockaddr*>(&address), sizeof address) != 0) _exit(1);
    if (setresuid(1004, 1004, 1004) != 0 || write(changed[1], "x", 1) != 1) _exit(1);
    while (true) pause();
  }
  char byte;
  ASSERT_EQ(read(changed[0], &byte, 1), 1);
  Fd accepted(accept(listener->fd(), nullptr, nullptr));
  EXPECT_EQ(IdentifyPeer(accepted.get(), NowTicks(), NoPeerPidfd).code(), Code::kPermissionDenied);
  kill(pid, SIGKILL);
  waitpid(pid, nullptr, 0);
  close(changed[0]);
  close(changed[1]);
}

TEST(PeerFallbackTest, OtherFailuresOfTheKernelAreNotTakenForAnOldKernel) {
  TempDir dir;
  std::string path = dir / "peer.sock";
  Result<UnixListener> listener = UnixListener::Bind({.path = path});
  ConnectedChild child(*listener, path);
  auto caller = IdentifyPeer(child.accepted(), child.accepted_at(), [](int) { return -EMFILE; });
  EXPECT_EQ(caller.code(), Code::kInternal);
}

TEST(IdentifyProcessTest, NamesALivingProcessByItsNumber) {
  auto self = IdentifyProcess(getpid());
  ASSERT_TRUE(self.ok()) << self.status().ToString();
  EXPECT_EQ((*self)->pid(), getpid());
  EXPECT_EQ((*self)->uid(), geteuid());
  EXPECT_EQ((*self)->gid(), getegid());
  EXPECT_TRUE((*self)->Alive());
}

TEST(IdentifyProcessTest, SaysThatThereIsNoneOrThatItIsGone) {
  EXPECT_EQ(IdentifyProcess(0).code(), Code::kInvalidArgument);
  EXPECT_EQ(IdentifyProcess(-5).code(), Code::kInvalidArgument);
  const pid_t pid = fork();
  if (pid == 0) _exit(0);
  siginfo_t info;
  ASSERT_EQ(waitid(P_PID, pid, &info, WEXITED | WNOWAIT), 0);  // a zombie
  EXPECT_EQ(IdentifyProcess(pid).code(), Code::kNotFound);
  waitpid(pid, nullptr, 0);
  EXPECT_EQ(IdentifyProcess(pid).code(), Code::kNotFound);
}

TEST(IdentifyProcessTest, SaysThatAThreadIsNoProcess) {
  Code code = Code::kOk;
  Thread thread("other", [&code](std::stop_token) { code = IdentifyProcess(gettid()).code(); });
  thread.Join();
  EXPECT_EQ(code, Code::kNotFound);
}

}  // namespace
}  // namespace writ
