// SPDX-License-Identifier: Apache-2.0
#include "attestors/unix/digest_cache.h"

#include <fcntl.h>
#include <gtest/gtest.h>
#include <unistd.h>

#include <fstream>

#include "core/base/file.h"
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

TEST_F(DigestCacheTest, OnlyRegularFilesHaveADigest) {
  const Fd fd(open("/dev/null", O_RDONLY | O_CLOEXEC));
  EXPECT_FALSE(cache_.DigestOf(fd.get(), 0).ok());
}

}  // namespace
}  // namespace writ
