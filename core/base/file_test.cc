// SPDX-License-Identifier: Apache-2.0
#include "core/base/file.h"

#include <fcntl.h>
#include <gtest/gtest.h>
#include <sys/stat.h>
#include <sys/wait.h>
#include <unistd.h>

#include <cerrno>
#include <filesystem>

#include "core/base/thread.h"
#include "test/fake/faulty_files.h"
#include "test/support/paths.h"

namespace writ {
namespace {

mode_t ModeOf(const std::string& path) {
  struct stat info {};
  EXPECT_EQ(stat(path.c_str(), &info), 0) << path;
  return info.st_mode & 07777;
}

// Sets the umask for a test's length.
class Umask {
 public:
  explicit Umask(mode_t mask) : before_(umask(mask)) {}
  ~Umask() { umask(before_); }

 private:
  const mode_t before_;
};

TEST(FileTest, WritesWhatIsReadAgain) {
  TempDir dir;
  std::string content("a\0b\n", 4);
  ASSERT_TRUE(WriteFileAtomic(dir / "f", content, 0600).ok());
  EXPECT_EQ(*ReadFile(dir / "f"), content);
  ASSERT_TRUE(WriteFileAtomic(dir / "f", "", 0600).ok());
  EXPECT_EQ(*ReadFile(dir / "f"), "");
}

TEST(FileTest, TheModeIsExactWhateverTheUmask) {
  TempDir dir;
  for (mode_t mask : {0000, 0022, 0777}) {
    Umask set(mask);
    for (mode_t mode : {0600, 0644, 0440, 0666}) {
      ASSERT_TRUE(WriteFileAtomic(dir / "f", "x", mode).ok());
      EXPECT_EQ(ModeOf(dir / "f"), mode);
    }
  }
}

TEST(FileTest, ReplacingGivesANewFileAndLeavesReadersTheOldOne) {
  TempDir dir;
  ASSERT_TRUE(WriteFileAtomic(dir / "f", "old", 0644).ok());
  Fd reader(open((dir / "f").c_str(), O_RDONLY | O_CLOEXEC));
  ASSERT_TRUE(WriteFileAtomic(dir / "f", "new", 0600).ok());
  char text[4] = {};
  EXPECT_EQ(read(reader.get(), text, 3), 3);
  EXPECT_STREQ(text, "old");
  EXPECT_EQ(*ReadFile(dir / "f"), "new");
  EXPECT_EQ(ModeOf(dir / "f"), 0600u);
}

TEST(FileTest, AFailedWriteLeavesTheOldFileAndNoTemporary) {
  TempDir dir;
  ASSERT_EQ(mkdir((dir / "f").c_str(), 0700), 0);  // rename() onto it fails
  Status status = WriteFileAtomic(dir / "f", "x", 0600);
  EXPECT_EQ(status.code(), Code::kFailedPrecondition) << status.ToString();
  EXPECT_TRUE(ListDirectory(dir.path())->empty());
}

TEST(FileTest, ConcurrentWritersNeverMix) {
  TempDir dir;
  {
    std::vector<Thread> writers;
    for (char c : {'a', 'b', 'c'}) {
      writers.emplace_back("writer", [&dir, c](std::stop_token) {
        for (int i = 0; i < 20; ++i) {
          EXPECT_TRUE(WriteFileAtomic(dir / "f", std::string(10'000, c), 0600).ok());
        }
      });
    }
  }
  std::string content = *ReadFile(dir / "f");
  EXPECT_EQ(content, std::string(10'000, content[0]));
  EXPECT_EQ(*ListDirectory(dir.path()), std::vector<std::string>{"f"});
}

TEST(FileTest, ErrorsNameThePathAndTheCause) {
  TempDir dir;
  Status absent = ReadFile(dir / "none").status();
  EXPECT_EQ(absent.code(), Code::kNotFound);
  EXPECT_NE(absent.message().find(dir / "none"), std::string::npos);
  EXPECT_EQ(ReadFile(dir.path()).code(), Code::kFailedPrecondition);
  EXPECT_EQ(WriteFileAtomic(dir / "no/such/f", "x", 0600).code(), Code::kNotFound);
  EXPECT_EQ(ListDirectory(dir / "none").code(), Code::kNotFound);
}

TEST(FileTest, ReadingIsBounded) {
  TempDir dir;
  ASSERT_TRUE(WriteFileAtomic(dir / "f", std::string(100, 'x'), 0600).ok());
  EXPECT_EQ(ReadFile(dir / "f", 100)->size(), 100u);
  EXPECT_EQ(ReadFile(dir / "f", 99).code(), Code::kResourceExhausted);
  EXPECT_EQ(ReadFile("/dev/zero", 1 << 20).code(), Code::kResourceExhausted);
}

TEST(FileTest, RemovingAnAbsentFileIsNoError) {
  TempDir dir;
  ASSERT_TRUE(WriteFileAtomic(dir / "f", "x", 0600).ok());
  EXPECT_TRUE(RemoveFile(dir / "f").ok());
  EXPECT_TRUE(RemoveFile(dir / "f").ok());
  EXPECT_EQ(ReadFile(dir / "f").code(), Code::kNotFound);
}

TEST(FileTest, MakesParentsWithExactModesAndLeavesExistingOnesAlone) {
  TempDir dir;
  Umask set(0077);
  ASSERT_TRUE(MakeDirectories(dir / "a/b/c", 0700).ok());
  for (std::string_view made : {"a", "a/b"}) EXPECT_EQ(ModeOf(dir / made), 0755u);
  EXPECT_EQ(ModeOf(dir / "a/b/c"), 0700u);
  ASSERT_TRUE(MakeDirectories(dir / "a/b/d/", 0750).ok());
  EXPECT_EQ(ModeOf(dir / "a/b"), 0755u);
  EXPECT_EQ(ModeOf(dir / "a/b/d"), 0750u);
  ASSERT_TRUE(WriteFileAtomic(dir / "f", "x", 0600).ok());
  EXPECT_EQ(MakeDirectories(dir / "f", 0755).code(), Code::kFailedPrecondition);
  EXPECT_FALSE(MakeDirectories(dir / "f/g", 0755).ok());
}

TEST(FileTest, ListsPlainFilesSorted) {
  TempDir dir;
  for (std::string_view name : {"b", "a", ".c"}) {
    ASSERT_TRUE(WriteFileAtomic(dir / name, "x", 0600).ok());
  }
  ASSERT_TRUE(MakeDirectories(dir / "sub", 0700).ok());
  std::filesystem::create_symlink("a", dir / "link");
  EXPECT_EQ(*ListDirectory(dir.path()), (std::vector<std::string>{".c", "a", "b"}));
}

TEST(FileFaultsTest, AWriteThatFailsAtAnyStepLeavesOneOfBothContentsWhole) {
  TempDir dir;
  const std::string big(10'000, 'n');
  for (int error : {ENOSPC, EROFS, EIO}) {
    FaultyFiles files;
    Status status = Unavailable("not tried");
    int step = 0;
    for (; !status.ok(); ++step) {
      ASSERT_TRUE(WriteFileAtomic(dir / "f", "old", 0600).ok());
      files.Fail(dir.path(), error, step);
      status = WriteFileAtomic(dir / "f", big, 0600);
      files.Heal(dir.path());
      const std::string content = *ReadFile(dir / "f");
      EXPECT_TRUE(content == big || (content == "old" && !status.ok())) << step;
    }
    EXPECT_EQ(step, 6);  // open, write, sync, rename, sync of the directory, none
    // What cannot even be removed stays behind.
    EXPECT_EQ(ListDirectory(dir.path())->size(), error == ENOSPC ? 1u : 4u);
    for (const std::string& name : *ListDirectory(dir.path())) (void)RemoveFile(dir / name);
  }
}

TEST(FileFaultsTest, AFullDiskTakesAPartAndStillRemovesAndCuts) {
  TempDir dir;
  FaultyFiles files;
  Fd fd = OpenToChange(dir / "f", O_RDWR | O_CREAT, 0600);
  ASSERT_TRUE(WriteWhole(fd.get(), "whole", dir / "f"));
  files.Fail(dir.path(), ENOSPC);
  EXPECT_FALSE(WriteWhole(fd.get(), "abcd", dir / "f"));
  EXPECT_EQ(errno, ENOSPC);
  EXPECT_EQ(*ReadFile(dir / "f"), "wholeab");
  EXPECT_TRUE(TruncateFile(fd.get(), 5, dir / "f"));
  EXPECT_EQ(*ReadFile(dir / "f"), "whole");
  EXPECT_EQ(WriteFileAtomic(dir / "g", "x", 0600).code(), Code::kResourceExhausted);
  EXPECT_TRUE(OpenToChange(dir / "f", O_RDWR | O_CREAT, 0600).valid());
  EXPECT_FALSE(OpenToChange(dir / "g", O_RDWR | O_CREAT, 0600).valid());
  EXPECT_EQ(MakeDirectories(dir / "sub", 0700).code(), Code::kResourceExhausted);
  EXPECT_EQ(files.failed(), 4);
}

TEST(FileFaultsTest, AReadOnlyDiskChangesNothingAndOtherDisksAreTheirOwn) {
  TempDir dir;
  ASSERT_TRUE(MakeDirectories(dir / "a", 0700).ok());
  ASSERT_TRUE(MakeDirectories(dir / "ab", 0700).ok());
  ASSERT_TRUE(WriteFileAtomic(dir / "a/f", "x", 0600).ok());
  FaultyFiles files;
  files.Fail(dir / "a", EROFS);
  EXPECT_EQ(WriteFileAtomic(dir / "a/f", "y", 0600).code(), Code::kFailedPrecondition);
  EXPECT_EQ(RemoveFile(dir / "a/f").code(), Code::kFailedPrecondition);
  EXPECT_EQ(MakeDirectories(dir / "a/b", 0700).code(), Code::kFailedPrecondition);
  EXPECT_EQ(FileLock::Take(dir / "a/lock").code(), Code::kFailedPrecondition);
  EXPECT_EQ(*ReadFile(dir / "a/f"), "x");
  EXPECT_TRUE(WriteFileAtomic(dir / "ab/f", "y", 0600).ok());
}

TEST(FileLockTest, AFullDiskDoesNotRefuseTheLock) {
  TempDir dir;
  FaultyFiles files;
  Fd made = OpenToChange(dir / "lock", O_RDWR | O_CREAT, 0600);
  files.Fail(dir.path(), ENOSPC);
  Result<FileLock> lock = FileLock::Take(dir / "lock");
  ASSERT_TRUE(lock.ok()) << lock.status().ToString();
  EXPECT_EQ(*ReadFile(dir / "lock"), "");
  Status second = FileLock::Take(dir / "lock").status();
  EXPECT_NE(second.message().find("another process"), std::string::npos) << second.ToString();
}

TEST(FileLockTest, ASecondHolderIsRefusedAndToldWhoHolds) {
  TempDir dir;
  {
    Result<FileLock> first = FileLock::Take(dir / "lock");
    ASSERT_TRUE(first.ok()) << first.status().ToString();
    Status second = FileLock::Take(dir / "lock").status();
    EXPECT_EQ(second.code(), Code::kFailedPrecondition);
    EXPECT_NE(second.message().find("process " + std::to_string(getpid())), std::string::npos)
        << second.ToString();
  }
  EXPECT_TRUE(FileLock::Take(dir / "lock").ok());
}

TEST(FileLockTest, TheLockGoesWithItsProcess) {
  TempDir dir;
  pid_t child = fork();
  if (child == 0) {
    Result<FileLock> lock = FileLock::Take(dir / "lock");
    if (!lock.ok()) _exit(1);
    raise(SIGKILL);
  }
  int how = 0;
  ASSERT_EQ(waitpid(child, &how, 0), child);
  ASSERT_TRUE(WIFSIGNALED(how));
  EXPECT_TRUE(FileLock::Take(dir / "lock").ok());
}

TEST(FileLockTest, ASymbolicLinkIsNotFollowed) {
  TempDir dir;
  std::filesystem::create_symlink(dir / "target", dir / "lock");
  EXPECT_EQ(FileLock::Take(dir / "lock").code(), Code::kFailedPrecondition);
  EXPECT_FALSE(std::filesystem::exists(dir / "target"));
}

TEST(FdTest, ClosesOnceAndMoves) {
  int raw = open("/dev/null", O_RDONLY | O_CLOEXEC);
  {
    Fd fd(raw);
    Fd moved(std::move(fd));
    EXPECT_FALSE(fd.valid());  // NOLINT: what a move leaves is part of the contract
    fd = std::move(moved);
    EXPECT_EQ(fd.get(), raw);
  }
  EXPECT_EQ(fcntl(raw, F_GETFD), -1);
  EXPECT_EQ(errno, EBADF);
}

}  // namespace
}  // namespace writ
