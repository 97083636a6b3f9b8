// SPDX-License-Identifier: Apache-2.0
#include "core/net/listener.h"

#include <gtest/gtest.h>
#include <sys/socket.h>
#include <sys/stat.h>
#include <sys/un.h>
#include <unistd.h>

#include <cstring>
#include <optional>
#include <string>

#include "test/support/paths.h"

namespace writ {
namespace {

unsigned ModeOf(const std::string& path) {
  struct stat found {};
  return stat(path.c_str(), &found) == 0 ? found.st_mode & 07777 : 0;
}

bool Exists(const std::string& path) {
  struct stat found {};
  return lstat(path.c_str(), &found) == 0;
}

bool CanConnect(const std::string& path) {
  Fd fd(socket(AF_UNIX, SOCK_STREAM, 0));
  sockaddr_un address{};
  address.sun_family = AF_UNIX;
  std::memcpy(address.sun_path, path.data(), path.size());
  return connect(fd.get(), reinterpret_cast<sockaddr*>(&address), sizeof address) == 0;
}

TEST(UnixListenerTest, ModesAreThoseAskedForWhateverTheUmask) {
  TempDir dir;
  for (mode_t mask : {0, 077, 0777}) {
    mode_t old = umask(mask);
    std::string path = dir / std::to_string(mask) + "/deep/api.sock";
    auto listener = UnixListener::Bind({.path = path, .mode = 0660, .directory_mode = 0750});
    umask(old);
    ASSERT_TRUE(listener.ok()) << listener.status().ToString();
    EXPECT_EQ(ModeOf(path), 0660u);
    EXPECT_EQ(ModeOf(dir / std::to_string(mask) + "/deep"), 0750u);
    EXPECT_EQ(ModeOf(dir / std::to_string(mask)), 0755u);
    EXPECT_TRUE(CanConnect(path));
  }
}

TEST(UnixListenerTest, ADirectoryThatIsThereIsLeftAlone) {
  TempDir dir;
  auto listener = UnixListener::Bind({.path = dir / "api.sock", .directory_mode = 0755});
  ASSERT_TRUE(listener.ok());
  EXPECT_EQ(ModeOf(dir.path()), 0700u);
}

TEST(UnixListenerTest, GroupIsTakenByName) {
  if (geteuid() != 0) GTEST_SKIP() << "needs root to give a file to another group";
  TempDir dir;
  auto listener = UnixListener::Bind({.path = dir / "made/api.sock", .group = "daemon"});
  ASSERT_TRUE(listener.ok()) << listener.status().ToString();
  struct stat socket {};
  struct stat directory {};
  ASSERT_EQ(stat((dir / "made/api.sock").c_str(), &socket), 0);
  ASSERT_EQ(stat((dir / "made").c_str(), &directory), 0);
  EXPECT_EQ(socket.st_gid, 1u);
  EXPECT_EQ(directory.st_gid, 1u);
}

TEST(UnixListenerTest, UnknownGroupIsNamed) {
  TempDir dir;
  auto listener = UnixListener::Bind({.path = dir / "api.sock", .group = "no-such-group"});
  EXPECT_EQ(listener.code(), Code::kNotFound);
  EXPECT_NE(listener.status().message().find("no-such-group"), std::string::npos);
}

TEST(UnixListenerTest, StaleSocketIsReplaced) {
  TempDir dir;
  std::string path = dir / "api.sock";
  Fd stale(socket(AF_UNIX, SOCK_STREAM, 0));
  sockaddr_un address{};
  address.sun_family = AF_UNIX;
  std::memcpy(address.sun_path, path.data(), path.size());
  ASSERT_EQ(bind(stale.get(), reinterpret_cast<sockaddr*>(&address), sizeof address), 0);
  stale.Reset();
  ASSERT_FALSE(CanConnect(path));
  auto listener = UnixListener::Bind({.path = path});
  ASSERT_TRUE(listener.ok()) << listener.status().ToString();
  EXPECT_TRUE(CanConnect(path));
}

TEST(UnixListenerTest, WhatIsNoSocketIsRefusedAndKept) {
  TempDir dir;
  ASSERT_TRUE(WriteFileAtomic(dir / "file", "precious", 0600).ok());
  EXPECT_EQ(UnixListener::Bind({.path = dir / "file"}).code(), Code::kFailedPrecondition);
  EXPECT_EQ(*ReadFile(dir / "file"), "precious");
  ASSERT_EQ(symlink((dir / "file").c_str(), (dir / "link").c_str()), 0);
  EXPECT_EQ(UnixListener::Bind({.path = dir / "link"}).code(), Code::kFailedPrecondition);
  EXPECT_EQ(UnixListener::Bind({.path = dir.path()}).code(), Code::kFailedPrecondition);
}

TEST(UnixListenerTest, WhatACrashLeftBehindDoesNotStopTheNextStart) {
  TempDir dir;
  ASSERT_EQ(mkdir((dir / ".api.sock.new").c_str(), 0700), 0);
  ASSERT_TRUE(WriteFileAtomic(dir / ".api.sock.new/s", "", 0600).ok());
  auto listener = UnixListener::Bind({.path = dir / "api.sock"});
  ASSERT_TRUE(listener.ok()) << listener.status().ToString();
  EXPECT_FALSE(Exists(dir / ".api.sock.new"));
}

TEST(UnixListenerTest, TheLongestPathThatFitsWorksAndALongerOneIsExplained) {
  TempDir dir;
  std::string fits = dir / std::string(107 - dir.path().size() - 1, 'a');
  auto listener = UnixListener::Bind({.path = fits});
  ASSERT_TRUE(listener.ok()) << listener.status().ToString();
  EXPECT_TRUE(CanConnect(fits));
  auto refused = UnixListener::Bind({.path = fits + "a"});
  EXPECT_EQ(refused.code(), Code::kInvalidArgument);
  EXPECT_NE(refused.status().message().find("107"), std::string::npos);
}

TEST(UnixListenerTest, PathsMustBeAbsoluteAndNameAFile) {
  for (const char* path : {"", "api.sock", "./api.sock", "/tmp/"}) {
    EXPECT_EQ(UnixListener::Bind({.path = path}).code(), Code::kInvalidArgument) << path;
  }
}

TEST(UnixListenerTest, PathGoesWithTheListenerButNotASuccessors) {
  TempDir dir;
  std::string path = dir / "api.sock";
  std::optional<UnixListener> first(*UnixListener::Bind({.path = path}));
  std::optional<UnixListener> second(*UnixListener::Bind({.path = path}));
  first.reset();
  EXPECT_TRUE(CanConnect(path));
  second.reset();
  EXPECT_FALSE(Exists(path));
}

TEST(HostPortTest, TakesNamesAndBothFamilies) {
  EXPECT_EQ(ParseHostPort("writ-server:8081")->host, "writ-server");
  EXPECT_EQ(ParseHostPort("127.0.0.1:1")->port, "1");
  EXPECT_EQ(ParseHostPort("[::1]:8081")->host, "::1");
  EXPECT_EQ(ParseHostPort(":8081")->host, "");
}

TEST(HostPortTest, RefusesWhatCannotBeMeant) {
  for (const char* text : {"", "host", "host:", "host:http", "host:65536", "host:-1", "::1:80",
                           "host:80x", "[::1:80", "a]:80"}) {
    EXPECT_EQ(ParseHostPort(text).code(), Code::kInvalidArgument) << text;
  }
}

TEST(ListenTcpTest, PortZeroPicksOneThatIsThenTaken) {
  auto first = ListenTcp("127.0.0.1:0");
  ASSERT_TRUE(first.ok()) << first.status().ToString();
  int port = PortOf(first->get());
  EXPECT_GT(port, 0);
  auto second = ListenTcp("127.0.0.1:" + std::to_string(port));
  EXPECT_EQ(second.code(), Code::kFailedPrecondition);
}

TEST(ListenTcpTest, NamesAreNoListenAddresses) {
  EXPECT_EQ(ListenTcp("localhost:0").code(), Code::kInvalidArgument);
}

}  // namespace
}  // namespace writ
