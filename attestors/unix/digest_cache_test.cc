// SPDX-License-Identifier: Apache-2.0
#include "attestors/unix/digest_cache.h"

#include <fcntl.h>
#include <gtest/gtest.h>
#include <sched.h>
#include <unistd.h>

#include <fstream>

#include "core/base/file.h"
#include "core/base/thread.h"
#include "test/fake/fake_clock.h"
#include "test/support/paths.h"

namespace writ {
namespace {

// printf abc | sha256sum
constexpr char kDigestOfAbc[] = "ba7816bf8f01cfea414140de5dae2223b00361a396177a9cb410ff61f20015ad";

class DigestCacheTest : public testing::Test {
 protected:
  // Far after every file's timestamps, so that all of them count as settled.
  DigestCacheTest() : clock_(FromUnixSeconds(4'000'000'000)) {}

  std::string Write(const std::string& name, const std::string& content) {
    const std::string path = dir_ / name;
    std::ofstream(path, std::ios::trunc) << content;
    return path;
  }
  Result<std::string> Digest(DigestCache& cache, const std::string& path, uint64_t limit = 0) {
    const Fd fd(open(path.c_str(), O_RDONLY | O_CLOEXEC));
    return cache.DigestOf(fd.get(), limit);
  }

  TempDir dir_;
  FakeClock clock_;
  DigestCache cache_{2, &clock_};
};

TEST_F(DigestCacheTest, GivesTheSha256InHex) {
  const auto digest = Digest(cache_, Write("a", "abc"));
  ASSERT_TRUE(digest.ok()) << digest.status().ToString();
  EXPECT_EQ(*digest, kDigestOfAbc);
}

TEST_F(DigestCacheTest, AKnownFileIsNotReadAgain) {
  const std::string path = Write("a", "abc");
  ASSERT_TRUE(Digest(cache_, path).ok());
  const Fd write_only(open(path.c_str(), O_WRONLY | O_CLOEXEC));  // reading it would fail
  const auto digest = cache_.DigestOf(write_only.get(), 0);
  ASSERT_TRUE(digest.ok()) << digest.status().ToString();
  EXPECT_EQ(*digest, kDigestOfAbc);
}

TEST_F(DigestCacheTest, AChangedFileIsReadAnew) {
  const std::string path = Write("a", "abc");
  ASSERT_TRUE(Digest(cache_, path).ok());
  Write("a", "abd");  // the same inode and size
  // Moves mtime and ctime on whatever the resolution of the file system's clock.
  const timespec times[2] = {{.tv_sec = 5, .tv_nsec = 0}, {.tv_sec = 5, .tv_nsec = 0}};
  ASSERT_EQ(utimensat(AT_FDCWD, path.c_str(), times, 0), 0);
  const auto digest = Digest(cache_, path);
  ASSERT_TRUE(digest.ok());
  EXPECT_NE(*digest, kDigestOfAbc);
}

TEST_F(DigestCacheTest, AFileThatChangedAMomentAgoIsNotKept) {
  SystemClock now;
  DigestCache cache(2, &now);
  ASSERT_TRUE(Digest(cache, Write("a", "abc")).ok());
  EXPECT_EQ(cache.size(), 0u);
}

TEST_F(DigestCacheTest, HoldsTheMostRecentlyUsed) {
  const std::string a = Write("a", "a"), b = Write("b", "b"), c = Write("c", "c");
  ASSERT_TRUE(Digest(cache_, a).ok());
  ASSERT_TRUE(Digest(cache_, b).ok());
  ASSERT_TRUE(Digest(cache_, a).ok());
  ASSERT_TRUE(Digest(cache_, c).ok());
  EXPECT_EQ(cache_.size(), 2u);
  const Fd a_unreadable(open(a.c_str(), O_WRONLY | O_CLOEXEC));
  const Fd b_unreadable(open(b.c_str(), O_WRONLY | O_CLOEXEC));
  EXPECT_TRUE(cache_.DigestOf(a_unreadable.get(), 0).ok());
  EXPECT_FALSE(cache_.DigestOf(b_unreadable.get(), 0).ok());
}

TEST_F(DigestCacheTest, TheLimitIsInclusiveAndHoldsForCachedDigestsToo) {
  const std::string path = Write("a", "abc");
  EXPECT_TRUE(Digest(cache_, path, 3).ok());
  EXPECT_EQ(Digest(cache_, path, 2).code(), Code::kResourceExhausted);
}

TEST_F(DigestCacheTest, WhatIsNotKnownIsNotReadForAShortAnswer) {
  const std::string path = Write("a", "abc");
  const Fd fd(open(path.c_str(), O_RDONLY | O_CLOEXEC));
  EXPECT_FALSE(cache_.KnownDigestOf(fd.get(), 0).has_value());
  ASSERT_TRUE(Digest(cache_, path).ok());
  EXPECT_EQ(**cache_.KnownDigestOf(fd.get(), 0), kDigestOfAbc);
  EXPECT_EQ(cache_.KnownDigestOf(fd.get(), 2)->code(), Code::kResourceExhausted);
}

// A file that nobody can read to its end, and threads that want its digest.
class EndlessFileTest : public DigestCacheTest {
 protected:
  static constexpr off_t kBytes = off_t{1} << 42;

  EndlessFileTest() {
    EXPECT_EQ(truncate(path_.c_str(), kBytes), 0);
    fd_ = Fd(open(path_.c_str(), O_RDONLY | O_CLOEXEC));
  }
  // Until a thread has read a part of it by the descriptor.
  static void AwaitReading(const Fd& fd) {
    while (lseek(fd.get(), 0, SEEK_CUR) == 0) sched_yield();
  }

  const std::string path_ = Write("endless", "");
  Fd fd_;
};

TEST_F(EndlessFileTest, IsNotReadForACallerThatHasLeft) {
  Result<std::string> digest = Internal("none yet");
  std::stop_source left;
  Thread reader("reader", [&](const std::stop_token&) {
    digest = cache_.DigestOf(fd_.get(), 0, left.get_token());
  });
  AwaitReading(fd_);
  left.request_stop();
  reader.Join();
  EXPECT_EQ(digest.code(), Code::kCancelled);
}

TEST_F(EndlessFileTest, IsReadByOneThreadAtATimeAndByTheNextWhenThatOnesCallerHasLeft) {
  const Fd second_fd(open(path_.c_str(), O_RDONLY | O_CLOEXEC));
  std::stop_source first_left, second_left;
  Result<std::string> first = Internal("none yet"), second = Internal("none yet");
  Thread first_reader("first", [&](const std::stop_token&) {
    first = cache_.DigestOf(fd_.get(), 0, first_left.get_token());
  });
  AwaitReading(fd_);
  Thread second_reader("second", [&](const std::stop_token&) {
    second = cache_.DigestOf(second_fd.get(), 0, second_left.get_token());
  });
  const off_t before = lseek(fd_.get(), 0, SEEK_CUR);
  while (lseek(fd_.get(), 0, SEEK_CUR) < before + (off_t{8} << 20)) sched_yield();
  EXPECT_EQ(lseek(second_fd.get(), 0, SEEK_CUR), 0);
  first_left.request_stop();
  first_reader.Join();
  EXPECT_EQ(first.code(), Code::kCancelled);
  AwaitReading(second_fd);
  second_left.request_stop();
  second_reader.Join();
  EXPECT_EQ(second.code(), Code::kCancelled);
}

TEST_F(EndlessFileTest, IsNotReadOnceAllStops) {
  Result<std::string> digest = Internal("none yet");
  Thread reader("reader",
                [&](const std::stop_token&) { digest = cache_.DigestOf(fd_.get(), 0); });
  AwaitReading(fd_);
  cache_.Stop();
  reader.Join();
  EXPECT_EQ(digest.code(), Code::kUnavailable);
}

TEST_F(DigestCacheTest, OnlyRegularFilesHaveADigest) {
  const Fd fd(open("/dev/null", O_RDONLY | O_CLOEXEC));
  EXPECT_FALSE(cache_.DigestOf(fd.get(), 0).ok());
}

}  // namespace
}  // namespace writ
